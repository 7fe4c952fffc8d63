"""What the structures, the guard, agents and alignments do in training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dgn_tf
from tests.seeds import set_seed
from tests.thin import thinned

STRUCTURES = ("open_loop", "open_loop_cooperative", "feedback", "cooperative")


def crossentropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def network(width=6):
    set_seed(4)
    inputs = keras.Input((5,))
    x1 = keras.layers.Dense(width, activation="tanh", name="D0")(inputs)
    h = keras.layers.Dense(width, activation="tanh", name="D1")(x1)
    both = [keras.layers.Dense(width, name="D2a")(h), keras.layers.Dense(width, name="D2b")(x1)]
    x3 = keras.layers.Activation("tanh")(keras.layers.Add()(both))
    return inputs, keras.layers.Dense(3, name="D3")(x3)


def data(size=24):
    rng = np.random.default_rng(0)
    return rng.normal(size=(size, 5)).astype("float32"), rng.integers(0, 3, size)


def trained(steps=1, net=None, size=24, agents=None, alignment="alap", **settings):
    settings = {"learning_rate": 0.5, "curvature": "identity", **settings}
    inputs, outputs = net or network()
    model = dgn_tf.GameModel(inputs, outputs, alignment=alignment)
    if agents is not None:
        model = dgn_tf.with_agents(model, **agents)
    model.compile(dgn_tf.DGNOpt(**settings), crossentropy(), run_eagerly=True)
    x, y = data(size)
    for _ in range(steps):
        model.train_on_batch(x, y)
    return model


def close(first, second, rtol=1e-9):
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        scale = np.abs(b).max()
        np.testing.assert_allclose(a / scale, b / scale, rtol=0, atol=rtol)


def differ(first, second):
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    return max(np.abs(a - b).max() for a, b in pairs) > 1e-4


@pytest.mark.parametrize(
    ("structure", "curvature"),
    # The other way round than in test_digits, so that more pairs are trained in one of the two.
    thinned(STRUCTURES, ["ekfac", "kfac", "adam", "rmsprop", "identity"], strength=1),
)
def test_every_structure_and_curvature_reduces_the_loss(structure, curvature):
    rate = {"identity": 0.3, "kfac": 0.05, "ekfac": 0.05}.get(curvature, 0.01)
    model = trained(0, information_structure=structure, curvature=curvature, learning_rate=rate)
    x, y = data()
    values = [model.train_on_batch(x, y)[0] for _ in range(8)]
    assert values[-1] < values[0]


def test_theorem_6_with_q_ux_zero_and_q_uu_identity_the_game_is_gradient_descent(float64):
    """A loss that is linear in the outputs has no curvature, so Q_ux = 0; M = I."""

    def linear(y_true, y_pred):
        return tf.reduce_sum(y_true * y_pred, -1)

    x, y = data()
    results = []
    for structure in ("feedback", "cooperative", "open_loop"):
        model = dgn_tf.GameModel(*network(), alignment="alap")
        form = {} if structure == "open_loop" else {"form": "explicit"}
        optimizer = dgn_tf.DGNOpt(0.3, structure, "identity", weight_decay=0.1, **form)
        model.compile(optimizer, linear, run_eagerly=True)
        model.train_on_batch(x, np.eye(3)[y])
        results.append(model)
    close(results[0], results[2], 1e-14)
    close(results[1], results[2], 1e-14)
    assert differ(trained(form="explicit"), trained(information_structure="open_loop"))


def test_theorem_6_explicit_players_of_the_last_joint_stage_do_not_see_each_other(float64):
    """P_uv = 0: equal to (9) as long as the value functions are the same, not upstream of that."""
    duplicated = {"information_structure": "feedback", "absent_players": "duplicated"}
    team, alone = (
        trained(0, form="explicit", **settings).game.solve(*data()) for settings in ({}, duplicated)
    )
    for slot in (0, 1):
        np.testing.assert_allclose(team[2][slot].k, alone[2][slot].k, rtol=1e-12)
    assert np.abs(team[1][0].k - alone[1][0].k).max() > 1e-6


def test_cooperation_does_not_depend_on_slots_but_feedback_does(float64):
    def swapped(**settings):
        model = dgn_tf.GameModel(*network(), alignment="alap", slots={"D2a": 1, "D2b": 0})
        model.compile(dgn_tf.DGNOpt(0.5, curvature="identity", **settings), crossentropy())
        model.train_on_batch(*data())
        return model

    close(swapped(), trained())
    feedback = {"information_structure": "feedback"}
    assert differ(swapped(**feedback), trained(**feedback))


@pytest.mark.parametrize(
    "settings",
    [
        {"information_structure": "feedback"},
        {"information_structure": "feedback", "form": "explicit"},
        {"information_structure": "feedback", "form": "feedback_only"},
        {"information_structure": "cooperative", "weight_decay": 0.1},
        {"information_structure": "cooperative", "form": "explicit"},
        {"information_structure": "cooperative", "curvature": "ekfac", "learning_rate": 0.1},
        {"information_structure": "feedback", "curvature": "exact"},
    ],
    ids=str,
)
def test_without_state_feedback_the_step_is_the_open_gains_of_the_game(settings, float64):
    """θ ← θ - k with the k that `game.solve` gives, and K δx makes a difference."""
    settings = {"guard": None, **settings}
    model = trained(0, state_feedback=False, **settings)
    rate = settings.get("learning_rate", 0.5) if settings.get("curvature") == "exact" else 1.0
    solution = model.game.solve(*data())
    gains = {player.name: player.k for stage in solution for player in stage.players}
    before = {layer.name: layer.get_weights() for layer in model.layers}
    model.train_on_batch(*data())
    for layer in model.layers:
        if layer.name in gains:
            pairs = zip(before[layer.name], layer.get_weights(), strict=True)
            moved = np.concatenate([(old - new).ravel() for old, new in pairs])
            np.testing.assert_allclose(moved, rate * gains[layer.name].numpy(), atol=1e-12)
    assert differ(model, trained(**settings))


def test_without_state_feedback_the_value_function_is_still_the_closed_loops(float64):
    """Not the same as seeing no state: the open gains come from the recursion over (v, C)."""
    blind = trained(state_feedback=False)
    assert differ(blind, trained(information_structure="open_loop_cooperative"))


def test_state_feedback_is_a_boolean_in_the_configuration():
    optimizer = dgn_tf.DGNOpt(state_feedback=False)
    assert dgn_tf.DGNOpt.from_config(optimizer.get_config()).state_feedback is False
    with pytest.raises(ValueError, match="`state_feedback` must be True or False"):
        dgn_tf.DGNOpt(state_feedback="no")


def test_alignment_changes_the_game_and_not_the_gradient(float64):
    close(
        trained(alignment="asap", information_structure="open_loop"),
        trained(alignment="alap", information_structure="open_loop"),
    )
    assert differ(trained(alignment="asap"), trained(alignment="alap"))


@pytest.mark.parametrize("form", ["proximal", "explicit"])
def test_agents_are_a_larger_step_in_the_other_forms(form, float64):
    """N agents in proximal and in explicit form are one agent with learning rate N lr."""
    agents = trained(agents={"agents": 3, "form": form}, learning_rate=0.1)
    close(agents, trained(form=form, learning_rate=0.1 * 3))


def test_coupled_agents_are_levenberg_marquardt(float64):
    """One linear player: the summed update is N (I/lr + (N - 1) G)⁻¹ g."""
    set_seed(0)
    inputs = keras.Input((5,))
    net = inputs, keras.layers.Dense(3, name="only")(inputs)
    N, lr = 4, 0.3
    start = np.concatenate([w.ravel() for w in keras.Model(*net).get_weights()])
    layer = net[1]._keras_history.operation
    x, y = data()
    variables = [v.value for v in layer.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        logits = layer(tf.constant(x, tf.float64))
    J = np.concatenate([j.numpy().reshape(24, 3, -1) for j in tape.jacobian(logits, variables)], 2)
    p = tf.nn.softmax(logits).numpy()
    H = np.einsum("bi,ij->bij", p, np.eye(3)) - np.einsum("bi,bj->bij", p, p)
    G = np.einsum("bip,bij,bjq->pq", J, H, J) / 24
    g = np.einsum("bip,bi->p", J, p - np.eye(3)[y]) / 24
    expected = start - N * np.linalg.solve(np.eye(len(g)) / lr + (N - 1) * G, g)
    model = trained(net=net, agents={"agents": N}, learning_rate=lr, terminal="exact")
    found = np.concatenate([w.ravel() for w in model.get_weights()])
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def test_a_naive_partition_collapses_to_one_player(float64):
    model = keras.Model(*network())
    parts = dgn_tf.naive_partition(model, 2, alignment="alap")
    before = parts(data()[0]).numpy()
    np.testing.assert_allclose(before, model(data()[0]), rtol=1e-12)
    parts.compile(dgn_tf.DGNOpt(0.5, curvature="identity"), crossentropy(), run_eagerly=True)
    parts.train_on_batch(*data())
    assert len(parts.game.players) == 2 * 5
    np.testing.assert_allclose(parts(data()[0]), trained()(data()[0]), rtol=1e-9, atol=1e-10)
    for bad in (0, 7):
        with pytest.raises(ValueError, match="parts"):
            dgn_tf.naive_partition(model, bad)


def test_agents_that_cannot_be_seated_are_refused():
    model = keras.Model(*network())
    for agents in (0, 1.5, {"nobody": 2}, {"D2a": 2}):
        with pytest.raises(ValueError, match="agents"):
            dgn_tf.with_agents(model, agents, alignment="alap")


@pytest.mark.parametrize("solver", ["khatri_rao", "prop5"])
def test_the_other_solvers_with_zero_coupling_steps(solver):
    """No conjugate-gradient step is K-FAC of the batch, six differ; Proposition 5 trains damped."""
    block = dgn_tf.curvature.KFACBlock(damping=0.3, decay=0.0, refresh_every=1)
    settings = {"curvature": block, "solver": solver, "learning_rate": 0.05}
    values = trained(0, **settings)
    losses = [values.train_on_batch(*data())[0] for _ in range(6)]
    assert losses[-1] < losses[0]
    if solver == "khatri_rao":
        assert differ(trained(**settings), trained(khatri_rao_iterations=0, **settings))


def test_proposition_5_looks_at_the_explicit_value_ahead(float64):
    """The printed update. Both forms reduce the value of the one player downstream alike but for
    the square of the rate, and the explicit form leaves that of a stage of two to (13)."""

    def moved(form, rate, solver="prop5"):
        block = dgn_tf.curvature.KFACBlock(damping=0.3, decay=0.0, refresh_every=1)
        model = trained(curvature=block, solver=solver, form=form, learning_rate=rate,
                        terminal="gauss_newton", state_feedback=False)  # fmt: skip
        start = keras.Model(*network()).get_weights()
        steps = [(a - b) / rate for a, b in zip(model.get_weights(), start, strict=True)]
        names = [layer.name for layer in model.layers if layer.weights]
        return {name: steps[2 * place] for place, name in enumerate(names)}

    apart = [np.abs(moved("explicit", rate)["D2a"] - moved("proximal", rate)["D2a"]).max()
             for rate in (0.1, 0.01)]  # fmt: skip
    assert apart[0] / apart[1] == pytest.approx(100, rel=0.5)
    printed, alone = moved("explicit", 0.1), moved("explicit", 0.1, "sample_space")
    for name in ("D0", "D1", "D3"):
        np.testing.assert_allclose(printed[name], alone[name], rtol=1e-9, atol=1e-12)
    assert np.abs(printed["D2a"] - alone["D2a"]).max() > 0.01


@pytest.mark.parametrize("structure", ["open_loop", "cooperative"])
def test_damping_adapts_to_the_reduction_ratio(structure):
    block = dgn_tf.curvature.KFACBlock(damping=0.1, adaptive_damping=True)
    model = trained(4, curvature=block, information_structure=structure, learning_rate=0.1)
    dampings = [state["damping"].numpy() for state in model.optimizer.states.players.values()]
    assert all(d != pytest.approx(0.1) for d in dampings)


@pytest.mark.parametrize("eager", [True, False])
def test_steps_that_are_not_finite_are_skipped_counted_and_end_training(eager):
    model = dgn_tf.GameModel(*network())
    guard = dgn_tf.StepGuard(retries=1, patience=3)
    model.compile(
        dgn_tf.DGNOpt(0.1, curvature="kfac", guard=guard), crossentropy(), run_eagerly=eager
    )
    x, y = data()
    weights, bad = model.get_weights(), np.full_like(x, np.nan)
    logs = [model.train_on_batch(bad, y, return_dict=True) for _ in range(2)]
    assert [log["skipped_steps"] for log in logs] == [1, 2]
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    model.train_on_batch(x, y)
    assert differ(model, keras.Model(*network()))
    for _ in range(2):
        model.train_on_batch(bad, y)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"stage \d, player"):
        model.train_on_batch(bad, y)


def test_the_summary_names_what_every_weight_got():
    inputs = keras.Input((8, 8, 2))
    h = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    h = keras.layers.BatchNormalization(name="norm")(h)
    h = keras.layers.DepthwiseConv2D(3, name="depth")(h)
    net = inputs, keras.layers.Dense(3, name="head")(keras.layers.Flatten()(h))
    model = dgn_tf.GameModel(*net)
    model.compile(dgn_tf.DGNOpt(), crossentropy())
    text = model.game.summary(print_fn=None)
    rows = {line.split()[2]: line for line in text.splitlines()[3:]}
    assert set(rows) == {"conv", "(norm)", "(depth)", "head"}
    assert "ekfac" in rows["conv"]
    assert "76" in rows["conv"].split()
    assert "normalisation is no player" in rows["(norm)"]
    assert "diagonal" in rows["(depth)"]
    with pytest.raises(ValueError, match="'depth'"):
        dgn_tf.GameModel(*net, strict=True)


def test_kfac_and_ekfac_are_open_loops():
    for alias, block in ((dgn_tf.KFAC, "kfac"), (dgn_tf.EKFAC, "ekfac")):
        optimizer = alias(0.05, damping=0.1, refresh_every=2, weight_decay=0.01)
        assert (optimizer.information_structure, optimizer.curvature.name) == ("open_loop", block)
        again = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(optimizer)
        )
        assert type(again) is alias
        assert again.get_config() == optimizer.get_config()
