"""Beliefs: how earlier profiles are weighted, and what the solver reaches with each rule."""

import shutil

import numpy as np
import pytest

import fictitious_play as fp
from fictitious_play.solver.checkpoint import SolveFolder
from fictitious_play.solver.open_loop import OpenLoopBelief
from fictitious_play.solver.samples import training_chunk, training_sample
from tests.fictitious_play.cases import asymmetric_game, randomize


def policies(game, count):
    """Networks whose controls differ, and a free one."""
    made = [fp.JointPolicy(game, hidden=(4,), seed=seed) for seed in range(count + 1)]
    for seed, policy in enumerate(made):
        policy.build()
        randomize(policy, seed)
    return made[:count], made[count]


@pytest.fixture(scope="module")
def stage_controls():
    """A game, two training steps, three profiles and their controls there."""
    game = asymmetric_game(players=3, steps=3)
    chunk = training_chunk(game, 0, 1, 4, 2, 3, 16, "float32")
    paths = [training_sample(game, 0, 1, step, 16, "float32") for step in (4, 5)]
    profiles, evaluator = policies(game, 3)
    controls = [np.stack([np.asarray(policy(list(each))) for each in paths]) for policy in profiles]
    return game, chunk, profiles, controls, evaluator


EXPECTED = {
    "last": lambda zero, u: u[-1],
    "average": lambda zero, u: (zero + sum(u)) / (1 + len(u)),
    "damped": lambda zero, u: 0.7 * EXPECTED["damped"](zero, u[:-1]) + 0.3 * u[-1] if u else zero,
}


@pytest.mark.parametrize("rule", EXPECTED)
def test_a_belief_weighs_profiles_as_its_rule_says(stage_controls, rule):
    game, chunk, profiles, controls, evaluator = stage_controls
    belief = OpenLoopBelief(game, evaluator, rule, damping=0.3, initial=2.0)
    np.testing.assert_array_equal(belief.controls(chunk)[:2], 2.0)
    for count, policy in enumerate(profiles, start=1):
        belief.announce(count, policy)
        expected = EXPECTED[rule](np.full_like(controls[0], 2.0), controls[:count])
        np.testing.assert_allclose(belief.controls(chunk)[:2], expected, atol=1e-5)


def test_a_sequential_belief_knows_who_has_moved(stage_controls):
    game, chunk, profiles, controls, evaluator = stage_controls
    belief = OpenLoopBelief(game, evaluator, "sequential", initial=2.0)
    belief.announce(1, profiles[0], player=0)
    found = np.asarray(belief.controls(chunk))[:2]
    np.testing.assert_allclose(found[..., 0, :], controls[0][..., 0, :], atol=1e-5)
    np.testing.assert_array_equal(found[..., 1:, :], 2.0)


@pytest.mark.parametrize(
    "rule", ["average", pytest.param("damped", marks=pytest.mark.release), "sequential"]
)
def test_every_rule_reaches_the_equilibrium(rule):
    game = fp.InterBankGame(players=2, steps=4, epsilon=4.0, c=2.0, initial_mean=[0.5, -0.5])
    solver = fp.DeepFictitiousPlay(game, hidden=(8,), skip=True, belief=rule, initial_belief=0.5)
    result = solver.solve(
        stages=8, steps_per_stage=40, validation_paths=2048, progress=False, regret_every=None
    )
    exact = fp.lq.nash(game)
    # An average forgets its first belief only like one over the number of stages.
    allowed = (0.03 if rule == "average" else 0.01) + 4 * result.relative_standard_error(exact)
    assert np.all(np.abs(result.relative_error(exact)) < allowed)
    assert np.all(fp.lq.profile_cost(game, np.zeros((4, 2, 2))) > 1.3 * exact.cost)


#: Rules with several networks or models, each in one structure; the others and the other structure
#: at a release. The last belief goes on to the same bits in `test_resume`.
_ALWAYS = {"average": "closed_loop", "sequential": "open_loop"}


@pytest.mark.parametrize(
    ("rule", "structure"),
    [
        pytest.param(
            rule,
            structure,
            marks=[] if _ALWAYS.get(rule) == structure else pytest.mark.release,
        )
        for rule in ("last", "average", "damped", "sequential")
        for structure in ("open_loop", "closed_loop")
    ],
)
def test_every_rule_resumes_to_the_same_bits(rule, structure, tmp_path, monkeypatch):
    game = asymmetric_game(players=2, steps=2)
    settings = {
        "steps_per_stage": 2,
        "validation_paths": 64,
        "progress": False,
        "regret_every": None,
    }
    form = {"hidden": (4,), "belief": rule, "information_structure": structure, "seed": 5}

    solver = fp.DeepFictitiousPlay(game, **form)
    save = SolveFolder.save

    def copy_after_two(self, stage, play, progress):
        save(self, stage, play, progress)
        if stage == 2:
            shutil.copytree(
                self.path, tmp_path / "two stages", ignore=shutil.ignore_patterns("solve.lock*")
            )

    with monkeypatch.context() as patch:
        patch.setattr(SolveFolder, "save", copy_after_two)
        straight = solver.solve(stages=3, folder=tmp_path / "whole", **settings)
    resumed = solver.solve(stages=3, folder=tmp_path / "two stages", **settings)
    np.testing.assert_array_equal(resumed.cost, straight.cost)
    for one, two in zip(resumed.policy.weights, straight.policy.weights, strict=True):
        np.testing.assert_array_equal(one, two)
