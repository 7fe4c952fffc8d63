"""The terminal cost φ of the game: the compiled Keras loss, and the factor of its Hessian."""

from dgn_tf.terminal.factor import TerminalFactor, columns, factor
from dgn_tf.terminal.loss import FAMILIES, KINDS, TerminalLoss, hessian
from dgn_tf.terminal.objective import Objective, check_loss, read_objective
from dgn_tf.terminal.own import Terminal
from dgn_tf.terminal.reading import Reading

__all__ = [
    "FAMILIES",
    "KINDS",
    "Objective",
    "Reading",
    "Terminal",
    "TerminalFactor",
    "TerminalLoss",
    "check_loss",
    "columns",
    "factor",
    "hessian",
    "read_objective",
]
