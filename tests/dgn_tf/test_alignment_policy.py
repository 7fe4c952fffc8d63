"""Alignments chosen in training: what the arms do, the reward, saving, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dgn_tf
from dgn_tf.bandit import EXP3PP, AlignmentPolicy, Random
from tests.seeds import set_seed


def network(extras=False):
    set_seed(4)
    inputs = keras.Input((5,))
    x = keras.layers.Dense(4, activation="tanh", name="D0")(inputs)
    h = keras.layers.Dense(4, activation="tanh", name="D1")(x)
    h = keras.layers.BatchNormalization(name="norm")(h) if extras else h
    h = keras.layers.Dropout(0.3, seed=1, name="drop")(h) if extras else h
    a = keras.layers.Dense(4, name="D2a")(h)
    b = keras.layers.Dense(4, use_bias=False, name="D2b")(x)
    x = keras.layers.Activation("tanh")(keras.layers.Add()([a, b, x]))
    return inputs, keras.layers.Dense(3, name="D3")(x)


rng = np.random.default_rng(0)
X, Y = rng.normal(size=(48, 5)).astype("float32"), rng.integers(0, 3, 48)
IMAGES = X[32:], Y[32:]
SPARSE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def compiled(alignment, extras=False, eager=True, net=None, **settings):
    model = dgn_tf.GameModel(*(net or network(extras)), alignment=alignment, name="net")
    settings = {"learning_rate": 0.2, "curvature": "kfac", **settings}
    model.compile(dgn_tf.DGNOpt(**settings), SPARSE, metrics=["accuracy"], run_eagerly=eager)
    return model


def steps(model, count=3):
    """Trains on batches of 16 and returns the logs of every one."""
    batches = [slice(16 * (i % 2), 16 * (i % 2) + 16) for i in range(count)]
    return [model.train_on_batch(X[b], Y[b], return_dict=True) for b in batches]


def weights(model):
    """All of the model, and all of the optimizer that a plain one has too."""
    own = [v.numpy() for v in model.optimizer.variables if not v.name.startswith("bandit_")]
    return [*model.get_weights(), *own]


def assert_same(first, second, tolerance=0.0):
    for a, b in zip(weights(first), weights(second), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


class Always(AlignmentPolicy):
    """One of the arms, every time."""

    which = 0

    def probabilities(self, state):
        arms = state["plays"].shape[-1]
        return tf.one_hot(self.which, arms, dtype="float64")


def always(arm):
    policy = Always()
    policy.which = arm
    return policy


def test_one_arm_trains_bit_equal_to_its_alignment():
    plain = compiled("asap", extras=True, eager=False)
    bandit = compiled(EXP3PP(IMAGES, arms=["asap"]), extras=True, eager=False)
    steps(plain), steps(bandit)
    assert_same(plain, bandit)


@pytest.mark.parametrize(
    "settings",
    [
        {"information_structure": "cooperative"},
        pytest.param(
            {"information_structure": "feedback", "terminal": "exact", "curvature": "identity"},
            marks=pytest.mark.release,
        ),
        {"information_structure": "cooperative", "curvature": "adam", "weight_decay": 1e-2},
        pytest.param(
            {"information_structure": "open_loop_cooperative", "solver": "khatri_rao"},
            marks=pytest.mark.release,
        ),
        pytest.param({"information_structure": "open_loop"}, marks=pytest.mark.release),
        # Steps that the guard makes again, smaller, and at last refuses.
        {"guard": {"largest": 0.02}, "learning_rate": 1.0},
        pytest.param({"guard": {"largest": 1e-4}}, marks=pytest.mark.release),
        pytest.param({"guard": None}, marks=pytest.mark.release),
    ],
    ids=str,
)
def test_every_arm_is_the_step_of_its_alignment(settings, float64):
    arms = dgn_tf.alignments(keras.Model(*network()))
    assert len(arms) == 2
    results = []
    for i, arm in enumerate(arms):
        plain, bandit = compiled(arm, True, **settings), compiled(always(i), True, **settings)
        logs, found = steps(plain), steps(bandit)
        assert_same(plain, bandit, 1e-10)
        for before, after in zip(logs, found, strict=True):
            assert after.pop("arm") == i
            assert after == pytest.approx(before)
        results.append(plain.get_weights())
    refused = settings.get("guard", {"largest": 1.0}) == {"largest": 1e-4}
    assert (logs[-1].get("skipped_steps") == 3.0) == refused
    if settings.get("information_structure") != "open_loop" and not refused:
        assert any(abs(a - b).max() > 1e-6 for a, b in zip(*results, strict=True))


def test_arms_with_several_ways_through_one_cut(float64):
    """Two players in a row beside four: tensors that several stages of several arms read."""

    def net():
        set_seed(1)
        inputs = keras.Input((5,))
        x = keras.layers.Dense(4, activation="tanh", name="in")(inputs)
        long = x
        for i in range(4):
            long = keras.layers.Dense(4, activation="tanh", name=f"long{i}")(long)
            long = keras.layers.Add()([long, x])
        short = keras.layers.Dense(4, activation="tanh", name="one")(x)
        short = keras.layers.Dense(4, activation="tanh", name="two")(short)
        both = keras.layers.Add()([long, short, x])
        return inputs, keras.layers.Dense(3, name="out")(both)

    arms = dgn_tf.alignments(keras.Model(*net()))
    assert len(arms) == 6
    settings = {"curvature": "identity", "information_structure": "feedback"}
    for i in (0, 2, 5):
        plain, bandit = (compiled(a, net=net(), **settings) for a in (arms[i], always(i)))
        steps(plain, 2), steps(bandit, 2)
        assert_same(plain, bandit, 1e-10)


def test_the_policy_sees_the_accuracy_of_the_new_weights_and_its_choices_are_its_own():
    """The compiled step makes the choices of the policy by itself, given the rewards."""
    policy = EXP3PP(IMAGES, seed=5, discount=0.9)
    model = compiled(policy, eager=False)
    state, arms = policy.start(2), []
    for i in range(12):
        log = steps(model, 2)[1] if i == 0 else steps(model, 1)[0]
        if i == 0:
            first = model.optimizer.bandit_state
            state = {name: np.asarray(first[name]) for name in state}
        else:
            arms.append(int(log["arm"]))
            assert policy.choose(state) == arms[-1]
            correct = model.predict(IMAGES[0], verbose=0).argmax(-1) == IMAGES[1]
            assert log["reward"] == pytest.approx(correct.mean())
            state = policy.observe(state, arms[-1], correct.mean())
        found = model.optimizer.bandit_state
        np.testing.assert_allclose(found["losses"], state["losses"], rtol=1e-9)
        np.testing.assert_array_equal(found["plays"], state["plays"])
    assert set(arms) == {0, 1}
    assert found["steps"] == 13


def test_an_arm_is_kept_for_every_steps_and_rewarded_once():
    model = compiled(EXP3PP(IMAGES, every=3, seed=1))
    logs = steps(model, 12)
    arms = [int(log["arm"]) for log in logs]
    assert all(len(set(arms[i : i + 3])) == 1 for i in range(0, 12, 3))
    assert len(set(arms)) == 2
    assert [log["reward"] for log in logs[:2]] == [0.0, 0.0]
    assert logs[2]["reward"] == logs[3]["reward"] > 0
    assert model.optimizer.bandit_state["plays"].sum() == 4


@pytest.mark.release  # XLA's steps are eager ones in test_keras_habits.py, its draws TensorFlow's
def test_xla_draws_the_same_arms():
    logs = []
    for jit in (False, True):
        model = dgn_tf.GameModel(*network(), alignment=EXP3PP(IMAGES, seed=5))
        optimizer = dgn_tf.DGNOpt(0.1, curvature="identity")
        model.compile(optimizer, SPARSE, jit_compile=jit, run_eagerly=not jit)
        logs.append([(int(log["arm"]), float(log["reward"])) for log in steps(model, 6)])
    assert logs[0] == logs[1]
    assert {arm for arm, _ in logs[0]} == {0, 1}


def test_random_needs_no_images_and_plays_all_arms():
    model = compiled(Random(seed=2), curvature="identity")
    logs = steps(model, 10)
    assert {int(log["arm"]) for log in logs} == {0, 1}
    assert "reward" not in logs[0]


@keras.saving.register_keras_serializable("tests")
def confidence(y, outputs):
    chances = tf.gather(tf.nn.softmax(outputs), tf.cast(y, "int32"), batch_dims=1)
    return tf.reduce_mean(chances)


def fit(model, epochs, start=0, **kwargs):
    model.fit(X[:32], Y[:32], batch_size=16, epochs=epochs, initial_epoch=start, shuffle=False,
              verbose=0, **kwargs)  # fmt: skip


def test_saving_loading_and_backup_go_on_bit_equal(tmp_path):
    """Arms, estimates, draws and validation images come back; the reward is a function here."""

    def make():
        policy = EXP3PP(IMAGES, seed=3, reward=confidence)
        return compiled(policy, True, curvature="identity")

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise InterruptedError

    def backup():
        return keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))

    whole = make()
    fit(whole, 4)
    with pytest.raises(InterruptedError):
        fit(make(), 4, callbacks=[backup(), Stop()])
    resumed = make()
    resumed.alignment_policy.validation = (IMAGES[0] + 1, IMAGES[1])
    fit(resumed, 4, callbacks=[backup()])
    half = make()
    fit(half, 2)
    half.save(tmp_path / "net.keras")
    loaded = keras.saving.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(loaded.alignment_policy.validation[0], IMAGES[0])
    assert loaded.alignment_policy.get_config() == half.alignment_policy.get_config()
    fit(loaded, 4, 2)
    for model in (resumed, loaded):
        assert_same(model, whole)
        for name, value in whole.optimizer.bandit_state.items():
            np.testing.assert_array_equal(model.optimizer.bandit_state[name], value)
    assert (whole.optimizer.bandit_state["plays"] > 0).all()


def test_a_model_of_a_config_asks_for_its_images():
    config = compiled(EXP3PP(IMAGES, arms=["alap", "asap"])).get_config()
    model = dgn_tf.GameModel.from_config(config)
    assert model.alignment_policy.arms == ["alap", "asap"]
    assert model.alignment_policy.validation is None
    model.compile(dgn_tf.DGNOpt(0.1, curvature="identity"), SPARSE, run_eagerly=True)
    with pytest.raises(ValueError, match=r"set `model.alignment_policy.validation`"):
        steps(model, 1)
    model.alignment_policy.validation = IMAGES
    steps(model, 1)
    with pytest.raises(ValueError, match="types and sample shapes"):
        model.alignment_policy.validation = (X[:, :4], Y)
    model.alignment_policy.validation = X, Y


def test_one_hot_labels_are_the_same_accuracy():
    rewards = [
        [log["reward"] for log in steps(compiled(EXP3PP((IMAGES[0], y)), curvature="identity"))]
        for y in (IMAGES[1], IMAGES[1][:, None], np.eye(3)[IMAGES[1]])
    ]
    assert rewards[0] == rewards[1] == rewards[2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: compiled(EXP3PP(arms=["asap", {"D2b": 3}])), "'D2b' must be an integer within"),
        (lambda: compiled(EXP3PP(arms=["asap", {"D9": 1}])), "must name players"),
        (lambda: compiled(EXP3PP(arms=["asap", {"D2b": 1}])), "arms 0 and 1 both are"),
        (lambda: compiled(EXP3PP((X[:, :4], Y))), r"sample shape \(5,\).*\(4,\)"),
        (lambda: compiled(EXP3PP((X, np.eye(4)[Y]))), r"labels \(4,\)"),
        (lambda: compiled(EXP3PP(IMAGES), curvature="exact"), "Exact curvature"),
        (
            lambda: dgn_tf.with_agents(keras.Model(*network()), 2, alignment=Random()),
            "Fictitious agents need one alignment",
        ),
        (
            lambda: dgn_tf.with_agents(compiled(Random()), {"D1": 1, "D0": 3}),
            "Fictitious agents need one alignment",
        ),
    ],
)
def test_what_does_not_fit_the_model_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_rewards_in_a_step_are_legal_or_stop_it():
    def model_with(reward):
        return compiled(EXP3PP(IMAGES, reward=reward), curvature="identity")

    with pytest.raises(tf.errors.InvalidArgumentError, match=r"scalar in \[0, 1\]"):
        steps(model_with(lambda y, outputs: tf.constant(1.5)), 1)
    with pytest.raises(ValueError, match=r"must return a scalar. Received: shape \(16, 3\)"):
        steps(model_with(lambda y, outputs: outputs), 1)
    (log,) = steps(model_with(lambda y, outputs: tf.constant(float("nan"))), 1)
    assert log["reward"] == 0.0


def test_an_optimizer_keeps_to_its_arms():
    model = compiled(Random())
    other = dgn_tf.GameModel.from_model(model, alignment=EXP3PP(IMAGES))
    with pytest.raises(ValueError, match="another number of arms"):
        other.compile(model.optimizer, SPARSE)
    again = dgn_tf.GameModel.from_model(model, alignment=Random(seed=1))
    again.compile(model.optimizer, SPARSE, run_eagerly=True)
    steps(again, 1)


def test_the_games_of_the_arms_show_and_solve_themselves():
    model = compiled(Random(), curvature="identity")
    text = model.games[1].summary(print_fn=None)
    assert "2 arms, chosen by Random" in text
    assert "0          1\n1 (above)  2" in text
    assert "arms" not in compiled("asap").game.summary(print_fn=None)
    assert model.game is model.games[0]
    for game, alignment in zip(model.games, ("asap", "alap"), strict=True):
        ours = game.solve(X[:16], Y[:16])
        theirs = compiled(alignment, curvature="identity").game.solve(X[:16], Y[:16])
        for stage, expected in zip(ours, theirs, strict=True):
            for player, other in zip(stage.players, expected.players, strict=True):
                assert player.name == other.name
                if player.name is not None:
                    np.testing.assert_allclose(player.k, other.k, atol=1e-6)
