"""Exact theory of linear-quadratic games, in float64: what the networks are held against.

`general` has games of any shape, `play` fictitious play with exact best responses, `inter_bank` the
inter-bank game and its closed forms. All public names are here.

Needs NumPy and SciPy only; the batched formulas also take JAX arrays.
"""

from fictitious_play.lq.general.affine import affine_gains, feedback_response, with_constant
from fictitious_play.lq.general.best_response import best_response
from fictitious_play.lq.general.coefficients import (
    basis,
    coefficient_cost,
    evaluate,
    feedback_coefficients,
)
from fictitious_play.lq.general.equilibrium import Equilibrium, nash, profile_cost
from fictitious_play.lq.general.errors import (
    FiniteEscapeError,
    NoEquilibriumError,
    SingularGameError,
)
from fictitious_play.lq.general.exploitability import (
    Exploitability,
    exploitability,
    profile_exploitability,
)
from fictitious_play.lq.general.form import LinearQuadraticForm, as_form
from fictitious_play.lq.general.measures import (
    control_error,
    gain_error,
    regressed_gains,
    state_covariances,
)
from fictitious_play.lq.general.recursion import DiscreteNashBatch, discrete_nash_batch
from fictitious_play.lq.general.rollout import Rollout, simulate_controls, simulate_gains
from fictitious_play.lq.general.zero_sum import zero_sum_form
from fictitious_play.lq.inter_bank.closed_form import (
    open_loop_cost_functions,
    riccati,
    riccati_coefficients,
    riccati_integral,
)
from fictitious_play.lq.inter_bank.contraction import symmetric_contraction
from fictitious_play.lq.inter_bank.form import inter_bank_form
from fictitious_play.lq.inter_bank.mean_field import mean_field_cost
from fictitious_play.lq.inter_bank.parameters import SymmetricParameters
from fictitious_play.lq.inter_bank.profile import SymmetricProfile
from fictitious_play.lq.inter_bank.symmetric import SymmetricEquilibrium, symmetric_nash
from fictitious_play.lq.play.contraction import contraction, damping_limit, stage_map
from fictitious_play.lq.play.exact_feedback_play import ExactFeedbackPlay, exact_feedback_play
from fictitious_play.lq.play.exact_play import ExactPlay, exact_play
from fictitious_play.lq.play.forecast import Forecast, forecast

__all__ = [
    "DiscreteNashBatch",
    "Equilibrium",
    "ExactFeedbackPlay",
    "ExactPlay",
    "Exploitability",
    "FiniteEscapeError",
    "Forecast",
    "LinearQuadraticForm",
    "NoEquilibriumError",
    "Rollout",
    "SingularGameError",
    "SymmetricEquilibrium",
    "SymmetricParameters",
    "SymmetricProfile",
    "affine_gains",
    "as_form",
    "basis",
    "best_response",
    "coefficient_cost",
    "contraction",
    "control_error",
    "damping_limit",
    "discrete_nash_batch",
    "evaluate",
    "exact_feedback_play",
    "exact_play",
    "exploitability",
    "feedback_coefficients",
    "feedback_response",
    "forecast",
    "gain_error",
    "inter_bank_form",
    "mean_field_cost",
    "nash",
    "open_loop_cost_functions",
    "profile_cost",
    "profile_exploitability",
    "regressed_gains",
    "riccati",
    "riccati_coefficients",
    "riccati_integral",
    "simulate_controls",
    "simulate_gains",
    "stage_map",
    "state_covariances",
    "symmetric_contraction",
    "symmetric_nash",
    "with_constant",
    "zero_sum_form",
]
