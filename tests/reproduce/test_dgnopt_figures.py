"""Tables and figures of training runs follow from the numbers, whatever these are."""

import numpy as np
import pytest

from reproduce import figures, pages
from reproduce.catalogue import find
from reproduce.dgnopt import experiment, ladder, seeds

FIGURE_8 = find("dgnopt-figure-8").code()
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
    return {"settings": settings, "results": {"problems": [problem]},
            "provenance": {"revision": "r"}}  # fmt: skip


LOST = [run(0.0, diverged=True), run(12.0)]


def test_the_four_fates_of_a_run():
    runs = (run(), run(49.0), run(90.0, diverged=True), {"error": "x"})
    assert [ladder.fate(one) for one in runs] == ["learned", "stuck", "diverged", "failed"]


def test_figure_8_says_what_became_of_the_runs():
    document = large_steps({"baseline": LOST, "FNE, explicit": LOST})
    cells = {row[0]: row[1:] for row in FIGURE_8.summary(document)[0].rows}
    assert cells["baseline"] == ("1 stuck, 1 diverged", "none")
    assert cells["FNE, proximal"] == ("90.00 ± 0.00 (2)", "1")


def test_a_method_breaks_at_the_first_rate_where_a_run_of_it_fails():
    fates = {0.1: [run(), run()], 0.3: LOST, 1.0: [run(), run()]}
    methods = [{"label": "a", "method": {"name": "SGD"}, "rate": rate, "runs": fates[rate]}
               for rate in (1.0, 0.3, 0.1)]  # fmt: skip
    problem = {"title": "t", "data": "digits", "methods": methods}
    assert ladder.breaks(problem) == {("SGD", "a"): 0.1}


def test_figure_8_measures_the_feedback_term_in_pairs():
    better = {"FNE, proximal": [run(91.0), run(93.0)]}
    table = FIGURE_8.summary(large_steps(better))[-1]
    name = "{0} minus {0}, without K δx"
    assert [row[:3] for row in table.rows] == [
        ("digits, SGD 1", name.format("FNE, proximal"), "2"),
        ("digits, SGD 1", name.format("FNE, explicit"), "2"),
    ]
    assert table.rows[0][3].startswith("+2.00 ±")
    unknown = "(interval unknown: 2 seeds agree to less than an image)"
    assert table.rows[1][3] == f"+0.00 {unknown}"
    assert not FIGURE_8.summary(large_steps({"FNE, proximal": LOST, "FNE, explicit": LOST}))[
        -1
    ].rows


def test_a_ladder_is_drawn_where_runs_fail(tmp_path):
    failed = [{"seed": 0, "error": "x", "curve": None}, run(0.0, diverged=True)]
    document = large_steps({"baseline": failed, "FNE, explicit": LOST})
    with figures.style():
        path = figures.save(FIGURE_8.draw(document), tmp_path / "figure")
    assert path.exists()


def test_the_differences_are_told_by_where_each_update_breaks():
    methods = [
        {"label": label, "method": {"name": "EKFAC"}, "rate": rate,
         "runs": [run(), run()] if rate <= end else LOST}
        for label, end in (("open loop", 0.01), ("ours", 0.03)) for rate in (0.01, 0.03, 0.1)
    ]  # fmt: skip
    problem = {"title": "t", "data": "digits", "batch": 8, "steps": 3, "methods": methods}
    document = {"settings": {"steps": 3, "seeds": 2}, "results": {"problems": [problem]},
                "provenance": {"revision": "r"}}  # fmt: skip
    assert pages.prose(find("differences"), document).startswith(
        "The largest learning rate with which every seed learns is raised by open loop → ours "
        "(0.01 → 0.03)."
    )


def test_seeds_that_agree_to_less_than_an_image_do_not_stand_out():
    """Two seeds with equal differences have an interval of no width: it says nothing."""

    def method(*accuracies, **more):
        return {"label": "m", "runs": [run(value) for value in accuracies], **more}

    equal = experiment.difference(method(80.0, 81.0), method(82.0, 83.0))
    assert equal == seeds.Difference(mean=2.0, half=np.inf, pairs=2, lost=(0, 0))
    assert not equal.significant
    assert "interval unknown" in equal.verdict()
    nearly = method(80.0, 81.0, images=100), method(82.0, 83.03, images=100)
    assert not experiment.difference(*nearly).known  # ± .19 is less than one image of 100
    fine = method(80.0, 81.0, images=10_000), method(82.0, 83.03, images=10_000)
    assert experiment.difference(*fine).half == pytest.approx(12.706 * 0.015, rel=1e-3)
    losses = seeds.between(np.array([1.0, 1.1]), np.array([0.9, 1.0]))
    assert not losses.known


def test_figure_5_compares_with_baselines_and_cooperation_with_feedback():
    accuracy = {"SGD": (80.0, 81.0, 82.0), "SGD, feedback": (82.0, 83.0, 85.0),
                "SGD, cooperative": (83.0, 84.5, 86.0)}  # fmt: skip
    methods = [
        {"label": label, "rate": 0.1, "runs": [run(value) for value in values]}
        for label, values in accuracy.items()
    ]
    problem = {"title": "t", "data": "digits", "steps": 3, "batch": 8, "methods": methods}
    document = {"results": {"problems": [problem]}}
    rows = {row[0]: row[-1] for row in find("dgnopt-figure-5").code().summary(document)[0].rows}
    # Differences 1, 1.5, 1 have a standard error of 1/6; t(2) at 97.5 % is 4.303.
    assert rows["SGD, cooperative"].endswith("from SGD, feedback: +1.17 ± 0.72, significant")


def test_a_comparison_is_drawn_where_runs_diverge(tmp_path):
    methods = [{"label": label, "rate": 0.1, "runs": [run(80.0), run(81.0, diverged=label == "b")]}
               for label in ("η^O", "b")]  # fmt: skip
    methods.append({"label": "c", "rate": 0.1, "runs": LOST[:1]})
    problem = {"title": "t", "data": "digits", "steps": 3, "batch": 8, "methods": methods}
    with figures.style():
        drawn = find("dgnopt-figure-3").code().draw({"results": {"problems": [problem]}})
        path = figures.save(drawn, tmp_path / "figure")
    assert path.exists()
