"""EXP3++: one bandit for stochastic and for adversarial rewards, with a memory that may fade."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from dgn_tf.bandit.policy import AlignmentPolicy, State, numerics
from dgn_tf.bandit.reward import Validation, accuracy


@keras.saving.register_keras_serializable("dgn_tf")
class EXP3PP(AlignmentPolicy):
    """EXP3++ (Seldin and Slivkins 2014, Algorithm 1), with discounted losses.

    Of K arms only the one played shows its loss ℓ = 1 - reward. Divided by the probability p of
    having played it, it is an unbiased estimate of the loss of that arm, and zero is one of the
    others'. Their sums L (`losses`) over the past give the next probabilities:

        p(a) = (1 - Σ_b ε(b)) ρ(a) + ε(a),    ρ(a) ∝ exp(-η L(a)),
        η = β = ½ √(ln K / (n K)),    ε(a) = min{1/(2K), β, ξ(a)},

    at the n-th choice. With ε = min{1/(2K), β} this is EXP3, whose exploration costs √n for ever;
    EXP3++ explores an arm less the clearer it is worse. Its gap to the best arm is estimated as
    Δ(a) = min{1, (L(a) - min L)/n}, and telling a gap Δ from zero takes of the order of ln(nΔ²)/Δ²
    plays, so that a rate of

        ξ(a) = c ln(nΔ(a)²) / (nΔ(a)²)

    keeps the arm's estimate good enough. (The logarithm is taken of at least e: where nΔ² is small
    nothing is known and β is the smaller one anyway.) Whatever ξ is, the expected regret against
    the best fixed arm after T choices of an oblivious adversary is at most 4 √(K T ln K) (Theorem
    1). The proofs for stochastic rewards, a regret of order ln(T)³/Δ, use (ln n)² for the logarithm
    and c = 18, with which ξ < β needs millions of choices; the default c = 1/32 is the one the
    authors experiment with.

    **Non-stationary rewards.** The best alignment changes as a network is trained. With a discount
    γ < 1 the past fades: L ← γ L + ℓ/p, and n, the number of choices, becomes their discounted
    number, n ← 1 + γ (n - 1) + …, that is n = 1 + Σ_s γ^s over the past ones, at most 1/(1 - γ)
    besides the next. It is EXP3++ with a memory of m = 1/(1 - γ) choices: a switch of the best
    arm is made good within a few m, and no estimate is ever better than m plays can make it. Over T
    choices with S switches the regret is of order T √(K ln K / m) + S m, smallest at
    m = (T √(K ln K) / (2 S))^(2/3); the default, m = 200, is that for some thousand choices between
    a few arms with a switch every few hundred. γ = 1 is EXP3++ itself.

    Args:
        validation: `(x, y)`, the arrays that the reward is measured on, after every training step
            with the new weights, in one forward pass: some hundred images are enough, and never the
            training set. They are saved with the optimizer's state and come back with it. Not
            needed outside of a model.
        arms, every, seed: as for `AlignmentPolicy`. The reward of an arm is measured at the last of
            its `every` steps.
        discount: γ in (0, 1].
        exploration: c.
        rate: a factor on η. Theorem 1 is for 1, the proofs for stochastic rewards for any larger
            one. Alignments differ by little: with losses a gap g apart, ρ is far from uniform only
            once rate · g · √(n ln K / K) / 2 is above one.
        reward: "accuracy" (labels sparse or one-hot), or a function of `(y, outputs)` that returns
            a scalar in [0, 1] and is made of TensorFlow or `keras.ops`. A step stops with an error
            at a reward outside of it (under `jit_compile=True`, where a step cannot stop, it is
            clipped); one that is not finite, as of a network that diverged, counts as 0.

    Raises:
        TypeError, ValueError: for arguments out of range, and validation arrays of unequal length.
    """

    needs_reward = True

    def __init__(
        self,
        validation: tuple | None = None,
        *,
        arms: Sequence[str | Mapping[str, int]] | None = None,
        every: int = 1,
        seed: int = 0,
        discount: float = 0.995,
        exploration: float = 1.0 / 32.0,
        rate: float = 1.0,
        reward: str | Callable = "accuracy",
    ):
        super().__init__(arms=arms, every=every, seed=seed)
        self.discount = _number("discount", discount, "in (0, 1]", lambda x: 0 < x <= 1)
        self.exploration = _number("exploration", exploration, "at least 0", lambda x: x >= 0)
        self.rate = _number("rate", rate, "positive", lambda x: 0 < x < math.inf)
        if reward != "accuracy" and not callable(reward):
            raise ValueError(
                '`reward` must be "accuracy" or a function of (y, outputs). '
                f"Received: reward={reward!r}"
            )
        self.reward = reward
        self.held: Validation | None = None
        if validation is not None:
            self.validation = validation

    @property
    def validation(self) -> tuple | None:
        """`(x, y)`, the arrays the reward is measured on; None before they are known.

        They can be set at any time. After a step was compiled with them, others must have the same
        shape and type but for their length.
        """
        return None if self.held is None else self.held.arrays()

    @validation.setter
    def validation(self, validation: tuple) -> None:
        if self.held is None:
            self.held = Validation(validation)
        else:
            self.held.replace(validation)

    @property
    def reward_function(self) -> Callable:
        """The function of `(y, outputs)`."""
        return accuracy if isinstance(self.reward, str) else self.reward

    def state_spec(self, arms: int) -> dict[str, tuple[tuple[int, ...], str]]:
        """Adds the `losses` L `(arms,)` and the discounted number of choices `age`."""
        mine = {"losses": ((arms,), "float64"), "age": ((), "float64")}
        return {**super().state_spec(arms), **mine}

    def floor(self, state: State) -> Any:
        """ε, the least probability of every arm, `(…, arms)`."""
        return self._parts(state)[1]

    def probabilities(self, state: State) -> Any:
        """p, `(…, arms)`: sums to one, never below `floor`."""
        xp = numerics(state["losses"])
        weights, floor = self._parts(state)
        return (1.0 - xp.sum(floor, axis=-1, keepdims=True)) * weights + floor

    def _parts(self, state: State) -> tuple[Any, Any]:
        """ρ and ε."""
        xp = numerics(state["losses"])
        losses = state["losses"]
        arms = losses.shape[-1]
        n = 1.0 + xp.expand_dims(state["age"], -1)
        bound = 0.5 * math.sqrt(math.log(arms) / arms) / xp.sqrt(n)
        above = losses - xp.min(losses, axis=-1, keepdims=True)
        weights = xp.exp(-self.rate * bound * above)
        weights = weights / xp.sum(weights, axis=-1, keepdims=True)
        gap = xp.minimum(above / n, 1.0)
        evidence = xp.maximum(n * gap * gap, 1e-200)
        xi = self.exploration * xp.log(xp.maximum(evidence, math.e)) / evidence
        return weights, xp.minimum(xp.minimum(bound, 0.5 / arms), xi)

    def remember(self, state: State, chosen: Any, reward: Any) -> dict[str, Any]:
        """L ← γ L + (1 - reward)/p on the arm played; the age ← γ age + 1."""
        xp = numerics(state["losses"])
        estimate = (1.0 - xp.cast(reward, "float64")) / self.probabilities(state)
        faded = self.discount * state["losses"]
        return {
            "losses": faded + estimate * xp.cast(chosen, "float64"),
            "age": self.discount * state["age"] + 1.0,
        }

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments without the validation arrays."""
        reward = self.reward
        return {
            **super().get_config(),
            "discount": self.discount,
            "exploration": self.exploration,
            "rate": self.rate,
            "reward": reward
            if isinstance(reward, str)
            else keras.saving.serialize_keras_object(reward),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "EXP3PP":
        config = dict(config)
        if not isinstance(config.get("reward", ""), str):
            config["reward"] = keras.saving.deserialize_keras_object(config["reward"])
        return cls(**config)


def _number(name: str, value: Any, rule: str, holds: Callable[[float], bool]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not holds(value):
        raise ValueError(f"`{name}` must be {rule}. Received: {name}={value!r}")
    return float(value)
