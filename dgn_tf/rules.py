"""The rules of a game: what the players know, what Q_uu is, and who solves a stage.

Names and what they mean stand here once, as data; the recursions and the step read the properties.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dgn_tf import curvature as curvature_blocks
from dgn_tf.settings import count, one_of
from dgn_tf.terminal.factor import Terminal, get


@dataclass(frozen=True)
class Structure:
    """What the players know: whether those of a stage are solved for together, (11), whether the
    gain has the term K δx, (6) and (7), and the forms in which this means something."""

    joint: bool
    sees_state: bool
    forms: tuple[str, ...]

    @property
    def is_gradient(self) -> bool:
        """Whether the update is M⁻¹H_θ, (5), and there is no recursion."""
        return not (self.joint or self.sees_state)


@dataclass(frozen=True)
class Form:
    """What stands for the second derivatives in the weights.

    Attributes:
        curved: whether Q_uu (and P_nn) has ℓ_uu + F_n'V_xx F_n.
        preconditioned: whether it has M / lr.
        crosses: whether P_nm, n ≠ m, is kept in the joint system.
        reduces: whether the value function is reduced by the players' responses, (10) and (25).
    """

    curved: bool
    preconditioned: bool
    crosses: bool
    reduces: bool


STRUCTURES = {
    "open_loop": Structure(False, False, ("proximal",)),
    "open_loop_cooperative": Structure(True, False, ("proximal", "coupled")),
    "feedback": Structure(False, True, ("proximal", "explicit", "feedback_only")),
    "cooperative": Structure(True, True, ("proximal", "explicit", "coupled", "feedback_only")),
}
FORMS = {
    "proximal": Form(curved=True, preconditioned=True, crosses=True, reduces=True),
    "explicit": Form(curved=False, preconditioned=True, crosses=False, reduces=True),
    "coupled": Form(curved=False, preconditioned=True, crosses=True, reduces=True),
    "feedback_only": Form(curved=False, preconditioned=True, crosses=False, reduces=False),
}
EXACT_FORM = Form(curved=True, preconditioned=False, crosses=True, reduces=True)
"""Of curvature="exact": Q_uu = ℓ_uu + F_n'V_xx F_n."""
EXACT = "exact"
SAMPLE_SPACE, KHATRI_RAO, PROP5 = SOLVERS = ("sample_space", "khatri_rao", "prop5")
DUMMY, DUPLICATED = ABSENT_PLAYERS = ("dummy", "duplicated")
ITERATIONS = 6
"""Conjugate-gradient steps of the Khatri-Rao solver."""


@dataclass(frozen=True)
class Rules:
    """The rules of one game, checked together: a setting other than its default that would play no
    part under the others is refused.

    Args:
        information_structure, curvature, form, terminal, solver, absent_players, state_feedback,
            khatri_rao_iterations: as for `dgn_tf.DGNOpt`.
        agents: the largest number of fictitious agents that share a player's weights.
        agents_form: the form that agents bring, in the place of `form`; None for that one.

    Raises:
        TypeError, ValueError: for a value outside what is listed, and for settings that mean
            nothing together.
    """

    information_structure: str = "cooperative"
    curvature: Any = "ekfac"
    form: str = "proximal"
    terminal: str | int | Terminal = "rank_one"
    solver: str = SAMPLE_SPACE
    absent_players: str = DUMMY
    state_feedback: bool = True
    khatri_rao_iterations: int = ITERATIONS
    agents: int = 1
    agents_form: str | None = None

    def __post_init__(self) -> None:
        one_of("information_structure", self.information_structure, STRUCTURES)
        one_of("form", self.form, FORMS)
        one_of("solver", self.solver, SOLVERS)
        one_of("absent_players", self.absent_players, ABSENT_PLAYERS)
        if self.agents_form is not None:
            one_of("agents_form", self.agents_form, FORMS)
        get(self.terminal)
        count("khatri_rao_iterations", self.khatri_rao_iterations)
        if not isinstance(self.state_feedback, bool):
            given = f"Received: {self.state_feedback!r}"
            raise ValueError(f"`state_feedback` must be True or False. {given}")
        if not self.exact:
            object.__setattr__(self, "curvature", curvature_blocks.get(self.curvature))
        for means_nothing, sentence, way_out in _contradictions(self):
            if means_nothing:
                block = self.curvature if self.exact else self.curvature.name
                fields, shown = self.__dataclass_fields__, {**vars(self), "curvature": block}
                given = [f"{k}={v!r}" for k, v in shown.items() if v != fields[k].default]
                raise ValueError(f"{sentence} Received: {', '.join(given)}. {way_out}")

    @property
    def exact(self) -> bool:
        """Whether Q_uu is dense and exact, in the place of a preconditioner."""
        return isinstance(self.curvature, str) and self.curvature == EXACT

    @property
    def fallback(self) -> Any:
        """The block of weights that are no player's."""
        return curvature_blocks.Identity() if self.exact else self.curvature.fallback()

    @property
    def adaptive_damping(self) -> bool:
        """Whether the damping follows the reduction ratio."""
        return not self.exact and self.curvature.adaptive_damping

    @property
    def structure(self) -> Structure:
        return STRUCTURES[self.information_structure]

    @property
    def form_name(self) -> str:
        """The form the game is solved in: the agents' where they bring one."""
        return self.form if self.agents_form is None else self.agents_form

    @property
    def second(self) -> Form:
        """What stands for the second derivatives in the weights."""
        return EXACT_FORM if self.exact else FORMS[self.form_name]

    @property
    def uses_terminal(self) -> bool:
        """Whether the factor of the loss's Hessian plays a part."""
        if self.exact or not self.structure.is_gradient:
            return True
        empirical = getattr(self.curvature, "fisher", None) == "empirical"
        return not (self.curvature.elementwise or empirical)

    @property
    def closed_loop(self) -> bool:
        """Whether the update pass adds K δx."""
        return self.state_feedback and self.structure.sees_state

    @property
    def joint_solver(self) -> bool:
        """Whether a stage of several players is solved by its joint Kronecker factors."""
        return self.solver != SAMPLE_SPACE

    @property
    def shifts(self) -> bool:
        """Whether lr ℓ_uu joins M: in the proximal form only, else Theorem 6 would be lost."""
        return not self.exact and self.second.curved and not self.structure.is_gradient


def _contradictions(rules: Rules) -> Iterable[tuple[bool, str, str]]:
    """(whether it holds, the rule that is broken, the way out) of what means nothing together."""
    structure, name, exact = rules.structure, rules.form_name, rules.exact
    joint, printed = rules.joint_solver, ["explicit"] * (rules.solver == PROP5)
    # Exact curvature keeps every second derivative, those between agents ("coupled") as well.
    other_form = name != Rules.form and not (exact and rules.agents_form == "coupled")
    alone = structure.sees_state and not structure.joint
    return (
        (
            exact and other_form,
            'With curvature="exact" Q_uu is exact and no form plays a part.',
            "Leave out the form, or give a preconditioner as curvature.",
        ),
        (
            exact and joint,
            'With curvature="exact" a stage is solved exactly and no solver plays a part.',
            "Leave out the solver, or give K-FAC or EKFAC as curvature.",
        ),
        (
            joint
            and not (
                getattr(rules.curvature, "name", "") in ("kfac", "ekfac")
                and structure.joint
                # Proposition 5 with the value function of (13) is what the paper prints.
                and name in ("proximal", "feedback_only", *printed)
                and rules.agents == 1
            ),
            f"The {rules.solver!r} solver brings its own Q_uu, the damped Kronecker factors (K-FAC "
            "or EKFAC) of players who are solved for together, in the proximal form, "
            '"feedback_only" or, "prop5" alone, the explicit one; it knows of no fictitious '
            "agents.",
            "Leave out the solver.",
        ),
        (
            rules.khatri_rao_iterations != ITERATIONS and rules.solver != KHATRI_RAO,
            "`khatri_rao_iterations` are those of the Khatri-Rao solver.",
            'Give solver="khatri_rao", or leave them out.',
        ),
        (
            not exact and name not in structure.forms,
            f"The forms of {rules.information_structure!r} are {', '.join(structure.forms)}: in an "
            "open loop nothing but the preconditioned gradient is left, without state feedback a "
            "joint solve needs its second derivatives, and coupled are players solved together.",
            'Leave out the form (for fictitious agents form=None), or give "cooperative".',
        ),
        (
            rules.absent_players == DUPLICATED and not (alone and rules.second.reduces),
            "Absent players are duplicated in the feedback structure alone, where every slot has "
            "a value function of its own that the players' responses reduce.",
            'Leave out `absent_players`, or give information_structure="feedback".',
        ),
        (
            not (rules.state_feedback or structure.sees_state),
            f'"{rules.information_structure}" has no state feedback to leave out.',
            "Leave out `state_feedback`, or give a structure with feedback.",
        ),
        (
            rules.terminal != Rules.terminal and not rules.uses_terminal,
            "In an open loop an elementwise block or an empirical Fisher matrix sees the loss's "
            "gradient alone, and no terminal factor plays a part.",
            "Leave out `terminal`, or give another curvature.",
        ),
    )
