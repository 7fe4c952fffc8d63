"""What an alignment policy is: settings, and pure functions of a state."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dgn_tf.settings import Settings, period

State = Mapping[str, Any]
Spec = dict[str, tuple[tuple[int, ...], str]]


class AlignmentPolicy(Settings):
    """Chooses between arms, here the alignments of a game, again and again.

    A policy is settings. Its state is a dictionary of arrays that every function is handed: NumPy
    arrays outside of a model (`start` makes them), variables of the optimizer inside one. A
    subclass says what else it remembers (`state_spec`), the probabilities of the arms, and how an
    observation moves the state (`remember`).

    Args:
        arms: the alignments to choose from, each "asap", "alap" or {layer name: stage}; None for
            all that `dgn_tf.alignments` lists.
        every: how many training steps an arm is kept.
        seed: of the draws; with the same seed and the same rewards the choices are the same.

    Raises:
        TypeError, ValueError: for arms that are no list of alignments, or numbers out of range.
    """

    needs_reward = False

    def __init__(
        self,
        *,
        arms: Sequence[str | Mapping[str, int]] | None = None,
        every: int = 1,
        seed: int = 0,
    ):
        if arms is not None:
            if isinstance(arms, str | Mapping) or not isinstance(arms, Sequence):
                raise TypeError(
                    f"`arms` must be a list of alignments or None. Received: {type(arms).__name__}"
                )
            if not arms:
                raise ValueError("`arms` must hold at least one alignment. Received: arms=[]")
            arms = [arm if isinstance(arm, str) else dict(arm) for arm in arms]
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise ValueError(f"`seed` must be an integer. Received: seed={seed!r}")
        self.arms, self.every, self.seed = arms, period("every", every), seed

    @property
    def name(self) -> str:
        return type(self).__name__

    def state_spec(self, arms: int) -> Spec:
        """Name → (shape, dtype) of the state for a number of arms; everything starts at zero."""
        return {"plays": ((arms,), "int64")}

    def start(self, arms: int) -> dict[str, np.ndarray]:
        """The state before the first choice, outside of a model; a ValueError without an arm."""
        spec = self.state_spec(period("arms", arms))
        return {name: np.zeros(shape, dtype) for name, (shape, dtype) in spec.items()}

    def probabilities(self, state: State) -> Any:
        """The chances of the arms at the next choice, `(…, arms)`."""
        raise NotImplementedError

    def choose(self, state: State, seed: Any = None) -> Any:
        """The next arm: the same one for the same state, whose count of plays numbers the draw, and
        seed, the policy's own or (in a model) a variable."""
        xp = numerics(state["plays"])
        seed = self.seed if seed is None else seed
        chances = self.probabilities(state)
        # Bits, of which XLA makes the same ones; its real numbers would differ.
        bits = tf.random.stateless_uniform(
            (), [seed, xp.sum(state["plays"])], None, None, "uint32", alg="philox"
        )
        draw = (int(bits) if xp is np else tf.cast(bits, "float64")) * 2.0**-32
        reached = xp.cumsum(chances)
        # The last arm takes what rounding leaves.
        return xp.count_nonzero(reached[:-1] <= draw * reached[-1])

    def observe(self, state: State, arm: Any, reward: Any = 0.0) -> dict[str, Any]:
        """The state after an arm was played, `(…,)` indices and rewards in [0, 1] for states with
        leading axes; outside of a compiled step a ValueError for others."""
        xp = numerics(state["plays"])
        arms = state["plays"].shape[-1]
        if xp is np:
            index, value = np.asarray(arm), np.asarray(reward)
            if not np.all((index >= 0) & (index < arms)):
                raise ValueError(f"`arm` must lie in 0 … {arms - 1}. Received: arm={arm}")
            if not np.all((value >= 0.0) & (value <= 1.0)):
                raise ValueError(f"`reward` must lie in [0, 1]. Received: reward={reward}")
        chosen = xp.equal(xp.expand_dims(arm, -1), xp.arange(arms))
        after = self.remember(state, chosen, xp.expand_dims(reward, -1))
        return {"plays": xp.where(chosen, state["plays"] + 1, state["plays"]), **after}

    def remember(self, state: State, chosen: Any, reward: Any) -> dict[str, Any]:
        """The new values of what the policy remembers besides the counts, from the state before,
        `(…, arms)` booleans and `(…, 1)` rewards."""
        return {}


@keras.saving.register_keras_serializable("dgn_tf")
class Random(AlignmentPolicy):
    """Every arm with the same chance, whatever came before; no reward is computed.

    Args:
        arms, every, seed: as for `AlignmentPolicy`.
    """

    def probabilities(self, state: State) -> Any:
        """1/K for each of K arms, `(…, arms)`."""
        plays = state["plays"]
        return numerics(plays).full_like(plays, 1.0 / plays.shape[-1], dtype="float64")


def numerics(array: Any) -> Any:
    """The namespace that an array's mathematics is written in: one source for both kinds."""
    return np if isinstance(array, np.ndarray | np.generic) else keras.ops
