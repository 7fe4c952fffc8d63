"""The augmented Hamiltonian of one layer on a batch, a concave quadratic of its weights.

A layer with weights W (I x O, the bias as last row) makes z = a W of its inputs or patches a. With
p the costate at z, minus the derivative of the *per-sample* cost, its stage's Hamiltonian is
H = Σ_p p·z (positions p), and its derivative by the layer's input x is ∇_x H = J'p, J = ∂z/∂x.
About the present weights, for a change D of them, z moves by a D and ∇_x H by the transposed layer
applied to p with D in the place of the weights, so that

    H̃(D) - H̃(0) = <G, D> - ½ρ (<D, A D> + <D̂, S D̂>)

with G = E[a'p], A = E[a'a], S = E[q'q]; q are the patches of p that meet at one entry of x, and D̂
is D without the bias row, reordered to (window entries x O, channels of x). E is the mean over the
samples and the sum over positions.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
import tensorflow as tf

from dgn_tf.game.players import Player

#: Rows above which matrices are multiplied by TensorFlow, on its device, and not by numpy.
_LARGE = 1024


class Moments(NamedTuple):
    """What H̃ of one player needs of a batch: G ``(I, O)``, the gradient of H at the present
    weights; A ``(I, I)``, the second moment of the inputs; S ``(K O, K O)`` for a window of K
    entries, that of the costates' patches, None where the state before the layer cannot move, so
    that its costate is of no use; and whether the last row of D is a bias."""

    G: Any
    A: Any
    S: Any
    has_bias: bool


class Maximiser(NamedTuple):
    """An approximate maximiser D of H̃, ``(I, O)``; its `gain` H̃(D) - H̃(0) times ρ; and whether
    the search failed: then no finite point with a larger H̃ was found, and D is zero."""

    change: np.ndarray
    gain: float
    failed: bool


def moments(
    player: Player, gradients: list, uses: list[tuple[tf.Tensor, tf.Tensor, bool]]
) -> Moments:
    """The moments of a player from a batch: of the `gradients` of the loss by its variables, and of
    every use of the layer its input ``(B, …)``, p at the pre-activation ``(B, …, O)``, of the
    per-sample cost, and whether the input depends on any weight."""
    samples = tf.cast(tf.shape(uses[0][0])[0], uses[0][0].dtype)
    A, S = [], []
    for x, p, moves in uses:
        a = player.inputs_of(x)
        if player.has_bias:
            a = tf.concat([a, tf.ones_like(a[..., :1])], -1)
        A.append(_gram(a, samples))
        if moves:
            S.append(_gram(_costate_patches(player, x, p), samples))
    penalty = tf.add_n(S) if S else None
    return Moments(-player.layout.matrix(gradients), tf.add_n(A), penalty, player.has_bias)


def _gram(rows: tf.Tensor, samples: tf.Tensor) -> tf.Tensor:
    flat = tf.reshape(rows, (-1, rows.shape[-1]))
    return tf.matmul(flat, flat, transpose_a=True) / samples


def _costate_patches(player: Player, x: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
    """For every entry of the input's grid the costates that reach it, ``(B, …, K O)``.

    Window entry k of the layer at output v reads input v s + k r - before, so the output costate
    that entry u of the input meets through k stands at place u + before - k r of the costates
    spread out by the stride s.
    """
    layer = player.layer
    if math.prod(getattr(layer, "kernel_size", ())) == 1:
        return player.cotangents_of(p)
    size, stride, rate = (np.array(n) for n in (layer.kernel_size, layer.strides,
                                                layer.dilation_rate))  # fmt: skip
    if len(size) == 1:
        x, p = x[:, None], p[:, None]
        size, stride, rate = (np.append(1, n) for n in (size, stride, rate))
    batch, length, count = tf.shape(x)[0], tf.shape(x)[1:3], tf.shape(p)[1:3]
    reach = (size - 1) * rate
    before = tf.constant(reach * (layer.padding == "causal"), tf.int32)
    if layer.padding == "same":
        before = tf.maximum((count - 1) * stride + reach + 1 - length, 0) // 2
    if max(stride) > 1:
        apart = [[0, 0], [0, 0], [0, stride[0] - 1], [0, 0], [0, stride[1] - 1], [0, 0]]
        spread = tf.concat([[batch], count * stride, [p.shape[-1]]], 0)
        p = tf.reshape(tf.pad(p[:, :, None, :, None], apart), spread)
    after = tf.maximum(length + before - count * stride, 0)
    p = tf.pad(p, [[0, 0], *tf.unstack(tf.stack([reach - before, after], 1)), [0, 0]])
    slices = []
    for window in np.ndindex(*size):
        top, left = (size - 1 - window) * rate
        slices.append(p[:, top : top + length[0], left : left + length[1]])
    return tf.concat(slices, -1)


def curvature_product(D: np.ndarray, A: Any, S: Any, has_bias: bool) -> np.ndarray:
    """A D + S D̂ put back in order, ``(I, O)``: minus the Hessian of H̃ over ρ, applied to D.

    A and S may be arrays or tensors, multiplied where they are.
    """
    product = np.array(A @ D)
    if S is None:
        return product
    entries, outputs = len(D) - has_bias, D.shape[1]
    window = len(S) // outputs
    turned = D[:entries].reshape(window, -1, outputs).transpose(0, 2, 1)
    back = np.asarray(S @ turned.reshape(window * outputs, -1)).reshape(turned.shape)
    product[:entries] += back.transpose(0, 2, 1).reshape(entries, outputs)
    return product


def maximise(found: Moments, rho: float, iterations: int) -> Maximiser:
    """A few L-BFGS iterations towards the maximiser of H̃ at a positive ρ, from the present
    weights.

    The search runs in float64 and in units of the exact maximiser along G, which makes scipy's
    first step that point: one iteration is the gradient step of the best length, and the result is
    proportional to 1/ρ after any number of iterations."""
    G = np.asarray(found.G, np.float64)
    large = max(len(m) for m in (found.A, found.S) if m is not None) > _LARGE
    A, S = (m if m is None else tf.cast(m, tf.float64) if large else np.asarray(m, np.float64)
            for m in (found.A, found.S))  # fmt: skip
    nothing = np.zeros_like(G)
    size = float(np.linalg.norm(G))
    if size == 0.0 or not math.isfinite(size):
        return Maximiser(nothing, 0.0, size != 0.0)
    direction = G / size
    curved = float(np.sum(direction * curvature_product(direction, A, S, found.has_bias)))
    if not (math.isfinite(curved) and curved > 0.0):
        return Maximiser(nothing, 0.0, True)

    def descent(flat: np.ndarray) -> tuple[float, np.ndarray]:
        D = flat.reshape(G.shape)
        product = curvature_product(D, A, S, found.has_bias) / curved
        value = 0.5 * np.sum(D * product) - np.sum(D * direction)
        return float(value), (product - direction).ravel()

    options = {"maxiter": iterations, "ftol": 1e-15, "gtol": 1e-9}
    result = scipy.optimize.minimize(
        descent, nothing.ravel(), jac=True, method="L-BFGS-B", options=options
    )
    change = result.x.reshape(G.shape) * (size / (curved * rho))
    if not (result.fun < 0.0 and np.all(np.isfinite(change))):
        return Maximiser(nothing, 0.0, True)
    return Maximiser(change, -result.fun * size**2 / curved, False)
