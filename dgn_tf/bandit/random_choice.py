"""An arm drawn uniformly: what a bandit has to beat."""

from typing import Any

import keras

from dgn_tf.bandit.policy import AlignmentPolicy, State, numerics


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
