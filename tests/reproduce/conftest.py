"""Fixtures of the tests of what reproduces the papers."""

import keras
import pytest

from reproduce.data import places


@pytest.fixture
def float64():
    """Keras in double precision for one test."""
    before = keras.config.floatx()
    policy = keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before)
    keras.config.set_dtype_policy(policy)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of Keras's, no system packages, and no network."""
    home = tmp_path / "home"
    monkeypatch.setenv("KERAS_HOME", str(home))
    for name, known in places.KNOWN.items():
        bare = {**vars(known), "system": ()}
        monkeypatch.setitem(places.KNOWN, name, places.Known(**bare))

    def offline(*args, **kwargs):
        raise Exception("URL fetch failure")

    monkeypatch.setattr("keras.utils.get_file", offline)
    return home / "datasets"
