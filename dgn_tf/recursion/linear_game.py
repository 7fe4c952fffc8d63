"""A linearised game and its solution, stage by stage.

The dynamics are ``x_{t+1} = F_x δx + Σ_n F_n δθ_n``; the state is the stack of the batch's samples;
a policy is ``δθ_n = -(k_n + K_n δx)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from dgn_tf.precise import matmul, matvec


@dataclass(frozen=True)
class DenseStage:
    """One stage of the linearised game: m is the size of the next state, n of this one.

    The lists have one entry per slot; a slot without a player holds None (or the list is shorter).

    Attributes:
        F_x: ``(m, n)``, the Jacobian of the next state in the state.
        F_n: for every slot ``(m, p)``, the Jacobian in the player's p weights.
        l_u: for every slot ``(p,)``, the gradient of the player's running cost.
        l_uu: for every slot the Hessian of the running cost, ``(p, p)`` or a scalar multiple of I.
        l_x: ``(n,)``, gradient of a running cost of the state, the same for all; zero when None.
        l_xx: ``(n, n)``, its Hessian; zero when None.
    """

    F_x: tf.Tensor
    F_n: Sequence[tf.Tensor | None]
    l_u: Sequence[tf.Tensor | None]
    l_uu: Sequence[tf.Tensor | float | None]
    l_x: tf.Tensor | None = None
    l_xx: tf.Tensor | None = None

    @property
    def present(self) -> tuple[int, ...]:
        """The slots that have a player here, in ascending order."""
        return tuple(n for n, F in enumerate(self.F_n) if F is not None)


@dataclass(frozen=True)
class DenseGain:
    """A player's policy ``θ ← θ - (k + K δx)`` and its value function at its stage.

    Attributes:
        k: ``(p,)``, the open gain.
        K: ``(p, n)``, the feedback gain.
        V_x: ``(n,)``, the gradient of the player's own value function at the stage's state; None
            in the cooperative structures, whose one value function belongs to the stage.
        V_xx: ``(n, n)``, its Hessian, or None likewise.
    """

    k: tf.Tensor
    K: tf.Tensor
    V_x: tf.Tensor | None = None
    V_xx: tf.Tensor | None = None


@dataclass(frozen=True)
class DenseStageResult:
    """The policies and value functions of a stage; ``result[n]`` is the player in slot n.

    Attributes:
        players: for every slot a :class:`DenseGain`, or None.
        W_x: ``(n,)``, gradient of the cooperative value function, or None.
        W_xx: ``(n, n)``, its Hessian, or None.
        V_x: for every slot, with or without a player here, ``(n,)``; empty when cooperative.
        V_xx: for every slot ``(n, n)``; empty when cooperative.
    """

    players: tuple[DenseGain | None, ...]
    W_x: tf.Tensor | None = None
    W_xx: tf.Tensor | None = None
    V_x: tuple[tf.Tensor, ...] = ()
    V_xx: tuple[tf.Tensor, ...] = ()

    def __getitem__(self, slot: int) -> DenseGain | None:
        return self.players[slot]


def stage_result(stage: DenseStage, gains: Any, V: Any) -> DenseStageResult:
    """The result of a structure with one value function per slot, from ``{slot: (k, K)}`` of the
    players present, and for every slot ``(V_x, V_xx)``."""
    players = tuple(
        DenseGain(*gains[n], *V[n]) if n in stage.present else None for n in range(len(V))
    )
    return DenseStageResult(players, None, None, tuple(v[0] for v in V), tuple(v[1] for v in V))


def hessian(l_uu: tf.Tensor, size: int, dtype: Any) -> tf.Tensor:
    """A running cost's Hessian ``(size, size)`` from a matrix or a scalar."""
    l_uu = tf.convert_to_tensor(l_uu, dtype)
    return l_uu * tf.eye(size, dtype=dtype) if l_uu.shape.rank == 0 else l_uu


def symmetric_part(matrix: tf.Tensor) -> tf.Tensor:
    """``(matrix + matrix') / 2``."""
    return 0.5 * (matrix + tf.transpose(matrix))


def chain_rule(stage: DenseStage, V: Any) -> tuple:
    """Q_x ``(n,)`` and Q_xx ``(n, n)`` of (9) from ``V = (V_x, V_xx)`` at the next stage."""
    Q_x = matvec(stage.F_x, V[0], transpose_a=True)
    Q_xx = matmul(stage.F_x, matmul(V[1], stage.F_x), transpose_a=True)
    if stage.l_x is not None:
        Q_x += stage.l_x
    if stage.l_xx is not None:
        Q_xx += stage.l_xx
    return Q_x, symmetric_part(Q_xx)


def as_scalar(value: Any, dtype: Any) -> tf.Tensor:
    """A number or scalar tensor in the given type, a Python number without loss of precision."""
    if isinstance(value, int | float):  # tf.cast would round it to single precision first
        return tf.constant(value, dtype)
    return tf.cast(value, dtype)
