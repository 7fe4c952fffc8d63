"""The handwritten digits that scikit-learn brings along: real, 1,797 images of 8 × 8."""

import numpy as np

from reproduce.data.dataset import Dataset

_SEED = 20210501
_TEST = 360


def load() -> Dataset:
    """The digits, split once and for all: 1,437 to train on, 360 to test on, stratified.

    They are the test set of the UCI Optical Recognition of Handwritten Digits; pixels are counts
    from 0 to 16. The split does not depend on the version of scikit-learn or NumPy.
    """
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x, y = x.astype(np.uint8).reshape(-1, 8, 8, 1), y.astype(np.int64)
    test = _test_indices(y)
    train = np.setdiff1d(np.arange(len(y)), test)
    return Dataset(
        "digits", x[train], y[train], x[test], y[test], 10, 16.0,
        f"scikit-learn's digits, {len(train)} to train and {len(test)} to test, stratified",
    )  # fmt: skip


def _test_indices(y: np.ndarray) -> np.ndarray:
    """Which of the images `(n,)` are tested on, in increasing order.

    Every class gives its share of 360, the classes with the largest remainders one more.
    """
    share = np.bincount(y) * _TEST / len(y)
    counts = np.floor(share).astype(int)
    counts[np.argsort(counts - share, kind="stable")[: _TEST - counts.sum()]] += 1
    # The raw stream of a bit generator is the one NumPy promises not to change.
    order = np.argsort(np.random.PCG64(_SEED).random_raw(len(y)), kind="stable")
    chosen = [order[y[order] == label][:count] for label, count in enumerate(counts)]
    return np.sort(np.concatenate(chosen))
