"""The terminal cost φ of the game: the compiled Keras loss, and the factor of its Hessian."""

from dgn_tf.terminal.factor import Terminal, TerminalFactor
from dgn_tf.terminal.loss import TerminalLoss

__all__ = ["Terminal", "TerminalFactor", "TerminalLoss"]
