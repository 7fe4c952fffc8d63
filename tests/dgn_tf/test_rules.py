"""Every combination of rules either means something of its own or is refused."""

import itertools

import keras
import numpy as np
import pytest
from test_exact_cases import res_late

import dgn_tf
from dgn_tf.rules import ABSENT_PLAYERS, FORMS, SOLVERS, STRUCTURES, Rules
from tests.seeds import set_seed

FORMS_OF = {
    "open_loop": {"proximal"},
    "open_loop_cooperative": {"proximal", "coupled"},
    "feedback": {"proximal", "explicit", "feedback_only"},
    "cooperative": {"proximal", "explicit", "coupled", "feedback_only"},
}
CURVATURES = ("identity", "kfac", "exact")


def allowed(structure, form, solver, absent, curvature):
    if absent == "duplicated" and (structure != "feedback" or form == "feedback_only"):
        return False
    if curvature == "exact":
        return form == "proximal" and solver == "sample_space"
    joint = solver != "sample_space"
    if joint and (curvature == "identity" or "cooperative" not in structure):
        return False
    if joint and form not in ("proximal", "feedback_only", *(["explicit"] * (solver == "prop5"))):
        return False
    return form in FORMS_OF[structure]


COMBINATIONS = list(itertools.product(STRUCTURES, FORMS, SOLVERS, ABSENT_PLAYERS, CURVATURES))


@pytest.mark.parametrize("structure", STRUCTURES)
def test_what_means_nothing_together_is_refused(structure):
    for combination in COMBINATIONS:
        if combination[0] != structure:
            continue
        _, form, solver, absent, curvature = combination
        settings = {"form": form, "solver": solver, "absent_players": absent}
        if allowed(*combination):
            dgn_tf.DGNOpt(information_structure=structure, curvature=curvature, **settings)
            continue
        with pytest.raises(ValueError, match=r"Received: .*\. [A-Z]"):
            dgn_tf.DGNOpt(information_structure=structure, curvature=curvature, **settings)


def step(structure, form, solver, absent, curvature):
    set_seed(3)
    model = dgn_tf.GameModel(*res_late(), alignment="alap")
    block = curvature
    if curvature == "kfac":
        block = dgn_tf.curvature.KFACBlock(damping=0.3)
    optimizer = dgn_tf.DGNOpt(
        0.5,
        structure,
        block,
        form=form,
        solver=solver,
        absent_players=absent,
        weight_decay=0.05,
        guard=None,
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, run_eagerly=True)
    rng = np.random.default_rng(0)
    model.train_on_batch(rng.normal(size=(3, 3)), np.array([0, 2, 1]))
    return np.concatenate([w.ravel() for w in model.get_weights()])


def test_what_is_allowed_is_a_step_of_its_own(float64):
    """All but one: K δx alone is the same in both closed loops, where no stage is solved."""
    kept = [c for c in COMBINATIONS if c[4] in ("kfac", "exact") and allowed(*c)]
    steps = {combination: step(*combination) for combination in kept}
    same = {
        (first, second)
        for first, second in itertools.combinations(kept, 2)
        if np.abs(steps[first] - steps[second]).max() < 1e-9
    }
    alone = ("feedback_only", "sample_space", "dummy", "kfac")
    assert same == {(("feedback", *alone), ("cooperative", *alone))}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"agents": 2, "agents_form": "typo"}, "agents_form"),
        ({"agents_form": "coupled", "information_structure": "open_loop"}, "open loop"),
        ({"agents_form": "coupled", "information_structure": "feedback"}, "coupled"),
        ({"agents": 2, "solver": "khatri_rao", "curvature": "kfac"}, "no fictitious agents"),
        ({"agents": 2, "agents_form": "explicit", "curvature": "exact"}, "no form"),
        ({"khatri_rao_iterations": 3}, "Khatri-Rao solver"),
        ({"khatri_rao_iterations": True}, "at least 0"),
        ({"form": ["proximal"]}, "form"),
        ({"information_structure": "open_loop", "state_feedback": False}, "no state feedback"),
        ({"information_structure": "open_loop_cooperative", "state_feedback": False}, "no state"),
        ({"information_structure": "open_loop", "curvature": "adam", "terminal": 2}, "no terminal"),
        (
            {
                "information_structure": "open_loop",
                "curvature": dgn_tf.curvature.EKFACBlock(fisher="empirical"),
                "terminal": "gauss_newton",
            },
            "no terminal factor",
        ),
    ],
)  # fmt: skip
def test_rules_of_agents_and_numbers(settings, message):
    with pytest.raises(ValueError, match=message):
        Rules(**settings)


def test_agents_and_their_form_are_checked_at_the_door():
    model = keras.Model(*res_late())
    with pytest.raises(ValueError, match="agents_form"):
        dgn_tf.GameModel.from_model(model, agents=2, agents_form="typo")
    agents = dgn_tf.with_agents(model, 2)
    with pytest.raises(ValueError, match="form=None"):
        agents.compile(dgn_tf.DGNOpt(0.1, "feedback", "identity"), "mse")
    dgn_tf.with_agents(model, 2, None).compile(dgn_tf.DGNOpt(0.1, "feedback", "identity"), "mse")


def test_rules_do_not_change():
    optimizer = dgn_tf.DGNOpt(form="explicit")
    assert (optimizer.form, optimizer.rules.form) == ("explicit", "explicit")
    with pytest.raises(AttributeError):
        optimizer.rules.form = "proximal"
    model = dgn_tf.GameModel(*res_late())
    with pytest.raises(AttributeError, match="does not change"):
        model.game.slots = 2


def test_the_settings_of_a_block_are_those_of_its_optimizer():
    optimizer = dgn_tf.EKFAC(0.1, rank=64, max_rows=None, weight_decay=0.01)
    assert (optimizer.curvature.rank, optimizer.curvature.max_rows) == (64, None)
    again = dgn_tf.EKFAC.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    old = {"learning_rate": 0.1, "damping": 0.5, "form": "proximal", "khatri_rao_iterations": 6}
    assert dgn_tf.KFAC.from_config(old).curvature.damping == 0.5
    with pytest.raises(ValueError, match="rank"):
        dgn_tf.KFAC(rank=64)
