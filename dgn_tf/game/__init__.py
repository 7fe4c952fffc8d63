"""The game inside a Keras model: its graph, its stages, its players and their captures."""

from dgn_tf.game.capture import Capture
from dgn_tf.game.layout import WeightLayout
from dgn_tf.game.players import Player, read_player, register_player

__all__ = ["Capture", "Player", "WeightLayout", "read_player", "register_player"]
