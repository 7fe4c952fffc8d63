"""EXP3++: one bandit for stochastic and for adversarial rewards, with a memory that may fade."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from dgn_tf.bandit.policy import AlignmentPolicy, Spec, State, numerics
from dgn_tf.bandit.reward import Validation, accuracy
from dgn_tf.settings import number, positive


@keras.saving.register_keras_serializable("dgn_tf")
class EXP3PP(AlignmentPolicy):
    """EXP3++ (Seldin and Slivkins 2014, Algorithm 1), with discounted losses.

    Of K arms, with losses L summed over the chances they were seen with, at the n-th choice,

        p(a) = (1 - Σ_b ε(b)) ρ(a) + ε(a),    ρ(a) ∝ exp(-η L(a)),
        η = β = ½ √(ln K / (n K)),    ε(a) = min{1/(2K), β, c ln(nΔ²)/(nΔ²)},

    Δ(a) = min{1, (L(a) - min L)/n}; then L ← γ L + ℓ/p of the arm played and n ← γ n + 1.
    `docs/alignments.md` has its regret, with and without a fading memory (γ < 1).

    Args:
        validation: `(x, y)`, never the training set: what the reward is measured on after every
            training step, in one forward pass; saved with the optimizer. Only for a model.
        arms, every, seed: as for `AlignmentPolicy`. The reward of an arm is measured at the last of
            its `every` steps.
        discount: γ in (0, 1].
        exploration: c.
        rate: a positive factor on η; Theorem 1 is for 1.
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
        self.discount = number("discount", discount, "be in (0, 1]", lambda x: 0 < x <= 1)
        self.exploration = number("exploration", exploration, "be at least 0", lambda x: x >= 0)
        self.rate = positive("rate", rate)
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
        """`(x, y)`, None before they are known. They can be set at any time; after a step was
        compiled with them, only to others of the same shape and type but for their length."""
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

    def state_spec(self, arms: int) -> Spec:
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
        losses, arms = state["losses"], state["losses"].shape[-1]
        xp = numerics(losses)
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
        estimate = (1.0 - reward) / self.probabilities(state)
        faded = self.discount * state["losses"]
        return {
            "losses": numerics(faded).where(chosen, faded + estimate, faded),
            "age": self.discount * state["age"] + 1.0,
        }

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments without the validation arrays."""
        config = super().get_config()
        config.pop("validation")
        return {**config, "reward": keras.saving.serialize_keras_object(self.reward)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "EXP3PP":
        reward = keras.saving.deserialize_keras_object(config.get("reward", "accuracy"))
        return cls(**{**config, "reward": reward})
