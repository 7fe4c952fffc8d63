"""The policies by themselves: against a plain loop, and their regret."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import dgn_tf
from dgn_tf.bandit import EXP3PP, Random


def reference(observations, arms, discount, c, rate):
    """EXP3++ with discounted sums, one number at a time: the probabilities before every choice."""
    losses, age, shown = [0.0] * arms, 0.0, []
    for arm, reward in observations:
        n = age + 1.0
        beta = 0.5 * math.sqrt(math.log(arms) / (n * arms))
        best = min(losses)
        scores = [math.exp(-rate * beta * (loss - best)) for loss in losses]
        least = []
        for loss in losses:
            gap = min(1.0, (loss - best) / n)
            x = n * gap**2
            xi = c * math.log(x if x > math.e else math.e) / x if x > 0 else math.inf
            least.append(min(1.0 / (2 * arms), beta, xi))
        chance = [
            (1.0 - sum(least)) * score / sum(scores) + low
            for score, low in zip(scores, least, strict=True)
        ]
        shown.append(chance)
        losses = [discount * loss for loss in losses]
        losses[arm] += (1.0 - reward) / chance[arm]
        age = discount * age + 1.0
    return np.array(shown)


@pytest.mark.parametrize("arms", [1, 2, 5])
@pytest.mark.parametrize(("discount", "c", "rate"), [(1.0, 1 / 32, 1.0), (0.9, 18.0, 4.0)])
def test_both_cores_are_the_reference(arms, discount, c, rate):
    rng = np.random.default_rng(0)
    seen = [(int(a), r) for a, r in zip(rng.integers(0, arms, 60), rng.random(60), strict=True)]
    policy = EXP3PP(discount=discount, exploration=c, rate=rate, seed=3)
    state, expected = policy.start(arms), reference(seen, arms, discount, c, rate)
    held = {name: tf.Variable(value) for name, value in state.items()}

    @tf.function
    def compiled(arm, reward):
        now = {name: tf.convert_to_tensor(variable) for name, variable in held.items()}
        for name, value in policy.observe(now, arm, reward).items():
            held[name].assign(value)
        return policy.probabilities(now), policy.choose(now)

    for (arm, reward), chances in zip(seen, expected, strict=True):
        np.testing.assert_allclose(policy.probabilities(state), chances, rtol=1e-12)
        found, choice = compiled(tf.constant(arm), tf.constant(reward, "float64"))
        np.testing.assert_allclose(found, chances, rtol=1e-10)
        assert policy.choose(state) == int(choice)
        state = policy.observe(state, arm, reward)
    np.testing.assert_array_equal(held["plays"], state["plays"])
    assert state["plays"].sum() == 60


@pytest.mark.parametrize("discount", [1.0, 0.99])
def test_probabilities_sum_to_one_above_their_floor(discount):
    policy = EXP3PP(discount=discount)
    arms, losses, _ = play(policy, lambda t: np.array([0.0, 0.9, 1.0]), 600, 3)
    state = policy.start(3)
    for arm, loss in zip(arms[:, 0], losses[:, 0], strict=True):
        chances, floor = policy.probabilities(state), policy.floor(state)
        assert chances.sum() == pytest.approx(1.0, abs=1e-12)
        assert (chances >= floor).all()
        assert (floor > 0).all()
        state = policy.observe(state, arm, 1.0 - loss)
    # The floor of a clearly worse arm falls below EXP3's.
    assert floor[2] < 0.25 * floor[0]


def test_draws_have_the_probabilities_and_the_same_seed_the_same_draws():
    again = []
    for seed in (1, 1, 2):
        policy, drawn = EXP3PP(seed=seed, discount=1.0), []
        state = policy.start(3)
        state["losses"] = np.array([0.0, 2.0, 5.0])
        for i in range(300):
            state["plays"] = np.array([i, 0, 0])
            drawn.append(policy.choose(state))
        again.append(drawn)
    assert again[0] == again[1] != again[2]
    chances = policy.probabilities(state)
    error = np.sqrt(chances * (1 - chances) / 600)
    shares = (np.bincount(again[0], minlength=3) + np.bincount(again[2], minlength=3)) / 600
    assert (np.abs(shares - chances) < 4 * error).all()


def test_random_has_no_preference():
    policy = Random()
    state = policy.observe(policy.start(4), 1)
    np.testing.assert_array_equal(policy.probabilities(state), np.full(4, 0.25))
    np.testing.assert_array_equal(state["plays"], [0, 1, 0, 0])


def play(policy, means, steps, arms, copies=32, random=False):
    """Arms and losses `(steps, copies)` of independent copies of a policy, and every arm's loss."""
    rng = np.random.default_rng(0)
    spec = policy.state_spec(arms)
    state = {name: np.zeros((copies, *shape), kind) for name, (shape, kind) in spec.items()}
    played, paid, table = [], [], []
    for t in range(steps):
        reached = np.cumsum(policy.probabilities(state), -1)[:, :-1]
        arm = (reached <= rng.random((copies, 1))).sum(-1)
        losses = np.broadcast_to(means(t), (copies, arms))
        if random:
            losses = (rng.random((copies, arms)) < losses).astype(float)
        mine = np.take_along_axis(losses, arm[:, None], 1)[:, 0]
        state = policy.observe(state, arm, 1.0 - mine)
        played.append(arm), paid.append(mine), table.append(means(t))
    return np.array(played), np.array(paid), np.array(table)


def test_regret_on_stochastic_arms_grows_slower_than_exp3():
    """From T to 4 T the exploration of EXP3 doubles; that of EXP3++ gains a logarithm."""
    means, exponents, last = np.array([0.1, 0.9]), {}, {}
    for name, c in (("EXP3++", 1 / 32), ("EXP3", 1e12)):
        arms, _, _ = play(
            EXP3PP(discount=1.0, exploration=c), lambda t: means, 6000, 2, random=True
        )
        regret = np.cumsum(means[arms] - means.min(), 0).mean(1)
        exponents[name] = math.log(regret[5999] / regret[1499], 4)
        last[name] = regret[5999] - regret[1499]
    assert exponents["EXP3++"] < 0.12
    assert exponents["EXP3"] > 0.2
    assert last["EXP3++"] < 0.25 * last["EXP3"]


@pytest.mark.parametrize("arms", [2, 4])
@pytest.mark.parametrize("adversary", ["longer and longer", "one turn"])
def test_regret_against_an_adversary_stays_below_the_theorem(arms, adversary):
    """4 √(K T ln K) at every T, on the copies' mean; the losses were fixed beforehand."""

    def losses(t):
        phase = int(math.log(t + 1, 3)) if adversary == "longer and longer" else t >= 833
        return 1.0 - np.eye(arms)[phase % arms]

    _, paid, table = play(EXP3PP(discount=1.0), losses, 2500, arms)
    best = np.cumsum(table, 0).min(1)
    regret = np.cumsum(paid, 0).mean(1) - best
    bound = 4.0 * np.sqrt(arms * np.arange(1, 2501) * math.log(arms))
    assert (regret <= bound).all()
    assert table.mean() * 2500 - best[-1] > bound[-1]  # a uniform choice would break it


def test_a_discount_follows_a_best_arm_that_changes():
    def losses(t):
        return np.where(np.arange(2) == (t // 800) % 2, 0.2, 0.6)

    found = {}
    for discount in (1.0, 0.995):
        _, paid, _ = play(EXP3PP(discount=discount), losses, 3200, 2, random=True)
        regret = paid.sum(0) - 0.2 * 3200
        found[discount] = regret.mean(), regret.std() / math.sqrt(len(regret))
    always, faded = found[1.0], found[0.995]
    assert faded[0] + 4 * faded[1] < 0.8 * (always[0] - 4 * always[1])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"discount": 0.0}, ValueError, r"`discount` must be in \(0, 1\]"),
        ({"discount": 1.1}, ValueError, "discount"),
        ({"discount": float("nan")}, ValueError, "discount"),
        ({"exploration": -1.0}, ValueError, "exploration"),
        ({"rate": 0.0}, ValueError, "rate"),
        ({"every": 0}, ValueError, "every"),
        ({"seed": 0.5}, ValueError, "seed"),
        ({"arms": []}, ValueError, "at least one"),
        ({"arms": "asap"}, TypeError, "list of alignments"),
        ({"reward": "loss"}, ValueError, "reward"),
        ({"validation": np.zeros((3, 2))}, ValueError, "pair"),
        ({"validation": (np.zeros((3, 2)), np.zeros(2))}, ValueError, r"lengths \[3, 2\]"),
        ({"validation": (np.zeros((0, 2)), np.zeros(0))}, ValueError, "at least one"),
    ],
)
def test_settings_out_of_range_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        EXP3PP(**settings)


def test_observations_out_of_range_are_refused():
    policy = EXP3PP()
    state = policy.start(2)
    for reward in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"`reward` must lie in \[0, 1\]"):
            policy.observe(state, 0, reward)
    for arm in (-1, 2):
        with pytest.raises(ValueError, match="`arm` must lie in 0 … 1"):
            policy.observe(state, arm, 0.5)
    with pytest.raises(ValueError, match="positive integer"):
        policy.start(0)


def slack():
    """Two residual blocks, each with a shortcut's player that has slack one."""
    inputs = keras.Input((5,))
    x = keras.layers.Dense(4, name="first")(inputs)
    for i in range(2):
        h = keras.layers.Dense(4, activation="tanh", name=f"a{i}")(x)
        h = keras.layers.Dense(4, name=f"b{i}")(h)
        x = keras.layers.Add()([h, keras.layers.Dense(4, name=f"short{i}")(x)])
    return keras.Model(inputs, keras.layers.Dense(3, name="last")(x))


def chained_slack():
    """A branch of two players beside one of four: six ways to place them."""
    inputs = keras.Input((5,))
    x = inputs
    for i in range(4):
        x = keras.layers.Dense(3, name=f"long{i}")(x)
    y = keras.layers.Dense(3, name="one")(inputs)
    y = keras.layers.Dense(3, name="two")(y)
    return keras.Model(inputs, keras.layers.Add()([x, y]))


def test_the_alignments_are_all_schedules_of_the_slack():
    arms = dgn_tf.alignments(slack())
    assert [(arm["short0"], arm["short1"]) for arm in arms] == [(1, 3), (1, 4), (2, 3), (2, 4)]
    assert all(len(arm) == 8 for arm in arms)
    places = [(arm["one"], arm["two"]) for arm in dgn_tf.alignments(chained_slack())]
    assert places == [(i, j) for i in range(4) for j in range(i + 1, 4)]
    first, *_, last = dgn_tf.alignments(chained_slack())
    for alignment, arm in (("asap", first), ("alap", last)):
        game = dgn_tf.GameModel.from_model(chained_slack(), alignment=alignment).game
        assert game.placement() == arm
    for arm in arms:
        assert dgn_tf.GameModel.from_model(slack(), alignment=arm).game.placement() == arm


def test_too_many_alignments_are_an_error_and_not_a_wait():
    with pytest.raises(ValueError, match="more than 3 alignments"):
        dgn_tf.alignments(slack(), limit=3)
    assert len(dgn_tf.alignments(slack(), limit=4)) == 4
    with pytest.raises(ValueError, match="`limit`"):
        dgn_tf.alignments(slack(), limit=0)
