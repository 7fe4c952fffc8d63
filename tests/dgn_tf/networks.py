"""Small networks written directly in NumPy, as stages of a game, with their Jacobians.

Independent of the package: a stage is ``x' = R x + act(Σ_n S_n z_n)`` with Dense players
``z_n = W_n x[slice_n] + b_n``, which holds chains, residual blocks in both alignments, inception
modules and cooperative blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

CASES = Path(__file__).parent / "cases"


def tanh(u):
    return np.tanh(u), 1.0 - np.tanh(u) ** 2


def linear(u):
    return u, np.ones_like(u)


@dataclass
class Stage:
    """``inputs``: a slice of the state for every player; ``S``: ``(d', out)`` for every player;
    ``R``: ``(d', d)``; ``weights``: flat ``(out * in + out,)`` for every player."""

    inputs: list
    S: list
    R: np.ndarray
    act: object = tanh
    slots: tuple | None = None  # 0, 1, ... when None
    weights: list = field(default_factory=list)

    def in_slots(self, items):
        """A list with one entry per slot, None where the slot has no player."""
        slots = range(len(items)) if self.slots is None else self.slots
        by_slot = dict(zip(slots, items, strict=True))
        return [by_slot.get(n) for n in range(max(by_slot) + 1)]

    def sizes(self, n):
        start, stop = self.inputs[n].start, self.inputs[n].stop
        return self.S[n].shape[1], stop - start

    def split(self, n):
        out, size = self.sizes(n)
        return self.weights[n][: out * size].reshape(out, size), self.weights[n][out * size :]

    def __call__(self, x):
        return self.linearise(x)[0]

    def linearise(self, x):
        """The next state ``(d',)`` of one sample, F_x ``(d', d)`` and every F_n ``(d', p)``."""
        u, slope = np.zeros(self.R.shape[0]), np.zeros_like(self.R)
        for n, part in enumerate(self.inputs):
            W, bias = self.split(n)
            u = u + self.S[n] @ (W @ x[part] + bias)
            slope[:, part] += self.S[n] @ W
        value, derivative = self.act(u)
        F = []
        for n, part in enumerate(self.inputs):
            left = derivative[:, None] * self.S[n]
            F.append(
                np.concatenate(
                    [np.einsum("io,j->ioj", left, x[part]).reshape(len(u), -1), left], axis=1
                )
            )
        return self.R @ x + value, self.R + derivative[:, None] * slope, F


def initialise(stages, rng, scale=0.6):
    for stage in stages:
        stage.weights = [
            scale * rng.standard_normal(stage.sizes(n)[0] * (stage.sizes(n)[1] + 1))
            for n in range(len(stage.inputs))
        ]
    return stages


def chain(d=4, classes=3, d0=3):
    eye = np.eye(d)
    return [
        Stage([slice(0, d0)], [eye], np.zeros((d, d0))),
        Stage([slice(0, d)], [eye], eye),
        Stage([slice(0, d)], [np.eye(classes)], np.zeros((classes, d)), linear),
    ]


def residual_late(d=4, classes=3, d0=3):
    """The shortcut's player as late as possible, beside the block's last player."""
    eye, nil = np.eye(d), np.zeros((d, d))
    return [
        Stage([slice(0, d0)], [eye], np.zeros((d, d0))),
        Stage([slice(0, d)], [np.vstack([eye, nil])], np.vstack([nil, eye])),
        Stage([slice(0, d), slice(d, 2 * d)], [eye, eye], np.zeros((d, 2 * d))),
        Stage([slice(0, d)], [np.eye(classes)], np.zeros((classes, d)), linear),
    ]


def residual_early(d=4, classes=3, d0=3):
    """The same block with the shortcut's player beside the block's first player."""
    eye, nil = np.eye(d), np.zeros((d, d))
    top, bottom = np.vstack([eye, nil]), np.vstack([nil, eye])

    def first(u):
        value, slope = u.copy(), np.ones_like(u)
        value[:d], slope[:d] = tanh(u[:d])
        return value, slope

    return [
        Stage([slice(0, d0)], [eye], np.zeros((d, d0))),
        Stage([slice(0, d), slice(0, d)], [top, bottom], np.zeros((2 * d, d)), first),
        Stage([slice(0, d)], [eye], np.hstack([nil, eye]), tanh),
        Stage([slice(0, d)], [np.eye(classes)], np.zeros((classes, d)), linear),
    ]


def inception(d=3, classes=3, d0=3):
    """Three branches on one input; their outputs side by side, then one player in slot 1."""
    blocks = np.eye(3 * d).reshape(3 * d, 3, d)
    return [
        Stage([slice(0, d0)], [np.eye(d)], np.zeros((d, d0))),
        Stage([slice(0, d)] * 3, [blocks[:, n] for n in range(3)], np.zeros((3 * d, d))),
        Stage([slice(0, 3 * d)], [np.eye(d)], np.zeros((d, 3 * d)), tanh, (1,)),
        Stage([slice(0, d)], [np.eye(classes)], np.zeros((classes, d)), linear),
    ]


def cooperative_block(d=4, classes=3, d0=3):
    """Two players with the same input and the same output gradient."""
    eye = np.eye(d)
    return [
        Stage([slice(0, d0)], [eye], np.zeros((d, d0))),
        Stage([slice(0, d)] * 2, [eye, eye], eye),
        Stage([slice(0, d)] * 2, [eye, eye], np.zeros((d, d))),
        Stage([slice(0, d)], [np.eye(classes)], np.zeros((classes, d)), linear),
    ]


NETWORKS = {
    "chain": chain,
    "residual_early": residual_early,
    "residual_late": residual_late,
    "inception": inception,
    "cooperative_block": cooperative_block,
}


def softmax_cross_entropy(logits, label):
    """Loss, gradient ``(d,)`` and Hessian ``(d, d)`` of one sample."""
    shifted = logits - logits.max()
    p = np.exp(shifted) / np.exp(shifted).sum()
    return -np.log(p[label]), p - np.eye(len(p))[label], np.diag(p) - np.outer(p, p)


@dataclass
class Linearised:
    """The stacked game of a batch and its per-sample parts."""

    states: list  # per stage (B, d)
    F_x: list  # per stage (B d', B d)
    F_n: list  # per stage, per player (B d', p)
    logits: np.ndarray
    D: list | None = None


def block_diagonal(blocks):
    rows, columns = blocks[0].shape
    out = np.zeros((len(blocks) * rows, len(blocks) * columns))
    for b, block in enumerate(blocks):
        out[b * rows : (b + 1) * rows, b * columns : (b + 1) * columns] = block
    return out


def linearise(stages, x0):
    states, F_x, F_n = [x0], [], []
    for stage in stages:
        samples = [stage.linearise(x) for x in states[-1]]
        states.append(np.stack([s[0] for s in samples]))
        F_x.append(block_diagonal([s[1] for s in samples]))
        F_n.append([np.vstack([s[2][n] for s in samples]) for n in range(len(stage.inputs))])
    return Linearised(states[:-1], F_x, F_n, states[-1])


def forward(stages, x0, weights=None):
    """Logits ``(B, classes)`` and every stage's state, with other weights where given."""
    kept = [stage.weights for stage in stages]
    if weights is not None:
        for stage, own in zip(stages, weights, strict=True):
            stage.weights = own
    states = [x0]
    for stage in stages:
        states.append(np.stack([stage(x) for x in states[-1]]))
    for stage, own in zip(stages, kept, strict=True):
        stage.weights = own
    return states
