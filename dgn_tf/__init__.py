"""The dynamic game theoretic neural optimizer: a network's layers as players of a dynamic game."""

from dgn_tf import curvature
from dgn_tf.game_model import GameModel
from dgn_tf.guard import StepGuard
from dgn_tf.optimizer import DGNOpt

__all__ = ["DGNOpt", "GameModel", "StepGuard", "curvature"]
