"""How the updates of alignments differ: the order in the learning rate that the theory gives."""

import keras
import numpy as np
import pytest

from reproduce import figures
from reproduce.dgnopt import alignment_updates, alignments

_PROBLEM = {"data": "digits", "train": 256, "batch": 128, "network": "residual-dense",
            "options": {"width": 16, "blocks": 1, "shortcut": "dense"}}  # fmt: skip


@pytest.mark.parametrize(
    ("curvature", "form", "order"),
    [
        ("SGD", "proximal", 2),
        ("SGD", "explicit", 1),
        ("K-FAC", "proximal", 2),
        ("EKFAC", "proximal", 1),
    ],
)
def test_the_order_of_the_difference(curvature, form, order):
    """Schedules of one quadratic problem have one minimiser, so that only the nonlinear part of δx
    is left; the explicit form and another kernel than the preconditioner's are of first order."""
    method = {"name": curvature, "structure": "cooperative"}
    [row] = alignment_updates.measure(
        _PROBLEM, method, [form], 0.01, [0.01, 0.1, 1.0, 10.0], [0], 0
    )
    assert row["slope"] == pytest.approx(order, abs=0.12)
    assert row["at_tuned"] == pytest.approx([row["late"][2]])
    assert 0.1 < row["batch"] < 3.0
    assert keras.config.floatx() == "float32"


def run(accuracy, diverged=False):
    return {"accuracy": accuracy, "diverged": diverged}


def document(early_at_three=(81.0, 82.0, 83.0)):
    """A document with one problem; the larger rate is 3."""
    values = {
        ("as soon as possible", 1.0): (80.0, 81.0, 82.0),
        ("as late as possible", 1.0): (81.0, 82.1, 82.9),
        ("random", 1.0): (80.1, 80.9, 82.0),
        ("as soon as possible", 3.0): early_at_three,
        ("as late as possible", 3.0): (81.0, 82.1, 82.9),
        ("random", 3.0): (np.nan, np.nan, 82.0),
    }
    methods = [
        {"optimizer": "SGD", "aligned": aligned, "rate": rate,
         "runs": [run(v, bool(np.isnan(v))) for v in accuracies]}
        for (aligned, rate), accuracies in values.items()
    ]  # fmt: skip
    problem = {
        "title": "digits · net", "data": "digits", "steps": 4, "batch": 8, "methods": methods,
        "others": ["as late as possible", "random"],
        "levels": {"SGD": {"tuned": 1.0, "largest": 3.0}}, "rates_from": {"SGD": "default"},
    }  # fmt: skip
    row = {"problem": "digits · net", "curvature": "SGD", "form": "proximal", "trained": 0,
           "tuned": 1.0, "times": [0.1, 1.0, 10.0], "late": [1e-4, 0.01, 0.2], "slope": 2.0,
           "at_tuned": [0.005, 0.01], "batch": 0.9}  # fmt: skip
    settings = {**alignments.PRESETS["smoke"], "seeds": 3}
    return {"settings": settings, "results": {"problems": [problem], "updates": [row]}}


def test_what_is_found_follows_from_the_numbers(tmp_path):
    text = alignments.finding(document())[1]
    assert "changes the update by 1 % to 1 % in the proximal form" in text
    assert "another batch by 90 % to 90 %" in text
    assert (
        "1 of 2 differences at the tuned rate are outside the noise (largest 1.00 points)" in text
    )
    assert "0 of 2 differences at the largest rate are outside the noise" in text
    assert "1 have too few finished pairs" in text
    rows = alignments.summary(document())[1].rows
    assert rows[1][2] == "3, largest"
    assert rows[1][5] == "82.00 (1), 2 diverged"
    with figures.style():
        assert all(path.exists() for path in alignments.draw(document(), tmp_path / "figure"))


def test_the_largest_rate_is_the_last_before_one_diverges():
    problem = document()["results"]["problems"][0]
    assert alignments._largest(problem, "SGD", [1.0, 3.0]) == 3.0
    lost = document(early_at_three=(81.0, np.nan, 83.0))["results"]["problems"][0]
    assert alignments._largest(lost, "SGD", [1.0, 3.0]) == 1.0
