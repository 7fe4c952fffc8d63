"""What one player shows of itself on one batch: its inputs, its cotangents and its tangents.

With Z the factor of the terminal Hessian (R columns per sample), a player with weights W (I × O,
the bias as last row) has per sample and column the tangent U^{b,r} = Σ_p a_p^b (g_p^{b,r})', where
a are the inputs (or patches) at position p and g the cotangents of Z's column r at the
pre-activation. The joint axis of samples and columns is sample-major: index b·R + r.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from dgn_tf.game.layout import WeightLayout
from dgn_tf.precise import einsum, matmul, matvec

TANGENT_BUDGET = 64_000_000
"""Numbers a player's per-sample tangents may hold before they are approximated."""
KEPT_TANGENTS = 4_000_000
"""Numbers of them that are kept from a player's statistics to its gain; more are made where they
are needed, one player's after the other's."""
EXPECTED_BATCH = 256
"""Samples in a batch whose size nothing tells."""


def thin_samples(x: tf.Tensor, stride: int | tf.Tensor, offset: int | tf.Tensor) -> tf.Tensor:
    """``x[offset::stride]``, sample by sample: a strided slice goes number by number on a CPU."""
    return tf.gather(x, tf.range(offset, tf.shape(x)[0], stride))


def current_graph() -> Any:
    """The graph that is being traced, None where there is none."""
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


class Capture:
    """One player on one batch.

    Args:
        inputs: what the layer was handed, a tensor per use: `(B, P, I0)` where `rows` is None.
        cotangents: `(B, P, R, O)`, per sample, without 1/B.
        layout: how the variables form one matrix.
        rows: function that makes `(B, P, I0)` of one use's input.
        c: `(B, R)` with φ_x = Z c; ones by default.
        curvature_scale: `(B, R)`, square root of the diagonal of C_T; ones by default.
        flat: how many of the last columns are known to have a C_T of zero.
        weighted: a cheaper way to (1/B) U w than through `inputs`, a function of `(B, R)` w.
        expected: samples in a batch where the tensors do not say.
        tangents: whether those of several positions, where they stay, are made now, to be shared.
        batch: B as a float scalar, where there is one already.
    """

    def __init__(
        self,
        inputs: Sequence[tf.Tensor],
        cotangents: tf.Tensor,
        layout: WeightLayout,
        *,
        rows: Callable[[tf.Tensor], tf.Tensor] | None = None,
        c: tf.Tensor | None = None,
        curvature_scale: tf.Tensor | None = None,
        flat: int = 0,
        weighted: Callable[[tf.Tensor], tuple] | None = None,
        expected: int = EXPECTED_BATCH,
        tangents: bool = False,
        batch: tf.Tensor | None = None,
    ):
        self._inputs = inputs
        self._rows = rows
        self.g = cotangents
        self.layout = layout
        self.matrix, self.tensors = layout.matrix, layout.tensors
        self.rows, self.outputs = layout.shape
        self.has_bias = layout.has_bias
        self.columns = int(cotangents.shape[-2])
        self.positions: int | None = cotangents.shape[1]
        self.dtype: tf.DType = cotangents.dtype
        size = tf.shape(cotangents)[0] if batch is None else batch
        #: The batch size as a float scalar tensor.
        self.batch = tf.cast(size, self.dtype)
        self.c, self.curvature_scale = (
            tf.ones_like(cotangents[:, 0, :, 0]) if x is None else x for x in (c, curvature_scale)
        )
        self.flat, self._weighted = flat, weighted
        self._expected = expected
        self._cache: dict[tuple, Any] = {}
        if tangents and self.positions != 1 and self.tangents_fit and self.tangents_stay:
            self.tangents()

    def _find(self, name: str) -> Any:
        """A tensor made before, in this graph or in one around it (a branch sees its outside)."""
        graph = current_graph()
        while True:
            tensor = self._cache.get((name, id(graph)))
            if tensor is not None or graph is None:
                return tensor
            graph = getattr(graph, "outer_graph", None)

    def _kept(self) -> bool:
        return self.tangents_stay and self._find("tangents") is not None

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once in this graph and those inside it."""
        tensor = self._find(name)
        if tensor is None:
            tensor = self._cache[name, id(current_graph())] = make()
        return tensor

    @property
    def plain_inputs(self) -> tf.Tensor:
        """Inputs or patches `(B, P, I0)` without the column of ones."""
        made = self._rows

        def make() -> tf.Tensor:
            uses = [x if made is None else made(x) for x in self._inputs]
            return uses[0] if len(uses) == 1 else tf.concat(uses, 1)

        return self.once("inputs", make)

    @property
    def a(self) -> tf.Tensor:
        """Inputs or patches `(B, P, I)`, a column of ones appended where there is a bias."""

        def make() -> tf.Tensor:
            a = self.plain_inputs
            return tf.pad(a, [[0, 0], [0, 0], [0, 1]], constant_values=1.0) if self.has_bias else a

        return self.once("a", make)

    def weighted(self, w: tf.Tensor) -> tuple:
        """(1/B) U w in the shapes of the variables, for weights `(B, R)`."""
        if self._kept():
            return self.tensors(self.weighted_matrix(w))
        if self._weighted is not None:
            return self._weighted(w)
        w = w / self.batch
        mixed = tf.reduce_sum(self.g * w[:, None, :, None], 2)
        mixed = tf.reshape(mixed, (-1, self.outputs))
        inputs = self.plain_inputs
        kernel = matmul(tf.reshape(inputs, (-1, inputs.shape[-1])), mixed, transpose_a=True)
        if not self.has_bias:
            return (self.layout.kernel(kernel),)
        bias = tf.reshape(tf.reduce_sum(mixed, 0), self.layout.variables[1])
        return self.layout.kernel(kernel), bias

    def weighted_matrix(self, w: tf.Tensor) -> tf.Tensor:
        """(1/B) U w as an `(I, O)` matrix, for weights `(B, R)`."""
        if self._kept():
            flat = tf.reshape(self.tangents(), (-1, self.rows * self.outputs))
            row = tf.reshape(w, (1, -1)) / self.batch
            return tf.reshape(matmul(row, flat), (self.rows, self.outputs))
        return self.matrix(self.weighted(w))

    def pullback(self, tensors: Sequence) -> tf.Tensor:
        """U'X, `(B R,)`, for variable-shaped X: a row sum, ((a X) ∘ g) summed over units."""
        matrix = self.matrix(tensors)
        if self._kept():
            flat = tf.reshape(self.tangents(), (-1, self.rows * self.outputs))
            return matvec(flat, tf.reshape(matrix, (-1,)))
        weights = matrix[:-1] if self.has_bias else matrix
        projected = einsum("bpi,io->bpo", self.plain_inputs, weights)
        if self.has_bias:
            projected += matrix[-1]
        return tf.reshape(einsum("bpo,bpro->br", projected, self.g), (-1,))

    def thinned(self, stride: int | tf.Tensor, offset: int | tf.Tensor = 0) -> "Capture":
        """The capture of samples offset, offset + stride, …: of patches where tangents are made."""
        made = self._find("tangents")
        inputs, rows = (self._inputs, self._rows) if made is None else ([self.plain_inputs], None)
        thin = Capture(
            [thin_samples(x, stride, offset) for x in inputs],
            thin_samples(self.g, stride, offset),
            self.layout,
            rows=rows,
            c=thin_samples(self.c, stride, offset),
            curvature_scale=thin_samples(self.curvature_scale, stride, offset),
            flat=self.flat,
            expected=self._expected,
        )
        if made is not None:
            by_sample = tf.reshape(made, (-1, self.columns * self.rows, self.outputs))
            kept = tf.reshape(thin_samples(by_sample, stride, offset), (-1, *made.shape[1:]))
            thin.once("tangents", lambda: kept)
        return thin

    @property
    def tangents_fit(self) -> bool:
        """Whether the per-sample tangents stay within the memory budget."""
        return self._length <= TANGENT_BUDGET

    @property
    def tangents_stay(self) -> bool:
        """Whether they are kept once they are made, or none are made."""
        return self._length <= KEPT_TANGENTS or self.positions == 1 or not self.tangents_fit

    @property
    def _length(self) -> int:
        batch = self.g.shape[0] or self._expected
        return batch * self.columns * self.rows * self.outputs

    def tangents(self) -> tf.Tensor:
        """The per-sample tangents U, `(B R, I, O)`; computed once where they stay."""

        def make() -> tf.Tensor:
            a, g = self.plain_inputs, self.g[:, :, 0] if self.columns == 1 else self.g
            if self.columns == 1:
                # Narrow by wide, then turned, takes half the time of wide by narrow.
                tangents = tf.linalg.matrix_transpose(matmul(g, a, transpose_a=True))
            else:
                tangents = einsum("bpi,bpro->brio", a, g)
            if self.has_bias:
                row = tf.reduce_sum(g, axis=1)[..., None, :]
                tangents = tf.concat([tangents, row], -2)
            return tf.reshape(tangents, (-1, self.rows, self.outputs))

        return self.once("tangents", make) if self.tangents_stay else make()
