"""Stochastic differential games: the base class and the games that come with the package."""

from fictitious_play.games.base import Game
from fictitious_play.games.inter_bank import InterBankGame

__all__ = ["Game", "InterBankGame"]
