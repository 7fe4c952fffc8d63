"""EKFAC: the eigenbasis of K-FAC with second moments of its own."""

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.curvature import eigenbasis as spectral
from dgn_tf.curvature.base import Preconditioner, Spec, State, add, average, read, shared
from dgn_tf.curvature.damping import split
from dgn_tf.curvature.kernels import DiagonalSide, rows_of, separable_kernel, weighted_product
from dgn_tf.curvature.kfac import KFACBlock
from dgn_tf.curvature.statistics import factors, samples
from dgn_tf.game.layout import WeightLayout
from dgn_tf.precise import einsum, matmul
from dgn_tf.settings import period


@keras.saving.register_keras_serializable(package="dgn_tf", name="EKFAC")
class EKFACBlock(KFACBlock):
    """M = (Q_A ⊗ Q_B)(diag(S) + λ I)(Q_A ⊗ Q_B)', George et al. (2018).

    Q_A and Q_B are eigenbases of K-FAC's factors and S the second moments of the per-sample
    gradient in them, the best diagonal in that basis in Frobenius norm. A shift is added to S
    exactly. The kernel of the recursion is K-FAC's, in the same bases.

    A factor wider than `full_basis_up_to` keeps its `rank` leading eigenvectors; the directions
    outside share one second moment. S moves to a new basis by the squared overlaps.

    Args:
        damping, decay, update_every, refresh_every, fisher, adaptive_damping, max_rows: as
            :class:`KFACBlock`; a refresh is an eigendecomposition.
        full_basis_up_to: the widest factor with a whole eigenbasis.
        rank: leading eigenvectors of a wider one.

    Raises:
        ValueError: for a value out of range.
    """

    name = "ekfac"

    def __init__(
        self,
        damping: float = 1e-2,
        decay: float = 0.95,
        update_every: int = 1,
        refresh_every: int = 10,
        fisher: str = "game",
        adaptive_damping: bool = False,
        max_rows: int | None = 8192,
        full_basis_up_to: int = 512,
        rank: int = 128,
    ):
        super().__init__(
            damping, decay, update_every, refresh_every, fisher, adaptive_damping, max_rows
        )
        self.full_basis_up_to = period("full_basis_up_to", full_basis_up_to)
        self.rank = period("rank", rank)
        if self.rank > self.full_basis_up_to:
            raise ValueError(
                "`rank` must not exceed `full_basis_up_to`. Received: "
                f"rank={rank}, full_basis_up_to={full_basis_up_to}."
            )

    def state_spec(self, layout: WeightLayout) -> Spec:
        rows, outputs = layout.shape
        k_A, k_B = (n if n <= self.full_basis_up_to else self.rank for n in layout.shape)
        s_A, s_B = k_A + (k_A < rows), k_B + (k_B < outputs)  # one value for all outside
        return {
            "input_factor": ((rows, rows), "zeros"),
            "output_factor": ((outputs, outputs), "zeros"),
            "input_basis": ((rows, k_A), "identity"),
            "output_basis": ((outputs, k_B), "identity"),
            "input_spectrum": ((s_A,), "zeros"),
            "output_spectrum": ((s_B,), "zeros"),
            "scale": ((s_A, s_B), "zeros"),
            "damping": ((), self.damping),
            "updates": ((), "zeros"),
        }

    def _refresh(self, state: State, shift: Any = None) -> None:
        names = ("input_basis", "output_basis", "scale", "input_spectrum", "output_spectrum")
        old = [read(state[name]) for name in names[:3]]
        first = tf.equal(read(state["updates"]), 0.0)
        for name, value in zip(names, _bases(*self._factors(state), *old, first), strict=True):
            state[name].assign(value)

    def _observe_more(self, state: State, cap: Any, step: Any) -> Any:
        """The second moments; leaves the coordinates a Q_A, g Q_B of a Dense layer."""
        Q_A, Q_B = read(state["input_basis"]), read(state["output_basis"])
        if cap.positions == 1:
            rows, game = rows_of(cap), self.fisher == "game"
            weights = cap.curvature_scale if game else cap.c
            *coordinates, scale = _dense_scale(*rows, Q_A, Q_B, weights, game)
        else:
            coordinates, scale = None, self._scale(samples(cap, self.max_rows, step), Q_A, Q_B)
        average(state["scale"], scale, state["updates"], self.decay)
        return coordinates

    def _scale(self, cap: Any, Q_A: tf.Tensor, Q_B: tf.Tensor) -> tf.Tensor:
        """The same from per-sample tangents; K-FAC's own diagonal where they do not fit."""
        if not cap.tangents_fit:
            spectra = []
            for Q, factor in zip((Q_A, Q_B), factors(cap, self.fisher), strict=True):
                diagonal = tf.reduce_sum(Q * matmul(factor, Q), 0)
                total = tf.linalg.trace(factor)[None]
                spectra.append(spectral.with_rest(diagonal, total, Q.shape[0]))
            return spectra[0][:, None] * spectra[1]
        tangents = cap.tangents()
        if self.fisher == "game":
            w = tf.reshape(tf.square(cap.curvature_scale), (-1,))
        else:
            shape = (-1, cap.columns, cap.rows, cap.outputs)
            tangents = einsum("br,brio->bio", cap.c, tf.reshape(tangents, shape))
            w = tf.ones_like(tangents[:, 0, 0])
        return spectral.mean_squares(tangents, w / cap.batch, Q_A, Q_B)

    def on(self, state: State, cap: Any, step: Any, shift: Any = None, left: Any = None) -> Any:
        bases = read(state["input_basis"]), read(state["output_basis"])
        scale = read(state["scale"]) + self._damping(state, shift)
        return _EigenPreconditioner(cap, bases, scale, partial(self._sides, state, shift), left)

    def _sides(self, state: State, shift: Any) -> tuple:
        sides, dampings = [], split(*self._factors(state), self._damping(state, shift))
        for side, of_side in zip(("input", "output"), dampings, strict=True):
            Q = read(state[f"{side}_basis"])
            inverse = 1.0 / (read(state[f"{side}_spectrum"]) + of_side)
            cut = Q.shape[1] < Q.shape[0]
            spectrum = (inverse[:-1], Q, inverse[-1]) if cut else (inverse, Q)
            sides.append(DiagonalSide(*spectrum))
        return tuple(sides)

    def to_dense(self, state: State, layout: WeightLayout, step: Any, shift: Any = None) -> Any:
        rows, outputs = layout.shape
        Q_A, Q_B = read(state["input_basis"]), read(state["output_basis"])
        unit = tf.reshape(tf.eye(rows * outputs, dtype=Q_A.dtype), (-1, rows, outputs))
        scale = read(state["scale"]) + self._damping(state, shift)
        applied = spectral.spectral_apply(Q_A, Q_B, scale, unit)
        return tf.reshape(applied, (rows * outputs, rows * outputs))


@shared
def _bases(A: Any, B: Any, Q_A: Any, Q_B: Any, scale: Any, first: Any) -> tuple:
    """The eigenbases of A and B, the second moments read in them, and the spectra."""
    (new_A, of_A), (new_B, of_B) = (
        spectral.eigenbasis(factor, Q, first) for factor, Q in ((A, Q_A), (B, Q_B))
    )
    moved = matmul(scale, spectral.mixing(new_B, Q_B), transpose_b=True)
    return new_A, new_B, matmul(spectral.mixing(new_A, Q_A), moved), of_A, of_B


@shared
def _dense_scale(
    a: tf.Tensor, g: tf.Tensor, Q_A: tf.Tensor, Q_B: tf.Tensor, weights: tf.Tensor, game: bool
) -> tuple:
    """Coordinates a Q_A, g Q_B, and ``E_b[(a Q_A)² ⊗ Σ_r (g_r Q_B)²]``."""
    of_a, of_g = matmul(a, Q_A), matmul(g, Q_B)
    columns, outputs = weights.shape[1], g.shape[-1]
    if game:
        squared = spectral.squares(g, Q_B, of_g) * tf.reshape(tf.square(weights), (-1, 1))
        if columns > 1:
            by_column = tf.reshape(squared, (-1, columns, squared.shape[-1]))
            squared = tf.reduce_sum(by_column, axis=1)
    else:
        by_column = tf.reshape(g, (-1, columns, outputs))
        squared = spectral.squares(einsum("br,bro->bo", weights, by_column), Q_B)
    batch = tf.cast(tf.shape(a)[0], a.dtype)
    return of_a, of_g, matmul(spectral.squares(a, Q_A, of_a), squared, transpose_a=True) / batch


class _EigenPreconditioner(Preconditioner):
    """Works in the eigenbasis' coordinates a Q_A, g Q_B of a Dense layer.

    Args:
        cap: the player's capture.
        bases: Q_A and Q_B.
        scale: S + λ + shift.
        sides: makes those of the kernel.
        left: the coordinates, where the statistics have made them.
    """

    def __init__(self, cap: Any, bases: Any, scale: Any, sides: Any, left: Any):
        super().__init__(cap)
        self.bases, self.scale, self.sides, self.left = bases, scale, sides, left

    def solve(self, tensors: Sequence) -> tuple:
        matrix = self.cap.matrix(tensors)
        Q_A, Q_B = self.bases
        return self.cap.tensors(spectral.spectral_apply(Q_A, Q_B, 1.0 / self.scale, matrix))

    @cached_property
    def _coordinates(self) -> tf.Tensor:
        if self.left is not None:
            return self.left
        return tuple(matmul(x, Q) for x, Q in zip(rows_of(self.cap), self.bases, strict=True))

    def kernel(self) -> tf.Tensor:
        known = self._coordinates if self.cap.positions == 1 else None
        of_inputs, of_outputs = self.sides()
        return separable_kernel(self.cap, of_inputs, of_outputs, known)

    def gain(self, w: tf.Tensor, extra: Sequence | None = None) -> tuple:
        of_inputs, of_outputs = (Q.shape[0] == Q.shape[1] for Q in self.bases)
        cheap = of_inputs or self.left is not None
        if self.cap.positions != 1 or not of_outputs or not cheap:
            return super().gain(w, extra)
        (Q_A, Q_B), cap, (a, g) = self.bases, self.cap, self._coordinates
        core = weighted_product((a, g), w, cap)
        whole = core if of_inputs else weighted_product((cap.a[:, 0], g), w, cap)
        solved = spectral.along_rows(Q_A, 1.0 / self.scale, whole, core)
        gain = cap.tensors(matmul(solved, Q_B, transpose_b=True))
        return gain if extra is None else add(gain, self.solve(extra))
