"""When each player moves: stages as a schedule inside the slack of the graph.

A player may stand at any stage from ASAP, the longest path of players before it, to ALAP, T minus
one minus the longest path of players after it. A call without a player runs in the earliest stage
where its inputs exist. (Liu, Chen and Theodorou 2021, Figure 10a: alignments.)
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dgn_tf.game.graph import Graph


@dataclass(frozen=True)
class Schedule:
    """T stages; call index → the stage it runs in; player's first call index → ASAP, ALAP stage."""

    stages: int
    call_stage: dict[int, int]
    earliest: dict[int, int]
    latest: dict[int, int]


def _forward(graph: Graph, players: set[int], wanted: Mapping[int, int]) -> tuple[dict, int]:
    """Stages of all calls, a player's at max(its earliest, wanted), and the outputs' level."""
    level = dict.fromkeys(graph.inputs, 0)
    stage: dict[int, int] = {}
    for call in graph.calls:
        reached = max((level[key] for key in call.inputs), default=0)
        if call.index in players:
            stage[call.index] = max(reached, wanted.get(call.index, 0))
            made = stage[call.index] + 1
        else:
            stage[call.index] = max(reached - 1, 0)
            made = reached
        for key in call.outputs:
            level[key] = made
    return stage, max((level[key] for key in graph.outputs), default=0)


def _after(graph: Graph, players: set[int]) -> dict[int, int]:
    """Players on the longest path strictly after each player."""
    below, longest = dict.fromkeys(graph.shapes, 0), {}
    for call in reversed(graph.calls):
        after = max((below[key] for key in call.outputs), default=0)
        if call.index in players:
            longest[call.index] = after
            after += 1
        for key in call.inputs:
            below[key] = max(below[key], after)
    return longest


def schedule(
    graph: Graph, names: Mapping[str, int], alignment: str | Mapping[str, int] = "asap"
) -> Schedule:
    """Schedules players, {name: index of first call}, those that `alignment` leaves out ASAP.

    Raises:
        TypeError, ValueError: for an unknown alignment or layer, or a stage outside the slack.
    """
    players = set(names.values())
    soonest, total = _forward(graph, players, {})
    total, after = max(total, 1), _after(graph, players)
    earliest = {index: soonest[index] for index in players}
    latest = {index: max(total - 1 - after[index], earliest[index]) for index in players}
    if isinstance(alignment, str):
        if alignment not in ("asap", "alap"):
            raise ValueError(
                '`alignment` must be "asap", "alap" or a dictionary {layer name: stage}. '
                f"Received: alignment={alignment!r}"
            )
        wanted = latest if alignment == "alap" else {}
    elif isinstance(alignment, Mapping):
        unknown = [name for name in alignment if name not in names]
        if unknown:
            raise ValueError(
                f"`alignment` must name players of the model: {sorted(names)}. Received: {unknown}"
            )
        wanted = {names[name]: stage for name, stage in alignment.items()}
    else:
        raise TypeError(
            f"`alignment` must be a string or a dictionary. Received: {type(alignment).__name__}"
        )
    stage, _ = _forward(graph, players, wanted)
    for name, index in names.items():
        low, high = earliest[index], latest[index]
        placed, asked = stage[index], wanted.get(index, stage[index])
        if type(asked) is not int or asked < low or placed > high or placed != asked:
            raise ValueError(
                f"The stage of layer '{name}' must be an integer within its slack, "
                f"{low} to {high}, and after every player before it. Received: stage {asked}"
            )
    return Schedule(total, stage, earliest, latest)


def schedules(graph: Graph, names: Mapping[str, int], limit: int) -> list[dict[str, int]]:
    """Every schedule {name: stage} inside the slack, ASAP first and ALAP last; a ValueError if
    there are more than `limit`."""
    latest = schedule(graph, names).latest
    called = {index: name for name, index in names.items()}
    placements: list[dict[str, int]] = []

    def place(position: int, level: dict[int, int], stages: dict[str, int]) -> None:
        """Goes on from a call, with the level of the tensors made before it."""
        for call in graph.calls[position:]:
            reached = max((level[key] for key in call.inputs), default=0)
            if call.index in called:
                for stage in range(reached, latest[call.index] + 1):
                    after = {**level, **dict.fromkeys(call.outputs, stage + 1)}
                    place(call.index + 1, after, {**stages, called[call.index]: stage})
                return
            level = {**level, **dict.fromkeys(call.outputs, reached)}
        placements.append({name: stages[name] for name in names})
        if len(placements) > limit:
            raise ValueError(
                f"The graph has more than {limit} alignments. Raise `limit` to list them, and give "
                "a policy the ones to choose from: `arms=[...]`."
            )

    place(0, dict.fromkeys(graph.inputs, 0), {})
    return placements
