"""What is worth computing once for a game, outside of it."""

import weakref
from collections.abc import Callable, Hashable
from typing import Any

import keras

from fictitious_play.games.base import Game


class OncePerGame:
    """Values by game and key, kept as long as the game lives: a game does not change once it is
    built."""

    def __init__(self) -> None:
        self._values: dict[tuple, tuple[weakref.ref, Any]] = {}

    def __call__(self, game: Game, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of a game and a key, made where it is not known; one per backend."""
        place = (id(game), key, keras.config.backend())
        if place not in self._values:
            value = make()
            forget = weakref.ref(game, lambda _: self._values.pop(place, None))
            self._values[place] = forget, value
        return self._values[place][1]
