"""Alignments chosen while training: bandits whose arms are schedules of layers over stages."""

from dgn_tf.bandit.arms import alignments
from dgn_tf.bandit.exp3pp import EXP3PP
from dgn_tf.bandit.policy import AlignmentPolicy, Random

__all__ = ["EXP3PP", "AlignmentPolicy", "Random", "alignments"]
