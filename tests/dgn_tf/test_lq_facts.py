"""The linear-quadratic item: that it would see an error, and the network that it builds."""

import dataclasses

import linear_quadratic as lq
import lq_facts
import lq_played
import lq_simultaneous
import numpy as np
import pytest

from dgn_tf.recursion import dense


def test_every_fact_is_within_rounding():
    rng = np.random.default_rng(5)
    game = lq_facts.random_game(rng, 3, 3, 6)
    found = list(lq_facts.facts(game, rng))
    assert len({error.fact for error in found}) == 6
    for error in found:
        assert error.relative <= error.rounding < 1e-11, error.fact


def test_a_long_unstable_trajectory_costs_digits_and_a_short_one_does_not():
    """One step from random controls is exact up to the squared rounding of states that explode;
    from the optimal controls, whose states do not, it is as exact as the Riccati equation."""
    rng = np.random.default_rng(7)
    game = lq_facts.random_game(rng, 3, 2, 45)
    game = dataclasses.replace(game, A=game.A * 1.6 / max(abs(np.linalg.eigvals(game.A))))
    exact = lq.riccati(game)
    x0 = rng.standard_normal(3)
    optimum = 0.5 * x0 @ exact.P[0] @ x0
    plain = lq_facts.step_rounding(game, exact.P, 0.0, optimum)

    def one_step(controls):
        stages, phi_x, phi_xx = game.expand(x0, controls)
        found = dense.solve(stages, phi_x, phi_xx, "cooperative")
        return abs(lq_facts.play(game, x0, controls, found) / optimum - 1)

    random = [[rng.standard_normal(B.shape[1]) for B in game.B] for _ in range(game.horizon)]
    expected = lq_facts.step_rounding(game, exact.P, game.cost(x0, random), optimum)
    assert plain < one_step(random) < expected < 1e-3
    x, best = x0, []
    for K in exact.K:
        best.append([-gain @ x for gain in K])
        x = game.A @ x + sum(B @ u for B, u in zip(game.B, best[-1], strict=True))
    assert one_step(best) < plain


@pytest.mark.parametrize("structure", ["feedback", "cooperative", "feedback_nash"])
def test_a_small_mistake_in_the_recursion_is_seen(structure, monkeypatch):
    """Gains off by 1e-9 of their size in one structure: its facts fail and no other's."""
    module = lq_simultaneous if structure == "feedback_nash" else dense
    right = module.solve

    def wrong(stages, phi_x, phi_xx, *which):
        found = right(stages, phi_x, phi_xx, *which)
        if which not in ((), (structure,)):
            return found
        return [
            dataclasses.replace(
                s,
                players=tuple(dataclasses.replace(g, K=g.K * (1 + 1e-9)) for g in s.players),
            )
            for s in found
        ]

    monkeypatch.setattr(module, "solve", wrong)
    rng = np.random.default_rng(6)
    found = lq_facts.facts(lq_facts.random_game(rng, 3, 2, 4), rng)
    bad = {error.fact for error in found if error.relative > error.rounding}
    expected = {
        "feedback": {"one player: Riccati", "feedback: LQR of (A, B_n)"},
        "cooperative": {"cooperative: team LQR"},
        "feedback_nash": {"simultaneous: coupled Riccati"},
    }
    assert expected[structure] == bad


def test_the_rate_of_the_approach_is_that_of_the_closed_loop():
    game = lq_facts.random_game(np.random.default_rng(1), 2, 1, 120)
    found = lq_facts.approach(game)
    assert max(found["value"], found["gain"]) <= found["rounding"]
    assert found["rate"] == pytest.approx(found["radius"], rel=1e-3)
    assert found["error"][0] > 1e-2


def test_the_network_is_the_game():
    rng = np.random.default_rng(7)
    game = lq_played.playable(lq_facts.random_game(rng, 2, 2, 2, controls=1), 0.7)
    model = lq_played.build(game, "cooperative")
    players = [{p.name for p in stage.players} for stage in model.game.stages]
    assert players == [{f"control_{t}_{n}" for n in range(2)} for t in range(2)]
    controls = [[rng.standard_normal(1) for _ in range(2)] for _ in range(2)]
    for t, stage in enumerate(controls):
        for n, u in enumerate(stage):
            model.get_layer(f"control_{t}_{n}").set_weights([u[None]])
    x0 = rng.standard_normal(2)
    solution = model.game.solve(np.append(x0, 1.0)[None], np.zeros((1, 2)))
    assert float(solution.loss) == pytest.approx(game.cost(x0, controls), rel=1e-5)


def test_the_network_reaches_the_optimum_and_keras_keeps_its_precision():
    import keras

    rng = np.random.default_rng(8)
    game = lq_played.playable(lq_facts.random_game(rng, 2, 2, 2, controls=1), 0.7)
    for error in lq_played.facts(game, rng):
        assert error.relative <= 10 * error.rounding < 1e-12, error.fact
    assert keras.config.floatx() == "float32"


def test_distances_are_zero_for_a_single_player_and_not_for_two():
    rng = np.random.default_rng(9)
    alone = lq_facts.distances(lq_facts.random_game(rng, 3, 1, 4), rng)
    assert alone["gain"] < 1e-12
    assert alone["feedback"] == pytest.approx(1.0)
    both = lq_facts.distances(lq_facts.random_game(rng, 3, 2, 4), rng)
    assert both["gain"] > 0.05
    assert both["feedback"] > both["nash"] > 1.0
