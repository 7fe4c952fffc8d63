"""The dynamic game a model is: stages, players, and the tensors alive at every cut."""

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from dgn_tf.game import keras_surface as surface
from dgn_tf.game.alignment import Schedule, schedule, schedules
from dgn_tf.game.graph import Call, Graph, read_graph
from dgn_tf.game.players import Player, read_player
from dgn_tf.game.summary import table


@dataclass
class Bystander:
    """Trainable weights that are no player's: a diagonal block, the plain preconditioned gradient.

    Attributes:
        layer: the Keras layer that owns them.
        variables: the weights.
        stage: the stage the layer first runs in.
        reason: why they are no player's.
        decays: whether weight decay applies (not to normalisation).
    """

    layer: Any
    variables: tuple
    stage: int
    reason: str
    decays: bool
    label: str = ""

    @property
    def name(self) -> str:
        """The layer's name; a number is added where nested models repeat one."""
        return self.label or str(self.layer.name)


@dataclass
class Stage:
    """Stage t: its players by slot, its calls, and the cut before it (keys, newest first)."""

    index: int
    players: list[Player]
    calls: list[Call]
    cut: list[int]


class Game:
    """Layers as players of a dynamic game.

    Args:
        model: a Functional or built Sequential model.
        alignment: "asap", "alap" or {layer name: stage}.
        slots: {layer name: slot within its stage}; by default in the order of `model.layers`.
        strict: whether a trainable layer without a curvature-capable reader is an error.

    Raises:
        ValueError: for a model without a graph or without players, an alignment outside the slack,
            LoRA or quantised layers, impossible slots, and, if `strict`, a layer left to a diagonal
            block.

    Attributes:
        arm, arms, chooser: where a policy chooses between alignments, the number of this one, the
            {player: stage} of all, and the policy's name; else 0, this one alone, and "".
    """

    def __init__(
        self,
        model: keras.Model,
        alignment: str | Mapping[str, int] = "asap",
        slots: Mapping[str, int] | None = None,
        strict: bool = False,
    ):
        self.graph: Graph = read_graph(model)
        self.players: list[Player] = []
        self.bystanders: list[Bystander] = []
        self.alignment = alignment
        self.strict = strict
        leftovers = self._read_layers(model)
        if not self.players:
            raise ValueError(
                "A game needs at least one trainable Dense, Conv1D, Conv2D or EinsumDense layer. "
                f"Received: model '{model.name}' without one."
            )
        _tell_apart(self.players)
        self.schedule: Schedule = schedule(self.graph, self._firsts(), alignment)
        for player in self.players:
            first = player.call_indices[0]
            player.stage = self.schedule.player_stage[first]
            player.earliest = self.schedule.earliest[first]
            player.latest = self.schedule.latest[first]
        self._settle_bystanders(leftovers)
        self._assign_slots(slots or {})
        self._build_stages()
        self.columns = max(player.slot for player in self.players) + 1
        self.form: str | None = None
        self.arm, self.chooser = 0, ""
        self.arms: tuple[dict[str, int], ...] = (self.placement(),)
        self._model: Any = None

    def _firsts(self) -> dict[str, int]:
        return {player.name: player.call_indices[0] for player in self.players}

    def placement(self) -> dict[str, int]:
        """Player's name → stage."""
        return {player.name: player.stage for player in self.players}

    def schedules(self, limit: int) -> list[dict[str, int]]:
        """Every alignment of the same players, as `dgn_tf.alignments`."""
        return schedules(self.graph, self._firsts(), limit)

    @property
    def horizon(self) -> int:
        """T, the number of stages."""
        return len(self.stages)

    def identity(self) -> list[tuple]:
        """What an optimizer's state belongs to: the owners of the weights, and the weights."""
        owners: list = [*self.players, *self.bystanders]
        return [(owner.name, tuple(id(v) for v in owner.variables)) for owner in owners]

    def _read_layers(self, model: keras.Model) -> list[tuple[Any, int, str]]:
        trainable = {id(variable) for variable in model.trainable_variables}
        seen: dict[int, Player | None] = {}
        leftovers: list[tuple[Any, int, str]] = []
        for call in self.graph.calls:
            layer = call.operation
            if not isinstance(layer, keras.layers.Layer):
                continue
            if id(layer) in seen:
                player = seen[id(layer)]
                if player is not None:
                    player.call_indices.append(call.index)
                continue
            own = [v for v in layer.trainable_variables if id(v) in trainable]
            player = read_player(layer) if own else None
            if player is not None and len(own) != len(player.variables):
                player = None
            seen[id(layer)] = player
            if player is not None:
                player.call_indices.append(call.index)
                self.players.append(player)
            elif own:
                leftovers.append((layer, call.index, _reason(layer)))
        self.trainable = list(model.trainable_variables)
        return leftovers

    def _settle_bystanders(self, leftovers: list[tuple[Any, int, str]]) -> None:
        taken = {id(v) for player in self.players for v in player.variables}
        order = {id(v): position for position, v in enumerate(self.trainable)}
        for layer, index, reason in leftovers:
            own = tuple(
                v for v in layer.trainable_variables if id(v) in order and id(v) not in taken
            )
            taken.update(id(v) for v in own)
            normal = _is_normalisation(layer)
            if self.strict and not normal:
                raise ValueError(
                    "With strict=True every trainable layer but normalisation must be a player. "
                    f"Received: layer '{layer.name}' ({type(layer).__name__}), left to a diagonal "
                    f"block: {reason}."
                )
            if own:
                stage = self.schedule.call_stage[index]
                self.bystanders.append(Bystander(layer, own, stage, reason, not normal))
        _tell_apart([*self.players, *self.bystanders])
        loose = tuple(v for v in self.trainable if id(v) not in taken)
        if loose:
            names = [variable.path for variable in loose]
            raise ValueError(
                "Every trainable weight must belong to a layer of the graph. "
                f"Received: {names} outside it."
            )

    def _assign_slots(self, slots: Mapping[str, int]) -> None:
        unknown = set(slots) - {player.name for player in self.players}
        if unknown:
            raise ValueError(f"`slots` must name players. Received: {sorted(unknown)}")
        by_stage: dict[int, list[Player]] = {}
        for player in self.players:
            by_stage.setdefault(player.stage, []).append(player)
        for members in by_stage.values():
            fixed = {slots[player.name] for player in members if player.name in slots}
            asked = [slots[player.name] for player in members if player.name in slots]
            bad = [slot for slot in asked if not isinstance(slot, int) or slot < 0]
            if bad or len(fixed) < len(asked):
                raise ValueError(
                    f"Slots of one stage must be different non-negative integers. Received: {asked}"
                )
            free = (slot for slot in range(len(members) + max(fixed, default=0) + 1))
            remaining = (slot for slot in free if slot not in fixed)
            for player in members:
                player.slot = slots[player.name] if player.name in slots else next(remaining)

    def _build_stages(self) -> None:
        total = self.schedule.stages
        made_in = dict.fromkeys(self.graph.inputs, -1)
        last_use = dict.fromkeys(self.graph.shapes, -1)
        for call in self.graph.calls:
            stage = self.schedule.call_stage[call.index]
            for key in call.outputs:
                made_in[key] = stage
            for key in call.inputs:
                last_use[key] = max(last_use[key], stage)
        for key in self.graph.outputs:
            last_use[key] = total
        order = {key: call.index for call in self.graph.calls for key in call.outputs}
        self.stages: list[Stage] = []
        for t in range(total):
            alive = [
                key
                for key, made in made_in.items()
                if made < t and last_use[key] >= t and "float" in self.graph.dtypes[key]
            ]
            alive.sort(key=lambda key: order.get(key, -1 - key), reverse=True)
            members = sorted((p for p in self.players if p.stage == t), key=lambda p: p.slot)
            calls = [c for c in self.graph.calls if self.schedule.call_stage[c.index] == t]
            self.stages.append(Stage(t, members, calls, alive))

    def seat_agents(self, agents: int | Mapping[str, int], form: str | None) -> None:
        """Lets fictitious agents share players' weights.

        Args:
            agents: a number for every player, or {layer name: number}.
            form: the form the game is solved in; None for the optimizer's.

        Raises:
            ValueError: for a number below one, an unknown layer, or different numbers in a stage.
        """
        names = {player.name for player in self.players}
        counts = agents if isinstance(agents, Mapping) else dict.fromkeys(names, agents)
        for name, count in counts.items():
            if name not in names:
                raise ValueError(f"`agents` must name players: {sorted(names)}. Received: {name!r}")
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise ValueError(f"`agents` must be a positive integer. Received: {count!r}")
        for player in self.players:
            player.agents = counts.get(player.name, 1)
        for stage in self.stages:
            if len({player.agents for player in stage.players}) > 1:
                raise ValueError(
                    "The players of one stage must have the same number of agents. Received: "
                    f"{ {player.name: player.agents for player in stage.players} }"
                )
        self.form = form

    def attach(self, model: Any, solver: Callable) -> None:
        """Lets `solve` find the compiled model the game belongs to, and how it is solved."""
        self._model, self._solver = weakref.ref(model), solver

    def solve(self, x: Any, y: Any, sample_weight: Any = None) -> Any:
        """The gains of a batch, without applying them or moving any state.

        Where a policy chooses the alignment, `model.game` is its first arm and `model.games` are
        all of them: each solves itself.

        Args:
            x, y, sample_weight: a batch, as for `train_on_batch`.

        Returns:
            A `Solution` s: `s[t][n]` has `.k` (weights,) and, with exact curvature, `.K` (weights,
            state), `.V_x` and `.V_xx`; `s[t]` has `.W_x` and `.W_xx`; `s.loss` is the loss with ℓ.

        Raises:
            ValueError: before the model was compiled.
        """
        model = self._model() if self._model is not None else None
        if model is None:
            raise ValueError("`game.solve` needs a compiled model. Call `model.compile` first.")
        return self._solver(model, (x, y, sample_weight), self)

    def summary(self, curvature: Any = None, print_fn: Any = print) -> str:
        """A table: stage, slot, player, layer, weights, block, tensors at the cut, slack."""
        if curvature is None and self._model is not None and self._model() is not None:
            curvature = self._model().optimizer.curvature
        text = table(self, curvature)
        if print_fn is not None:
            print_fn(text)
        return text


def _tell_apart(owners: list) -> None:
    """Numbers the second and later owner of a name: `dense`, `dense/2`, …"""
    seen: dict[str, int] = {}
    for owner in owners:
        name = str(owner.layer.name)
        seen[name] = seen.get(name, 0) + 1
        owner.label = name if seen[name] == 1 else f"{name}/{seen[name]}"


def _is_normalisation(layer: Any) -> bool:
    name = type(layer).__name__
    return "Normalization" in name and name != "SpectralNormalization"


def _reason(layer: Any) -> str:
    surface_reason = surface.is_adapted(layer)
    if surface_reason:
        return surface_reason
    if _is_normalisation(layer):
        return "normalisation is no player"
    if getattr(layer, "groups", 1) != 1:
        return "grouped convolution"
    return f"{type(layer).__name__} has no matrix of its own"
