"""What a result says of where it was made."""

from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf

from reproduce import provenance


def test_the_device_is_what_the_backend_has(monkeypatch):
    assert provenance.device() == "CPU"
    gpus = [SimpleNamespace(device_type="GPU"), SimpleNamespace(device_type="GPU")]
    found = {"GPU": gpus[:1], "TPU": []}
    monkeypatch.setattr(tf.config, "list_physical_devices", found.get)
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda device: {"device_name": "A GPU"}
    )
    assert provenance.device() == "A GPU"
    found["GPU"] = gpus
    assert provenance.describe(["x"], "smoke", 0, None)["device"] == "2 × A GPU"
    assert provenance.describe(["x"], "smoke", 0, None, "elsewhere")["device"] == "elsewhere"
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: {})
    assert provenance.device() == "2 × GPU"


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_device_of_other_backends(backend, monkeypatch):
    pytest.importorskip(backend)
    monkeypatch.setattr(keras.config, "backend", lambda: backend)
    assert provenance.device() == "CPU"


def test_threads_are_counted_in_words():
    assert provenance.threads_shown({"threads": 1, "cores": 2}) == "1 thread of 2 cores"
    assert provenance.threads_shown({"threads": 1, "cores": 1}) == "1 thread of 1 core"
