"""K-FAC and EKFAC as optimizers: the open-loop special cases, under the names people look for."""

import inspect
from typing import Any

import keras

from dgn_tf import curvature
from dgn_tf.optimizer import DGNOpt


class _OpenLoop(DGNOpt):
    """`DGNOpt` in an open loop, the settings of its block among its own."""

    block: type[curvature.KFAC]

    def __init__(self, learning_rate: Any = 0.03, **kwargs: Any):
        names = self._block_settings()
        block = type(self).block(**{k: kwargs.pop(k) for k in names if k in kwargs})
        kwargs.setdefault("name", type(self).__name__.lower())
        super().__init__(learning_rate, "open_loop", block, **kwargs)

    @classmethod
    def _block_settings(cls) -> list[str]:
        return list(inspect.signature(cls.block).parameters)

    def get_config(self) -> dict:
        config = super().get_config()
        for fixed in ("information_structure", "curvature"):
            config.pop(fixed)
        return {**config, **self.curvature.get_config()}


@keras.saving.register_keras_serializable("dgn_tf.optimizers")
class KFAC(_OpenLoop):
    """K-FAC (Martens and Grosse 2015): `DGNOpt` in an open loop with Kronecker-factored curvature.

    Args:
        learning_rate: a positive number or a Keras schedule.
        kwargs: damping and the other settings of `dgn_tf.curvature.KFAC`; all else as for `DGNOpt`,
            weight decay, clipping and `kl_clip` among them.
    """

    block = curvature.KFAC


@keras.saving.register_keras_serializable("dgn_tf.optimizers")
class EKFAC(_OpenLoop):
    """EKFAC (George et al. 2018): `DGNOpt` in an open loop with the eigenbasis of K-FAC.

    Args:
        learning_rate: a positive number or a Keras schedule.
        kwargs: damping, rank and the other settings of `dgn_tf.curvature.EKFAC`; all else as for
            `DGNOpt`, weight decay, clipping and `kl_clip` among them.
    """

    block = curvature.EKFAC
