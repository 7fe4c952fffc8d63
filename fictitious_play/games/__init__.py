"""Stochastic differential games: the base class and the games that come with the package."""

from fictitious_play.games.base import Game
from fictitious_play.games.convoy import convoy_game
from fictitious_play.games.flocking import FlockingGame
from fictitious_play.games.heterogeneous import major_player_game, ring_game, two_group_game
from fictitious_play.games.inter_bank import InterBankGame
from fictitious_play.games.linear_quadratic import LinearQuadraticGame
from fictitious_play.games.portfolio import PortfolioEquilibrium, PortfolioGame

__all__ = [
    "FlockingGame",
    "Game",
    "InterBankGame",
    "LinearQuadraticGame",
    "PortfolioEquilibrium",
    "PortfolioGame",
    "convoy_game",
    "major_player_game",
    "ring_game",
    "two_group_game",
]
