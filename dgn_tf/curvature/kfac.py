"""K-FAC: M ≈ (A + π√λ I) ⊗ (B + √λ/π I)."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.curvature.base import Preconditioner, Spec, State, add, due, read, shared, when
from dgn_tf.curvature.damping import Averaged, damped_inverse, split
from dgn_tf.curvature.kernels import MatrixSide, rows_of, separable_kernel, weighted_product
from dgn_tf.curvature.statistics import FISHER, observe_factors, samples
from dgn_tf.game import keras_surface as surface
from dgn_tf.game.layout import WeightLayout
from dgn_tf.precise import matmul
from dgn_tf.settings import one_of, period


@keras.saving.register_keras_serializable(package="dgn_tf", name="KFAC")
class KFACBlock(Averaged):
    """Kronecker-factored curvature of Martens and Grosse (2015), for convolutions as in (2016).

    A = E[a a'], a the layer's inputs (patches) with a 1 for the bias; B = E[g g'], g the cotangents
    of the terminal factor. M is the Gauss-Newton matrix itself for one sample of a Dense layer.
    A shift (weight decay in the proximal form) joins the damping at the next refresh.

    Args:
        damping: λ, positive; the first value where it is adaptive.
        decay: weight of the past in the running averages, in [0, 1); 0 uses the batch alone.
        update_every: steps between two updates of A and B.
        refresh_every: steps between two inversions.
        fisher: ``game``: g from the terminal factor; ``empirical``: from the loss's gradient.
        adaptive_damping: change the damping by the reduction ratio (Levenberg-Marquardt).
        max_rows: where a batch has more positions than this, the factors are estimated from every
            k-th sample; None uses all.

    Raises:
        ValueError: for a value out of range.
    """

    name = "kfac"

    def __init__(
        self,
        damping: float = 1e-2,
        decay: float = 0.95,
        update_every: int = 1,
        refresh_every: int = 10,
        fisher: str = "game",
        adaptive_damping: bool = False,
        max_rows: int | None = 8192,
    ):
        super().__init__(damping, decay, update_every, adaptive_damping)
        self.refresh_every = period("refresh_every", refresh_every)
        self.max_rows = max_rows if max_rows is None else period("max_rows", max_rows)
        one_of("fisher", fisher, FISHER)
        self.fisher = fisher

    def state_spec(self, layout: WeightLayout) -> Spec:
        rows, outputs = layout.shape
        return {
            "input_factor": ((rows, rows), "zeros"),
            "output_factor": ((outputs, outputs), "zeros"),
            "input_inverse": ((rows, rows), "identity"),
            "output_inverse": ((outputs, outputs), "identity"),
            "damping": ((), self.damping),
            "updates": ((), "zeros"),
        }

    def observe(self, state: State, cap: Any, gradient: tuple, step: Any, shift: Any = None) -> Any:
        return self.observe_all([(state, cap, gradient, shift)], step)[0]

    def observe_all(self, batches: Sequence[tuple], step: Any) -> list:
        """All players' statistics in one branch, and all their refreshes in another, each when due.

        Both conditions are read before anything is assigned; equal periods share one branch.
        """
        updates = batches[0][0]["updates"]
        observes = due(step, self.update_every, updates)
        left = [None] * len(batches)

        def statistics() -> None:
            for state, cap, _, _ in batches:
                observe_factors(state, samples(cap, self.max_rows, step), self.fisher, self.decay)

        def refresh() -> None:
            for state, _, _, shift in batches:
                self._refresh(state, shift)

        def then() -> None:
            for i, (state, cap, _, _) in enumerate(batches):
                left[i] = self._observe_more(state, cap, step)
                state["updates"].assign(read(state["updates"]) + 1.0)

        if self.update_every == self.refresh_every:
            when(observes, lambda: [action() for action in (statistics, refresh, then)])
        else:
            refreshes = due(step, self.refresh_every, updates)
            when(observes, statistics)
            when(refreshes, refresh, surface.cond)
            when(observes, then)
        return left if observes is True else [None] * len(batches)

    def _observe_more(self, state: State, cap: Any, step: Any) -> Any:
        """Statistics in the refreshed basis, for blocks that have them, and what they leave."""

    def _refresh(self, state: State, shift: Any) -> None:
        inverses = _inverses(*self._factors(state), self._damping(state, shift))
        for name, inverse in zip(("input", "output"), inverses, strict=True):
            state[f"{name}_inverse"].assign(inverse)

    def _factors(self, state: State) -> tuple[tf.Tensor, tf.Tensor]:
        """A ``(I, I)`` and B ``(O, O)``."""
        return read(state["input_factor"]), read(state["output_factor"])

    def _damping(self, state: State, shift: Any) -> tf.Tensor:
        """λ and the shift."""
        damping = read(state["damping"])
        return damping if shift is None else damping + shift

    def on(self, state: State, cap: Any, step: Any, shift: Any = None, left: Any = None) -> Any:
        inverses = read(state["input_inverse"]), read(state["output_inverse"])
        return _FactoredPreconditioner(cap, *map(MatrixSide, inverses))

    def to_dense(self, state: State, layout: WeightLayout, step: Any, shift: Any = None) -> Any:
        """From the current factors, which the inverses are those of at a refresh."""
        A, B = self._factors(state)
        of_A, of_B = split(A, B, self._damping(state, shift))
        left = A + of_A * tf.eye(A.shape[0], dtype=A.dtype)
        right = B + of_B * tf.eye(B.shape[0], dtype=B.dtype)
        return kronecker(left, right)


@shared
def _inverses(A: tf.Tensor, B: tf.Tensor, damping: Any) -> tuple:
    """The damped inverses of A and B."""
    of_A, of_B = split(A, B, damping)
    return damped_inverse(A, of_A), damped_inverse(B, of_B)


class _FactoredPreconditioner(Preconditioner):
    """M⁻¹ = A⁻¹ ⊗ B⁻¹; a A⁻¹ and g B⁻¹ of a Dense layer serve its kernel and its gain."""

    def __init__(self, cap: Any, of_inputs: MatrixSide, of_outputs: MatrixSide):
        super().__init__(cap)
        self.sides = of_inputs, of_outputs

    def solve(self, tensors: Sequence) -> tuple:
        of_A, of_B = (side.inverse for side in self.sides)
        return self.cap.tensors(matmul(matmul(of_A, self.cap.matrix(tensors)), of_B))

    @cached_property
    def _solved(self) -> Any:
        return tuple(s.coordinates(x) for s, x in zip(self.sides, rows_of(self.cap), strict=True))

    def kernel(self) -> tf.Tensor:
        known = self._solved if self.cap.positions == 1 else None
        return separable_kernel(self.cap, *self.sides, known)

    def gain(self, w: tf.Tensor, extra: Sequence | None = None) -> tuple:
        if self.cap.positions != 1:
            return super().gain(w, extra)
        gain = self.cap.tensors(weighted_product(self._solved, w, self.cap))
        return gain if extra is None else add(gain, self.solve(extra))


def kronecker(A: tf.Tensor, B: tf.Tensor) -> tf.Tensor:
    """``A ⊗ B``, which acts on row-major ``(I, O)`` matrices as ``A X B'``; both of any shape."""
    blocks = A[:, None, :, None] * B[None, :, None, :]
    return tf.reshape(blocks, (A.shape[0] * B.shape[0], A.shape[1] * B.shape[1]))
