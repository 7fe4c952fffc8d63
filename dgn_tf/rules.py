"""The rules of a game: what the players know, what Q_uu is, and who solves a stage.

Names and what they mean stand here once, as data; the recursions and the step read the properties.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dgn_tf import curvature as curvature_blocks
from dgn_tf.terminal.loss import KINDS
from dgn_tf.terminal.own import Terminal


@dataclass(frozen=True)
class Structure:
    """What the players know (the information structure).

    Attributes:
        joint: whether the players of a stage are solved for together, (11).
        sees_state: whether the gain has the term K δx, (6) and (7).
    """

    joint: bool
    sees_state: bool

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
    "open_loop": Structure(joint=False, sees_state=False),
    "open_loop_cooperative": Structure(joint=True, sees_state=False),
    "feedback": Structure(joint=False, sees_state=True),
    "cooperative": Structure(joint=True, sees_state=True),
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
ONE_COLUMN = ("rank_one", "gauss_newton")
"""The terminal factors Z = φ_x, whose cotangents the loss's own backward pass makes."""
SAMPLE_SPACE, KHATRI_RAO, PROP5 = SOLVERS = ("sample_space", "khatri_rao", "prop5")
DUMMY, DUPLICATED = ABSENT_PLAYERS = ("dummy", "duplicated")
ITERATIONS = 6
"""Conjugate-gradient steps of the Khatri-Rao solver."""


@dataclass(frozen=True)
class Rules:
    """The rules of one game, checked together.

    A setting other than its default that would play no part under the others is refused. Two ways
    remain to say one thing: without a state feedback to leave out, `state_feedback=False` changes
    nothing, and "feedback_only", which solves nothing, is the same in both closed loops.

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
        _check_numbers(self)
        if not self.exact:
            object.__setattr__(self, "curvature", curvature_blocks.get(self.curvature))
        for means_nothing, sentence, way_out in _contradictions(self):
            if means_nothing:
                raise ValueError(f"{sentence} Received: {self._received()}. {way_out}")

    def _received(self) -> str:
        block = self.curvature if self.exact else self.curvature.name
        shown = {**vars(self), "curvature": block}
        plain = {name: field.default for name, field in self.__dataclass_fields__.items()}
        kept = [f"{name}={value!r}" for name, value in shown.items() if value != plain[name]]
        return ", ".join(kept)

    def with_agents(self, agents: int, form: str | None) -> Rules:
        """The same rules where each player's weights are shared by agents."""
        return replace(self, agents=agents, agents_form=form)

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
    def closed_loop(self) -> bool:
        """Whether the update pass adds K δx."""
        return self.state_feedback and self.structure.sees_state

    @property
    def joint_solver(self) -> bool:
        """Whether a stage of several players is solved by its joint Kronecker factors."""
        return self.solver != SAMPLE_SPACE

    @property
    def duplicated(self) -> bool:
        """Whether a slot without a player plays the weights of the stage's lowest slot."""
        return self.absent_players == DUPLICATED

    @property
    def shifts(self) -> bool:
        """Whether lr ℓ_uu joins M: in the proximal form only, else Theorem 6 would be lost."""
        return not self.exact and self.second.curved and not self.structure.is_gradient


def _check_numbers(rules: Rules) -> None:
    terminal, iterations = rules.terminal, rules.khatri_rao_iterations
    if isinstance(terminal, bool) or not isinstance(terminal, int | Terminal):
        one_of("terminal", terminal, KINDS, ", a positive integer, or a Terminal")
    elif isinstance(terminal, int) and terminal < 1:
        raise ValueError(f"`terminal` must be a positive rank. Received: terminal={terminal}")
    if not isinstance(rules.state_feedback, bool):
        raise ValueError(
            "`state_feedback` must be True or False. "
            f"Received: state_feedback={rules.state_feedback!r}"
        )
    if isinstance(iterations, bool) or not isinstance(iterations, int) or iterations < 0:
        raise ValueError(
            f"`khatri_rao_iterations` must be an integer, at least 0. Received: {iterations!r}"
        )


def _contradictions(rules: Rules) -> Iterable[tuple[bool, str, str]]:
    """(whether it holds, the rule that is broken, the way out) of what means nothing together."""
    structure, name = rules.structure, rules.form_name
    default, joint = Rules.form, rules.joint_solver
    # Exact curvature keeps every second derivative, those between agents ("coupled") as well.
    agents_default = rules.agents_form == "coupled"
    yield (
        rules.exact and name != default and not agents_default,
        'With curvature="exact" Q_uu is exact and no form plays a part.',
        "Leave out the form, or give a preconditioner as curvature.",
    )
    yield (
        rules.exact and joint,
        'With curvature="exact" a stage is solved exactly and no solver plays a part.',
        "Leave out the solver, or give K-FAC or EKFAC as curvature.",
    )
    yield (
        joint and getattr(rules.curvature, "name", "") not in ("kfac", "ekfac"),
        f"The {rules.solver!r} solver works on Kronecker factors: curvature must be K-FAC or "
        "EKFAC.",
        'Give curvature="kfac", or leave out the solver.',
    )
    yield (
        joint and not structure.joint,
        f"The {rules.solver!r} solver is for players who are solved for together.",
        'Give information_structure="cooperative" or "open_loop_cooperative", or leave out the '
        "solver.",
    )
    yield (
        joint and name in ("explicit", "coupled"),
        f"The {rules.solver!r} solver brings its own Q_uu, the damped Kronecker factors of all "
        "players of a stage, which contradicts the explicit form (no mixed terms) and the coupled "
        "one (M / lr for the diagonal).",
        'Use the proximal form or "feedback_only", or the sample-space solver.',
    )
    yield (
        joint and rules.agents > 1,
        f"The {rules.solver!r} solver knows of no fictitious agents.",
        "Use the sample-space solver.",
    )
    yield (
        rules.khatri_rao_iterations != ITERATIONS and rules.solver != KHATRI_RAO,
        "`khatri_rao_iterations` are those of the Khatri-Rao solver.",
        'Give solver="khatri_rao", or leave them out.',
    )
    yield (
        not rules.exact and structure.is_gradient and name != default,
        "In an open loop the update is the preconditioned gradient and no form plays a part.",
        'Leave out the form (for fictitious agents form=None), or give "cooperative".',
    )
    yield (
        not rules.exact and not structure.sees_state and name in ("explicit", "feedback_only"),
        "Without state feedback the joint solve of a stage needs its second derivatives.",
        'Use the proximal or the coupled form, or information_structure="open_loop".',
    )
    yield (
        not rules.exact and not structure.joint and name == "coupled",
        "The coupled form keeps the mixed second derivatives of players solved for together; "
        "alone it is the explicit form.",
        'Give information_structure="cooperative", or form="explicit" (for fictitious agents '
        "form=None).",
    )
    alone = structure.sees_state and not structure.joint
    yield (
        rules.duplicated and not (alone and rules.second.reduces),
        "Absent players are duplicated in the feedback structure alone, where every slot has a "
        "value function of its own that the players' responses reduce.",
        'Leave out `absent_players`, or give information_structure="feedback".',
    )


def one_of(argument: str, value: Any, known: Iterable | Mapping, more: str = "") -> None:
    """Raises a ValueError for a value that is none of the known names."""
    if not isinstance(value, str) or value not in known:
        names = ", ".join(f'"{name}"' for name in known)
        raise ValueError(
            f"`{argument}` must be one of {names}{more}. Received: {argument}={value!r}"
        )
