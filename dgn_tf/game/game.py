"""The dynamic game a model is: stages, players, and the tensors alive at every cut."""

import itertools
import math
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras

from dgn_tf.game.alignment import schedule, schedules
from dgn_tf.game.graph import Call, Graph, read_graph
from dgn_tf.game.players import Bystander, Owner, Player, read_player
from dgn_tf.game.summary import table
from dgn_tf.game.uses import Uses, read_uses
from dgn_tf.settings import period


@dataclass(frozen=True)
class Stage:
    """Stage t: its players by slot, its calls, and the cut before it (keys, newest first)."""

    index: int
    players: tuple[Player, ...]
    calls: tuple[Call, ...]
    cut: tuple[int, ...]


@dataclass(frozen=True)
class Arm:
    """One of the alignments that the policy `chooser` chooses between, all {player: stage}."""

    index: int
    placements: tuple[dict[str, int], ...]
    chooser: str


class Game:
    """Layers as players of a dynamic game; it does not change once it is built.

    Args:
        model: a Functional or built Sequential model.
        alignment, slots, strict, agents: as for `GameModel`, which raises the same.
        arm: its place among the alignments of a policy; None where there is one alignment.
        traced: what `trace(model)` gave, where several games are made of one model.
    """

    def __init__(
        self,
        model: keras.Model,
        alignment: str | Mapping[str, int] = "asap",
        slots: Mapping[str, int] | None = None,
        strict: bool = False,
        agents: int | Mapping[str, int] = 1,
        arm: Arm | None = None,
        traced: tuple[Graph, Uses] | None = None,
    ):
        self.graph, self.uses = trace(model) if traced is None else traced
        self.alignment, self.strict, self.arm = alignment, strict, arm
        self.trainable = tuple(model.trainable_variables)
        self._model = weakref.ref(model)
        if not self.trainable:
            raise ValueError(
                "A game needs at least one trainable layer. "
                f"Received: model '{model.name}' without one."
            )
        read, leftovers = self._read_layers()
        players: tuple[Player, ...] = _tell_apart(read)
        self._firsts = {player.name: player.call_indices[0] for player in players}
        self.schedule = schedule(self.graph, self._firsts, alignment)
        bystanders = self._settle_bystanders(model, players, leftovers)
        self.bystanders = _tell_apart([*players, *bystanders])[len(players) :]
        counts = _agent_counts(agents, list(self._firsts))
        placed = self.placement()
        slot_of = _slots(slots or {}, placed, _layer_order(model, players))
        self.players = tuple(
            replace(
                player,
                stage=placed[player.name],
                earliest=self.schedule.earliest[player.call_indices[0]],
                latest=self.schedule.latest[player.call_indices[0]],
                slot=slot_of[player.name],
                agents=counts[player.name],
            )
            for player in players
        )
        self.stages = self._stages()
        self.slots = max((player.slot for player in self.players), default=0) + 1
        for stage in self.stages:
            if len({player.agents for player in stage.players}) > 1:
                raise ValueError(
                    "The players of one stage must have the same number of agents. Received: "
                    f"{ {player.name: player.agents for player in stage.players} }"
                )
        self._built = True

    def __setattr__(self, name: str, value: Any) -> None:
        if getattr(self, "_built", False):
            raise AttributeError(f"A game does not change once it is built. Received: {name}=")
        super().__setattr__(name, value)

    def placement(self, alignment: str | Mapping[str, int] | None = None) -> dict[str, int]:
        """Player's name → stage, of this game or under another alignment."""
        placed = self.schedule
        if alignment is not None:
            placed = schedule(self.graph, self._firsts, alignment)
        return {name: placed.call_stage[index] for name, index in self._firsts.items()}

    def schedules(self, limit: int) -> list[dict[str, int]]:
        """Every alignment of the same players, as `dgn_tf.alignments`."""
        return schedules(self.graph, self._firsts, limit)

    @property
    def horizon(self) -> int:
        """T, the number of stages."""
        return len(self.stages)

    @property
    def owners(self) -> tuple[Owner, ...]:
        """All players, then all bystanders."""
        return (*self.players, *self.bystanders)

    def identity(self) -> list[tuple]:
        """What an optimizer's state belongs to: the owners of the weights, and the weights."""
        return [(owner.name, tuple(id(v) for v in owner.variables)) for owner in self.owners]

    def _read_layers(self) -> tuple[list[Player], list[tuple[Any, str]]]:
        """The players, and the other layers with weights and why they are no players."""
        trainable = {id(variable) for variable in self.trainable}
        calls: dict[int, list[int]] = {}
        for call in self.graph.calls:
            if isinstance(call.operation, keras.layers.Layer):
                calls.setdefault(id(call.operation), []).append(call.index)
        players: list[Player] = []
        uncovered: list[tuple[Any, str]] = []
        leftovers: list[tuple[Any, str]] = []
        for indices in calls.values():
            layer = self.graph.calls[indices[0]].operation
            own = [v for v in layer.trainable_variables if id(v) in trainable]
            player = read_player(layer) if own else None
            if player is None:
                leftovers += [(layer, _reason(layer))] if own else []
            elif reason := self._uncovered(player, own, indices):
                uncovered.append((layer, reason))
            else:
                made = [self.graph.shapes[self.graph.calls[i].outputs[0]][1:] for i in indices]
                known = all(size is not None for shape in made for size in shape)
                positions = sum(map(math.prod, made)) // player.layout.shape[1] if known else None
                players.append(replace(player, call_indices=tuple(indices), positions=positions))
        return players, uncovered + leftovers

    def _uncovered(self, player: Player, own: list, calls: list[int]) -> str:
        """Why a layer's inputs and pre-activations do not show all that its weights do; or ""."""
        used = [self.graph.calls[i] for i in calls]
        if any(key in self.uses.not_by_sample for c in used for key in (*c.inputs, *c.outputs)):
            return "the first axis of what it reads or makes is not that of the samples"
        if len(own) != len(player.variables):
            return "not all of its weights are trained, or they are more than kernel and bias"
        for variable in player.variables:
            elsewhere = set(self.uses.reads.get(id(variable), [])) - set(calls)
            if elsewhere:
                other = self.graph.calls[min(elsewhere)].name
                return f"its {variable.name} is also used by '{other}'"
            if id(variable) in self.uses.in_activations:
                return f"its {variable.name} is also used by an activation"
        return ""

    def _settle_bystanders(self, model: Any, players: tuple, leftovers: list) -> list[Bystander]:
        bystanders: list[Bystander] = []
        free = {id(v) for v in self.trainable} - {id(v) for p in players for v in p.variables}
        for layer, reason in [*leftovers, (model, "no layer of the graph owns them")]:
            own = tuple(v for v in layer.trainable_variables if id(v) in free)
            free -= {id(v) for v in own}
            if not own:
                continue
            normal = _is_normalisation(layer)
            if self.strict and not normal:
                raise ValueError(
                    "With strict=True every trainable layer but normalisation must be a player. "
                    f"Received: layer '{layer.name}' ({type(layer).__name__}), left to a diagonal "
                    f"block: {reason}."
                )
            users = [i for v in own for i in self.uses.reads.get(id(v), [])]
            stage = min((self.schedule.call_stage[i] for i in users), default=0)
            settled = {"layer": layer, "variables": own, "stage": stage}
            bystanders.append(Bystander(**settled, reason=reason, decays=not normal))
        return bystanders

    def _stages(self) -> tuple[Stage, ...]:
        total, graph = self.schedule.stages, self.graph
        made_in = dict.fromkeys(graph.inputs, -1)
        last_use = dict.fromkeys(graph.shapes, -1)
        order = {key: -1 - key for key in graph.inputs}
        for call in graph.calls:
            stage = self.schedule.call_stage[call.index]
            made_in.update(dict.fromkeys(call.outputs, stage))
            order.update(dict.fromkeys(call.outputs, call.index))
            for key in call.inputs:
                last_use[key] = max(last_use[key], stage)
        last_use.update(dict.fromkeys(graph.outputs, total))
        newest_first = sorted(made_in, key=order.__getitem__, reverse=True)
        floats = [key for key in newest_first if "float" in graph.dtypes[key]]
        stages = []
        for t in range(total):
            alive = [key for key in floats if made_in[key] < t <= last_use[key]]
            members = sorted((p for p in self.players if p.stage == t), key=lambda p: p.slot)
            calls = [c for c in graph.calls if self.schedule.call_stage[c.index] == t]
            stages.append(Stage(t, tuple(members), tuple(calls), tuple(alive)))
        return tuple(stages)

    def solve(self, x: Any, y: Any, sample_weight: Any = None) -> Any:
        """The gains of a batch in this game, as `GameModel.solve`."""
        model: Any = self._model()
        if not hasattr(model, "solve"):
            raise ValueError("`game.solve` needs the game of a `GameModel`, compiled.")
        return model.solve(x, y, sample_weight, game=self)

    def summary(self, curvature: Any = None, print_fn: Any = print) -> str:
        """A table: stage, slot, player, layer, weights, block, tensors at the cut, slack; and what
        the game does not see of its loss."""
        text = table(self, self._model(), curvature)
        if print_fn is not None:
            print_fn(text)
        return text


def trace(model: keras.Model) -> tuple[Graph, Uses]:
    """The calls of a model, and what they do with its variables."""
    graph = read_graph(model)
    return graph, read_uses(graph, model.weights)


def _layer_order(model: Any, players: tuple[Player, ...]) -> list[str]:
    """The players' names in the order of `model.layers`, those of nested models in between."""

    def walk(model: Any) -> Iterator[Any]:
        for layer in model.layers:
            yield layer
            if isinstance(layer, keras.Model):
                yield from walk(layer)

    names = {id(player.layer): player.name for player in players}
    return list(dict.fromkeys(names[id(layer)] for layer in walk(model) if id(layer) in names))


def _slots(slots: Mapping[str, int], placed: dict[str, int], order: list[str]) -> dict[str, int]:
    """Player's name → slot: the one asked for, or the first that is free in its stage."""
    unknown = set(slots) - set(order)
    if unknown:
        raise ValueError(f"`slots` must name players. Received: {sorted(unknown)}")
    slot_of = dict(slots)
    for stage in set(placed.values()):
        members = [name for name in order if placed[name] == stage]
        asked = [slots[name] for name in members if name in slots]
        bad = [slot for slot in asked if type(slot) is not int or slot < 0]
        if bad or len(set(asked)) < len(asked):
            raise ValueError(
                f"Slots of one stage must be different non-negative integers. Received: {asked}"
            )
        free = (slot for slot in itertools.count() if slot not in asked)
        slot_of.update((name, next(free)) for name in members if name not in slots)
    return slot_of


def _tell_apart(owners: list) -> tuple:
    """Labels the second and later owner of a name with a number: `dense`, `dense/2`, …"""
    counts: dict[str, int] = {}
    labelled = []
    for owner in owners:
        name = str(owner.layer.name)
        counts[name] = counts.get(name, 0) + 1
        label = name if counts[name] == 1 else f"{name}/{counts[name]}"
        labelled.append(replace(owner, label=label))
    return tuple(labelled)


def _agent_counts(agents: int | Mapping[str, int], names: list[str]) -> dict[str, int]:
    """Player's name → number of fictitious agents, one where none is named."""
    counts = agents if isinstance(agents, Mapping) else dict.fromkeys(names, agents)
    for name, count in counts.items():
        if name not in names:
            raise ValueError(f"`agents` must name players: {sorted(names)}. Received: {name!r}")
        period("agents", count)
    return {**dict.fromkeys(names, 1), **counts}


def _is_normalisation(layer: Any) -> bool:
    name = type(layer).__name__
    return "Normalization" in name and name != "SpectralNormalization"


def _reason(layer: Any) -> str:
    if _is_normalisation(layer):
        return "normalisation is no player"
    if getattr(layer, "groups", 1) != 1:
        return "grouped convolution"
    return f"{type(layer).__name__} has no matrix of its own"
