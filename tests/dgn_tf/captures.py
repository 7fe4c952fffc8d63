"""Captures of players made of arrays, and those of a model on a batch."""

import numpy as np
import tensorflow as tf

import dgn_tf
from dgn_tf.curvature.kfac import kronecker
from dgn_tf.game import Capture, WeightLayout
from dgn_tf.step.dense_gains import dense_game
from dgn_tf.step.observe import observe


def patches(a, g, has_bias=True, **kwargs):
    """A player with positions from inputs `(B, P, I0)` and cotangents `(B, P, R, O)`."""
    outputs = int(g.shape[-1])
    shapes = ((int(a.shape[-1]), outputs), (outputs,))[: 1 + has_bias]
    return Capture([a], g, WeightLayout(shapes, outputs), **kwargs)


def dense(x, g, has_bias=True, **kwargs):
    """A Dense player from inputs `(B, I0)` and cotangents `(B, R, O)`."""
    return patches(x[:, None, :], g[:, None, :, :], has_bias, **kwargs)


def joint_matrix(factors):
    """H of joint Kronecker factors on the stacked row-major `(I, O)` matrices."""
    rows = [map(kronecker, *blocks) for blocks in zip(factors.A, factors.B, strict=True)]
    return tf.concat([tf.concat(list(row), axis=1) for row in rows], axis=0)


def linearise(model, data):
    """The dense game of a batch `(x, y, sample_weight)`."""
    observation = observe(model, model.optimizer.rules.terminal, data, jacobians=True)
    return dense_game(model.optimizer, model.game, observation)


def batch():
    """Eight samples of six numbers, and as labels the same, turned."""
    x = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")
    return x, np.roll(x, 1, 1)


def observed(model):
    """What `batch` shows of a model, which is compiled for it."""
    model.compile(dgn_tf.DGNOpt(1e-3, curvature="identity"), "mse", run_eagerly=True)
    data = (*map(tf.constant, batch()), None)
    return observe(model, "rank_one", data, captures=True, feedback=True)
