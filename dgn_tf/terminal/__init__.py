"""The terminal cost φ: the compiled Keras loss at x_T, and its Hessian factored per sample."""

from dgn_tf.terminal.factor import (
    KINDS,
    TerminalFactor,
    TerminalLoss,
    columns,
    factor,
    hessian,
)

__all__ = ["KINDS", "TerminalFactor", "TerminalLoss", "columns", "factor", "hessian"]
