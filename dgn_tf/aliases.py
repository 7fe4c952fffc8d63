"""K-FAC and EKFAC as optimizers: the open-loop special cases, under the names people look for."""

import inspect
from typing import Any

import keras

from dgn_tf import curvature
from dgn_tf.optimizer import DGNOpt


class _OpenLoop(DGNOpt):
    """`DGNOpt` in an open loop, the settings of its block among its own."""

    block: type[curvature.KFACBlock]

    def __init__(self, learning_rate: Any = 0.03, **kwargs: Any):
        names = inspect.signature(self.block).parameters
        block = self.block(**{name: kwargs.pop(name) for name in names if name in kwargs})
        kwargs.setdefault("name", type(self).__name__.lower())
        super().__init__(learning_rate, "open_loop", block, **kwargs)

    def get_config(self) -> dict:
        config = {**super().get_config(), **self.curvature.get_config()}
        return {k: v for k, v in config.items() if k not in ("information_structure", "curvature")}


@keras.saving.register_keras_serializable("dgn_tf.optimizers")
class KFAC(_OpenLoop):
    """K-FAC (Martens and Grosse 2015): `DGNOpt` in an open loop with Kronecker-factored curvature.

    Args:
        learning_rate: a positive number or a Keras schedule.
        kwargs: the settings of `dgn_tf.curvature.KFACBlock`; all else as for `DGNOpt`.
    """

    block = curvature.KFACBlock


@keras.saving.register_keras_serializable("dgn_tf.optimizers")
class EKFAC(_OpenLoop):
    """EKFAC (George et al. 2018): `DGNOpt` in an open loop with the eigenbasis of K-FAC.

    Args:
        learning_rate: a positive number or a Keras schedule.
        kwargs: the settings of `dgn_tf.curvature.EKFACBlock`; all else as for `DGNOpt`.
    """

    block = curvature.EKFACBlock
