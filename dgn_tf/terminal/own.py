"""What a terminal factor of one's own is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dgn_tf.terminal.factor import TerminalFactor
    from dgn_tf.terminal.loss import TerminalLoss


class Terminal(ABC):
    """A factor ``φ_xx^b ≈ Z^b diag(C^b) Z^b'`` of one's own, for `DGNOpt(terminal=...)`.

    The recursion needs the gradient in the span of the columns, ``φ_x^b = Z^b v^b``, and C not
    negative. Every column is one backward pass. A class that is registered with Keras is saved
    with the optimizer.
    """

    @abstractmethod
    def columns(self, shape: tuple[int, ...]) -> int:
        """The number of columns R.

        Args:
            shape: of a sample's final state x_T.
        """

    @abstractmethod
    def factor(self, loss: TerminalLoss) -> TerminalFactor:
        """The factor of a batch.

        Args:
            loss: the loss of every sample as a function of x_T; `dgn_tf.terminal.hessian` is its
                second derivative.
        """

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Terminal:
        return cls(**config)
