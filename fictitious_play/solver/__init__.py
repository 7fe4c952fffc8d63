"""Algorithm 1 of Hu (2019): deep fictitious play, with its result."""

from fictitious_play.solver.deep_fictitious_play import DeepFictitiousPlay
from fictitious_play.solver.result import Result, StageRecord

__all__ = ["DeepFictitiousPlay", "Result", "StageRecord"]
