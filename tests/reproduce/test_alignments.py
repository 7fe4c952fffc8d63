"""How the updates of alignments differ: the order in the learning rate that the theory gives."""

import keras
import pytest

from tests.reproduce import alignment_updates

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
