"""Deep fictitious play for stochastic differential games, on Keras 3.

Hu, *Deep Fictitious Play for Stochastic Differential Games* (2019, arXiv 1903.09376): every player
has a network for her control; stage after stage each one answers the others' last controls, until
nobody wants to move.

`fictitious_play.lq`, the exact linear-quadratic solutions, needs numpy and scipy only; the other
public names import Keras when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Game": "games.base",
    "InterBankGame": "games.inter_bank",
    "LinearQuadraticGame": "games.linear_quadratic",
    "FlockingGame": "games.flocking",
    "PortfolioGame": "games.portfolio",
    "convoy_game": "games.convoy",
    "major_player_game": "games.heterogeneous",
    "ring_game": "games.heterogeneous",
    "two_group_game": "games.heterogeneous",
    "zero_sum": "games.zero_sum",
    "check_game": "game_checks",
    "Certificate": "solver.certificate",
    "ControlNetwork": "layers.control_network",
    "Rcost": "layers.costs",
    "Tcost": "layers.costs",
    "MeanCost": "layers.costs",
    "Features": "networks.features",
    "player_sharding": "devices",
    "load_model": "networks.loading",
    "player_model": "networks.player_model",
    "FeedbackPolicy": "networks.feedback_policy",
    "JointPolicy": "networks.joint_policy",
    "transfer_weights": "networks.transfer",
    "DeepFictitiousPlay": "solver.deep_fictitious_play",
    "Result": "solver.result",
    "load": "solver.storage",
    "SolveCallback": "solver.callbacks",
    "StageRecord": "solver.record",
    "StopReason": "solver.stop_reason",
}
_SUBMODULES = ("games", "layers", "lq", "networks", "solver")

__all__ = [
    "Certificate",
    "ControlNetwork",
    "DeepFictitiousPlay",
    "Features",
    "FeedbackPolicy",
    "FlockingGame",
    "Game",
    "InterBankGame",
    "JointPolicy",
    "LinearQuadraticGame",
    "MeanCost",
    "PortfolioGame",
    "Rcost",
    "Result",
    "SolveCallback",
    "StageRecord",
    "StopReason",
    "Tcost",
    "__version__",
    "check_game",
    "convoy_game",
    "load",
    "load_model",
    "lq",
    "major_player_game",
    "player_model",
    "player_sharding",
    "ring_game",
    "transfer_weights",
    "two_group_game",
    "zero_sum",
]

if TYPE_CHECKING:
    from fictitious_play import lq
    from fictitious_play.devices import player_sharding
    from fictitious_play.game_checks import check_game
    from fictitious_play.games.base import Game
    from fictitious_play.games.convoy import convoy_game
    from fictitious_play.games.flocking import FlockingGame
    from fictitious_play.games.heterogeneous import major_player_game, ring_game, two_group_game
    from fictitious_play.games.inter_bank import InterBankGame
    from fictitious_play.games.linear_quadratic import LinearQuadraticGame
    from fictitious_play.games.portfolio import PortfolioGame
    from fictitious_play.games.zero_sum import zero_sum
    from fictitious_play.layers.control_network import ControlNetwork
    from fictitious_play.layers.costs import MeanCost, Rcost, Tcost
    from fictitious_play.networks.features import Features
    from fictitious_play.networks.feedback_policy import FeedbackPolicy
    from fictitious_play.networks.joint_policy import JointPolicy
    from fictitious_play.networks.loading import load_model
    from fictitious_play.networks.player_model import player_model
    from fictitious_play.networks.transfer import transfer_weights
    from fictitious_play.solver.callbacks import SolveCallback
    from fictitious_play.solver.certificate import Certificate
    from fictitious_play.solver.deep_fictitious_play import DeepFictitiousPlay
    from fictitious_play.solver.record import StageRecord
    from fictitious_play.solver.result import Result
    from fictitious_play.solver.stop_reason import StopReason
    from fictitious_play.solver.storage import load


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
