"""Fixtures of the deep fictitious play tests."""

import numpy as np
import pytest


@pytest.fixture
def rng():
    """A seeded generator."""
    return np.random.default_rng(20190)
