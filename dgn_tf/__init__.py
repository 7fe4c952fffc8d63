"""The dynamic game theoretic neural optimizer: a network's layers as players of a dynamic game."""

from dgn_tf import bandit, curvature, game, terminal
from dgn_tf.agents import naive_partition, with_agents
from dgn_tf.aliases import EKFAC, KFAC
from dgn_tf.bandit import alignments
from dgn_tf.game_model import GameModel
from dgn_tf.guard import StepGuard
from dgn_tf.optimizer import DGNOpt

__version__ = "0.1.0"

__all__ = [
    "EKFAC",
    "KFAC",
    "DGNOpt",
    "GameModel",
    "StepGuard",
    "__version__",
    "alignments",
    "bandit",
    "curvature",
    "game",
    "naive_partition",
    "terminal",
    "with_agents",
]
