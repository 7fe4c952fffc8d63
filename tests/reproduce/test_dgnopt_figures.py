"""Figures 7 and 8: what their texts conclude follows from the numbers, whatever these are."""

import pytest

from reproduce import figures
from reproduce.dgnopt import figure_7, figure_8

GAMES = ("FNE, proximal", "FNE, proximal, without K δx", "FNE, explicit",
         "FNE, explicit, without K δx")  # fmt: skip


def run(accuracy=90.0, diverged=False, **more):
    losses = [2.3, 40.0, None] if diverged else [2.3, 1.0, 0.5]
    curve = {"step": [1, 2, 3], "loss": losses, "accuracy": [10.0, 50.0, accuracy]}
    return {"seed": 0, "accuracy": accuracy, "diverged": diverged, "curve": curve, **more}


def large_steps(fates):
    """A document of figure 8 with two runs a method: label → the two runs, `run()` by default."""
    methods = [
        {"label": label, "method": {"name": "SGD"}, "rate": 1.0,
         "runs": fates.get(label, [run(), run()])}
        for label in ("baseline", *GAMES)
    ]  # fmt: skip
    problem = {
        "title": "digits · net",
        "data": "digits",
        "batch": 8,
        "steps": 3,
        "source": "here",
        "methods": methods,
    }
    settings = {"kind": "inception", "steps": 3, "seeds": 2, "forms": ["proximal", "explicit"],
                "rates": {"SGD": [1.0]}}  # fmt: skip
    return {"settings": settings, "results": {"problems": [problem]}}


LOST = [run(0.0, diverged=True), run(12.0)]


def test_the_four_fates_of_a_run():
    runs = (run(), run(49.0), run(90.0, diverged=True), {"error": "x"})
    assert [figure_8.fate(one) for one in runs] == ["learned", "stuck", "diverged", "failed"]


def test_figure_8_confirms_the_paper_where_the_baseline_alone_fails():
    document = large_steps({"baseline": LOST, "FNE, explicit": LOST})
    text = figure_8.markdown(document)
    assert "Against the baseline at the same rate, in 1 settings:" in text
    assert "runs of FNE, proximal fail: fewer at 1 (digits, SGD 1);" in text
    assert "runs of FNE, explicit fail: as many at 1 (digits, SGD 1)." in text
    assert "K δx makes fewer runs fail at none and more at 1 (digits, SGD 1, FNE, explicit)" in text
    assert "baseline 0 of 2, proximal 2 of 2" in text
    cells = {row[0]: row[1] for row in figure_8.summary(document)[0].rows}
    assert cells["baseline"] == "1 stuck, 1 diverged"
    assert cells["FNE, proximal"] == "90.00 ± 0.00 (2)"


def test_figure_8_does_not_confirm_it_where_the_baseline_learns():
    text = figure_8.markdown(large_steps({"FNE, proximal": LOST}))
    assert "runs of FNE, proximal fail: more at 1 (digits, SGD 1);" in text
    assert "runs of FNE, explicit fail: as many at 1 (digits, SGD 1)." in text


def test_figure_8_measures_the_feedback_term_in_pairs():
    better = {"FNE, proximal": [run(91.0), run(93.0)]}
    table = figure_8.summary(large_steps(better))[-1]
    assert [row[:3] for row in table.rows] == [
        ("digits, SGD 1", "FNE, proximal", "2"), ("digits, SGD 1", "FNE, explicit", "2")
    ]  # fmt: skip
    assert table.rows[0][3].startswith("+2.00 ±")
    assert table.rows[1][3] == "+0.00 ± 0.00, inside the noise"
    assert not figure_8.summary(large_steps({"FNE, proximal": LOST, "FNE, explicit": LOST}))[
        -1
    ].rows


def test_figure_8_is_drawn_with_curves_that_end(tmp_path):
    failed = [{"seed": 0, "error": "x", "curve": None}, run(0.0, diverged=True)]
    document = large_steps({"baseline": failed, "FNE, explicit": LOST})
    with figures.style():
        (path,) = figure_8.draw(document, tmp_path / "figure")
    assert path.exists()


@pytest.mark.parametrize(
    ("change", "place"), [(0.41, "above"), (0.39, "inside"), (-0.39, "inside"), (-0.41, "below")]
)
def test_figure_7_places_a_ratio_in_the_papers_band(change, place):
    spread = {"median": 1 + change, "low": 0.9, "high": 2.0}
    game = {"label": "DGNOpt", "method": {"name": "EKFAC", "structure": "feedback"},
            "wall_to_EKFAC": spread, "net_to_EKFAC": 1.1}  # fmt: skip
    failed = {"label": "EMSA", "method": {"name": "EMSA"}, "error": "x"}
    document = {"results": {"problems": [{"title": "net", "methods": [game, failed]}]}}
    ((_, runtime, where, memory, inside),) = figure_7._claim(document).rows
    assert (runtime, where) == (f"{100 * change:+.0f} %", place)
    assert (memory, inside) == ("+10 %", "inside")
