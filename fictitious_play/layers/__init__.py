"""Keras layers of one player's network, the paper's Figure 2."""

from fictitious_play.layers.bounds import BoundedControl
from fictitious_play.layers.control_network import ControlNetwork
from fictitious_play.layers.costs import MeanCost, Rcost, Tcost

__all__ = ["BoundedControl", "ControlNetwork", "MeanCost", "Rcost", "Tcost"]
