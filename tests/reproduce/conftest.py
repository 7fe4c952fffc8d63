"""Fixtures of the tests of what reproduces the papers."""

import keras
import pytest


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
