"""Reading saved models in a program that has made none yet."""

import os
from typing import Any

import keras

# Keras finds a class by its registered name, so it has to be imported before a file names it.
from fictitious_play import games, layers, networks
from fictitious_play.networks import feedback_mixture

__all__ = ["feedback_mixture", "games", "layers", "load_model", "networks"]


def load_model(path: str | os.PathLike, **options: Any) -> keras.Model:
    """`keras.saving.load_model` for a model of this package, such as one player's network.

    The package imports its parts when they are first used, so that in a new process
    `keras.saving.load_model` alone does not know its classes.

    Args:
        path: of a `.keras` file.
        options: of `keras.saving.load_model`; classes of one's own are registered or given as
            `custom_objects`, as ever.

    Returns:
        The model.

    Raises:
        ValueError: as `keras.saving.load_model`.
    """
    return keras.saving.load_model(path, **options)
