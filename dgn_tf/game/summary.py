"""The game as a table."""

import math
from typing import TYPE_CHECKING, Any

import keras

from dgn_tf.game.capture import EXPECTED_BATCH, TANGENT_BUDGET
from dgn_tf.terminal import factor as terminal

if TYPE_CHECKING:
    from dgn_tf.game.game import Game

HEADER = ("stage", "slot", "player", "layer", "weights", "curvature", "cut before it", "slack")


def table(game: "Game", model: keras.Model | None, curvature: Any = None) -> str:
    """Stage, slot, player, layer, weights, curvature block, tensors alive at the cut, slack.

    Below it the arms, where a policy chooses between alignments, and what is not seen of the loss.
    The model may be compiled or not; a curvature stands for the optimizer's.
    """
    optimizer = getattr(model, "optimizer", None)
    curvature = getattr(optimizer, "curvature", None) if curvature is None else curvature
    block = "-" if curvature is None else getattr(curvature, "name", str(curvature))
    fallback = block if curvature is None or block == curvature else curvature.fallback().name
    shape = tuple(size or 1 for size in game.graph.shapes[game.graph.outputs[0]][1:])
    columns = terminal.get(getattr(optimizer, "terminal", "rank_one")).columns(shape)
    tangents = columns * getattr(model, "expected_batch", EXPECTED_BATCH)
    rows = []
    for stage in game.stages:
        cut = " + ".join(_shape(game.graph.shapes[key]) for key in stage.cut)
        for player in stage.players:
            name = f"{block} ×{player.agents} agents" if player.agents > 1 else block
            if player.positions != 1 and tangents * math.prod(player.layout.shape) > TANGENT_BUDGET:
                name += " (kernel of position sums)"
            shown = _shown(player, player.name, name)
            rows.append((str(stage.index), str(player.slot), *shown, cut, str(player.slack)))
            cut = ""
        for bystander in game.bystanders:
            if bystander.stage == stage.index:
                name = f"{fallback}: {bystander.reason}"
                shown = _shown(bystander, f"({bystander.name})", name)
                rows.append((str(stage.index), "-", *shown, "", "-"))
    title = f"{len(game.players)} players, {game.horizon} stages, {game.slots} slots"
    lines = [title, *_lines(HEADER, rows)]
    if game.arm is not None:
        lines += ["", *_arms(game.arm)]
    unseen = getattr(model, "unseen", "")
    lines += ["", unseen] if unseen else []
    return "\n".join(lines)


def _shown(owner: Any, name: str, block: str) -> tuple[str, str, str, str]:
    weights = sum(math.prod(variable.shape) for variable in owner.variables)
    return name, type(owner.layer).__name__, str(weights), block


def _arms(arm: Any) -> list[str]:
    """The stages of the players that not all arms put at the same one."""
    arms = arm.placements
    moving = [name for name in arms[0] if len({placed[name] for placed in arms}) > 1]
    rows = [
        (str(i) + (" (above)" if i == arm.index else ""), *(str(placed[n]) for n in moving))
        for i, placed in enumerate(arms)
    ]
    title = f"{len(arms)} arms, chosen by {arm.chooser}; stages of the players that move"
    return [title, *_lines(("arm", *moving), rows)]


def _lines(header: tuple, rows: list[tuple]) -> list[str]:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(row: tuple) -> str:
        return "  ".join(map(str.ljust, row, widths)).rstrip()

    return [line(header), "  ".join("-" * w for w in widths), *map(line, rows)]


def _shape(shape: tuple) -> str:
    return "(" + ", ".join("B" if size is None else str(size) for size in shape) + ")"
