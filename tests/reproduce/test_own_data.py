"""A data set of one's own, by a name and a reader."""

import numpy as np
import pytest

from reproduce import data
from reproduce.data import __main__ as command
from reproduce.data import places


def test_a_set_of_ones_own_is_loaded_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "KNOWN", dict(places.KNOWN))
    with pytest.raises(ValueError, match="digits, mnist"):
        data.load("shades", tmp_path)
    x = np.arange(6 * 4 * 4, dtype="uint8").reshape(6, 4, 4)
    y = np.array([0, 1, 1, 0, 1, 0])
    np.savez(tmp_path / "shades.npz", x_train=x[:4], y_train=y[:4], x_test=x[4:], y_test=y[4:])
    data.register("shades", data.Known(classes=2, layout=data.npz("shades")))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))  # where it is not
    assert any("put shades.npz" in line for line in command.listing())
    assert data.available("shades", tmp_path)
    found = data.load("shades", tmp_path)
    np.testing.assert_array_equal(found.x_test, x[4:, :, :, None])
    np.testing.assert_array_equal(found.y_train, y[:4])
    with pytest.raises(ValueError, match="must not be one of digits"):
        data.register("mnist", data.Known(classes=2, layout=data.npz("mnist")))
