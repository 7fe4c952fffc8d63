"""K-FAC and EKFAC as optimizers: the open-loop special cases, under the names people look for."""

from typing import Any

import keras

from dgn_tf import curvature
from dgn_tf.optimizer import DGNOpt


class _OpenLoop(DGNOpt):
    block: type[curvature.KFAC]

    def __init__(
        self,
        learning_rate: Any = 0.03,
        damping: float = 1e-2,
        decay: float = 0.95,
        update_every: int = 1,
        refresh_every: int = 10,
        fisher: str = "game",
        adaptive_damping: bool = False,
        **kwargs: Any,
    ):
        block = type(self).block(
            damping=damping,
            decay=decay,
            update_every=update_every,
            refresh_every=refresh_every,
            fisher=fisher,
            adaptive_damping=adaptive_damping,
        )
        kwargs.setdefault("name", type(self).__name__.lower())
        super().__init__(learning_rate, "open_loop", block, **kwargs)

    def get_config(self) -> dict:
        config = super().get_config()
        config.pop("information_structure")
        config.pop("curvature")
        for setting in (
            "damping",
            "decay",
            "update_every",
            "refresh_every",
            "fisher",
            "adaptive_damping",
        ):
            config[setting] = getattr(self.curvature, setting)
        return config


@keras.saving.register_keras_serializable("dgn_tf.optimizers")
class KFAC(_OpenLoop):
    """K-FAC (Martens and Grosse 2015): `DGNOpt` in an open loop with Kronecker-factored curvature.

    Args:
        learning_rate: a positive number or a Keras schedule.
        damping, decay, update_every, refresh_every, fisher, adaptive_damping: as for
            `dgn_tf.curvature.KFAC`.
        kwargs: as for `DGNOpt`, weight decay and clipping among them.
    """

    block = curvature.KFAC


@keras.saving.register_keras_serializable("dgn_tf.optimizers")
class EKFAC(_OpenLoop):
    """EKFAC (George et al. 2018): `DGNOpt` in an open loop with the eigenbasis of K-FAC.

    Args:
        learning_rate: a positive number or a Keras schedule.
        damping, decay, update_every, refresh_every, fisher, adaptive_damping: as for
            `dgn_tf.curvature.EKFAC`.
        kwargs: as for `DGNOpt`, weight decay and clipping among them.
    """

    block = curvature.EKFAC
