"""The mean-field limit of the symmetric inter-bank game, to hold a finite game against."""

from typing import Any

import numpy as np

from fictitious_play.lq.general.form import as_form
from fictitious_play.lq.inter_bank.symmetric import symmetric_nash


def mean_field_cost(game: Any, time: str = "continuous") -> np.ndarray:
    """Costs `(players,)` that the mean-field limit gives each player's initial law.

    In the limit `X̄` follows the average of the initial means, nobody moves it, open and closed loop
    are one, and a player at a distance `z_0` from it pays `½ P(0) E z_0² + ½ σ² (1-ρ²) ∫ P dt`
    (Carmona, Fouque, Sun 2015, section 5).

    Args:
        game: The symmetric inter-bank game.
        time: `"continuous"`, or `"discrete"` for the limit of the Euler games.

    Raises:
        ValueError: Where the game is not the symmetric inter-bank game.
    """
    parameters = getattr(game, "symmetric_parameters", None)
    steps = getattr(game, "steps", 1)
    mean, std = getattr(game, "initial_mean", None), getattr(game, "initial_std", None)
    if parameters is None or std is None:
        form = as_form(game)
        parameters, steps, mean = form.symmetric_parameters, form.steps, form.initial_mean
        std = np.sqrt(np.diag(form.initial_covariance))
    if parameters is None:
        raise ValueError(
            "The mean-field limit is that of the symmetric inter-bank game. "
            "Received: a game with other weights, other parameters or other matrices"
        )
    limit = symmetric_nash(parameters, steps, "mean_field", time)
    mean = np.asarray(mean, np.float64)
    spread = (mean.mean() - mean) ** 2 + std**2
    variance = parameters.sigma**2 * (1.0 - parameters.rho**2)
    return 0.5 * limit.P * spread + 0.5 * variance * limit.noise_integral
