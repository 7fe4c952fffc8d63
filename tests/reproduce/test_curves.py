"""Steps to a target, differences of them, and rates that are multiples of others."""

from types import SimpleNamespace

import numpy as np

from reproduce import provenance, runner
from reproduce.dgnopt import experiment, figure_9, rates, seeds
from reproduce.training import cells


def run(accuracy, diverged=False, loss=0.5):
    curve = {"step": [10, 20, 30], "loss": [1.0, 0.7, loss], "accuracy": accuracy}
    return {"accuracy": accuracy[-1], "loss": loss, "diverged": diverged, "curve": curve}


_METHOD = {
    "label": "N = 2",
    "runs": [
        run([10.0, 80.0, 70.0]),
        run([80.5, 90.0, 91.0]),
        run([10.0, 20.0, 79.9]),
        run([90.0, 90.0, 10.0], diverged=True),
        {"error": "ValueError"},
    ],
}


def test_the_first_step_at_the_target_counts_and_no_diverged_run_reaches_it():
    found = seeds.steps_to(_METHOD, 80.0)
    np.testing.assert_array_equal(found, [20.0, 10.0, np.inf, np.nan, np.nan])
    assert seeds.shown_steps(found, 30) == "15 ± 7 (2), > 30 (1), diverged (2)"
    assert seeds.shown_steps(np.array([np.inf, np.inf]), 30) == "> 30 (2)"


def test_the_steps_of_agents_stand_beside_those_of_one():
    def method(steps, agents, times, label):
        reached = [90.0 if step >= steps else 0.0 for step in (10, 20, 30)]
        return {"optimizer": "SGD", "rate": 0.6 * times, "runs": [run(reached)] * 2,
                "agents": agents, "rate_times": times, "label": label}  # fmt: skip

    methods = [method(40, 1, 0.5, "SGD, rate × 0.5"), method(20, 1, 1.0, "SGD, rate × 1"),
               method(40, 1, 2.0, "SGD, rate × 2"),
               method(10, 2, 0.5, "SGD, N = 2, rate × 0.5"),
               method(30, 2, 1.0, "SGD, N = 2, rate × 1")]  # fmt: skip
    problem = {"title": "t", "data": "digits", "steps": 30, "batch": 8, "methods": methods}
    document = {"results": {"problems": [problem]}}
    rows = {row[0]: row for row in figure_9.ITEM.summary(document)[0].rows}
    assert rows["SGD, N = 2, rate × 1"][3] == "30 ± 0 (2) (90 %)"
    assert "from SGD, rate × 2: " in rows["SGD, N = 2, rate × 1"][4]


def test_a_rate_can_be_a_multiple_of_the_tuned_one(tmp_path):
    context = SimpleNamespace(results=tmp_path, preset="none")
    problem = {"data": "digits", "network": "feedforward", "options": {}}
    plain = {"label": "EKFAC", "method": {"name": "EKFAC"}}
    rate, origin = rates.rate_for(context, problem, plain)
    given = {**plain, "rate_times": 6}
    assert rates.rate_for(context, problem, given) == (6 * rate, f"6 × that of {origin}")


def test_a_loss_that_is_no_number_is_kept_as_none(tmp_path, monkeypatch):
    """As JSON has it: a run that diverges in its first interval is no reason to fail."""
    result = {"curve": {"step": [2], "loss": [None], "accuracy": [10.0]}, "diverged": True,
              "accuracy": 10.0, "loss": None}  # fmt: skip
    monkeypatch.setattr(cells, "run", lambda made, *_: [result] * len(made))
    context = runner.Context({"steps": 4, "seeds": 2}, 0, tmp_path / "item", results=tmp_path)
    rows = [{"label": "SGD", "method": {"name": "SGD"}}]
    made = experiment.experiment(context, ["feedforward"], lambda kind: rows, evaluate_every=2)
    [problem] = made["problems"]
    [method] = problem["methods"]
    assert [run["curve"]["loss"] for run in method["runs"]] == [[None], [None]]
    assert experiment.shown(method) == "2 diverged"
    assert np.isnan(seeds.average_losses(method)).all()


def test_runs_that_other_code_made_are_marked_with_their_revision():
    def run(method, **made):
        made = {"code": provenance.code(*cells.sources(method)), "revision": "now", **made}
        return {"seed": 0, "made": made}

    sgd, game = {"name": "SGD"}, {"name": "SGD", "structure": "feedback"}
    methods = [
        {"label": "SGD", "method": sgd, "runs": [run(sgd), run(sgd)]},
        {"label": "game", "method": game, "runs": [run(game), run(game, code="x", revision="r1")]},
    ]
    document = {"provenance": {"revision": "r0"}, "results": {"problems": [{"methods": methods}]}}
    assert experiment.revisions_shown(document).endswith("these runs: game at r1.")
    del methods[1]["runs"][1]["made"]
    assert experiment.revisions_shown(document).endswith("these runs: game at r0.")
    whole = {**document, "results": {"problems": [{"methods": [{**methods[1], "runs": [{}]}]}]}}
    assert experiment.revisions_shown(whole).endswith("these runs, of revision r0.")
    methods[1]["runs"].pop()
    assert experiment.revisions_shown(document) == ""
