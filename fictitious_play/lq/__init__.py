"""Exact theory of linear-quadratic games, in float64: what the networks are held against.

Needs NumPy and SciPy only; the batched formulas also take JAX arrays.
"""

from fictitious_play.lq.closed_form import (
    open_loop_cost_functions,
    riccati,
    riccati_coefficients,
    riccati_integral,
)
from fictitious_play.lq.equilibrium import Equilibrium, nash, profile_cost
from fictitious_play.lq.errors import NoEquilibriumError
from fictitious_play.lq.form import LinearQuadraticForm, as_form
from fictitious_play.lq.inter_bank import inter_bank_form
from fictitious_play.lq.parameters import SymmetricParameters
from fictitious_play.lq.recursion import DiscreteNashBatch, discrete_nash_batch
from fictitious_play.lq.rollout import Rollout, simulate_controls, simulate_gains
from fictitious_play.lq.symmetric import SymmetricEquilibrium, symmetric_nash

__all__ = [
    "DiscreteNashBatch",
    "Equilibrium",
    "LinearQuadraticForm",
    "NoEquilibriumError",
    "Rollout",
    "SymmetricEquilibrium",
    "SymmetricParameters",
    "as_form",
    "discrete_nash_batch",
    "inter_bank_form",
    "nash",
    "open_loop_cost_functions",
    "profile_cost",
    "riccati",
    "riccati_coefficients",
    "riccati_integral",
    "simulate_controls",
    "simulate_gains",
    "symmetric_nash",
]
