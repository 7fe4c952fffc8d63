"""The game as a table."""

import math
from typing import Any

from dgn_tf.game.capture import EXPECTED_BATCH, TANGENT_BUDGET

HEADER = ("stage", "slot", "player", "layer", "weights", "curvature", "cut before it", "slack")


def table(game: Any, curvature: Any = None, numbers: int = EXPECTED_BATCH) -> str:
    """Stage, slot, player, layer, weights, curvature block, tensors alive at the cut, slack.

    Below it the arms, where a policy chooses between alignments.

    Args:
        game: a `Game`.
        curvature: the optimizer's curvature, None before `compile`.
        numbers: tangents of a weight, the samples of a batch times the columns of Z.
    """
    block = "-" if curvature is None else getattr(curvature, "name", str(curvature))
    fallback = "-"
    if curvature is not None:
        fallback = curvature if isinstance(curvature, str) else curvature.fallback().name
    rows = []
    for stage in game.stages:
        cut = " + ".join(_shape(game.graph.shapes[key]) for key in stage.cut)
        for player in stage.players:
            weights = sum(int(variable.numpy().size) for variable in player.variables)
            name = f"{block} ×{player.agents} agents" if player.agents > 1 else block
            size = math.prod(player.layout.shape)
            if player.positions != 1 and numbers * size > TANGENT_BUDGET:
                name += " (kernel of position sums)"
            rows.append(
                (
                    str(stage.index),
                    str(player.slot),
                    player.name,
                    type(player.layer).__name__,
                    str(weights),
                    name,
                    cut,
                    str(player.slack),
                )
            )
            cut = ""
        for bystander in game.bystanders:
            if bystander.stage == stage.index:
                weights = sum(int(variable.numpy().size) for variable in bystander.variables)
                rows.append(
                    (
                        str(stage.index),
                        "-",
                        f"({bystander.name})",
                        type(bystander.layer).__name__,
                        str(weights),
                        f"{fallback}: {bystander.reason}",
                        "",
                        "-",
                    )
                )
    slots = game.columns
    title = f"{len(game.players)} players, {game.horizon} stages, {slots} slots"
    lines = [title, *_lines(HEADER, rows)]
    if game.arm is not None:
        lines += ["", *_arms(game.arm)]
    return "\n".join(lines)


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
        return "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()

    return [line(header), "  ".join("-" * w for w in widths), *map(line, rows)]


def _shape(shape: tuple) -> str:
    return "(" + ", ".join("B" if size is None else str(size) for size in shape) + ")"
