"""Networks of the players: one Functional model per player, and all of them in one computation."""

from fictitious_play.networks.feedback_policy import FeedbackPolicy
from fictitious_play.networks.joint_policy import JointPolicy
from fictitious_play.networks.player_model import player_model
from fictitious_play.networks.transfer import transfer_weights

__all__ = ["FeedbackPolicy", "JointPolicy", "player_model", "transfer_weights"]
