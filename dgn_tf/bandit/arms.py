"""The arms: distinct schedules inside the slack of a model's graph."""

from collections.abc import Mapping
from typing import Any

import keras

from dgn_tf.bandit.policy import AlignmentPolicy
from dgn_tf.game.game import Arm, Game, trace
from dgn_tf.settings import period

LIMIT = 64
"""Arms a policy takes by itself; every arm is a branch of the compiled step."""


def alignments(model: keras.Model, limit: int = LIMIT) -> list[dict[str, int]]:
    """Every alignment {layer name: stage} of a model's players, ASAP first and ALAP last.

    Args:
        model: a Functional or built Sequential model, or a `GameModel`.
        limit: the largest number that is listed.

    Raises:
        ValueError: if there are more than `limit`, and as `GameModel` for a model without a game.
    """
    return Game(model).schedules(period("limit", limit))


def games_of_arms(
    model: keras.Model,
    policy: AlignmentPolicy,
    slots: Mapping[str, int] | None,
    strict: bool,
    agents: int | Mapping[str, int] = 1,
) -> list[Game]:
    """The games of a policy's arms, which know of each other.

    Raises:
        ValueError: for an arm outside the slack, for two arms that are the same schedule, and for
            fictitious agents.
    """
    traced = trace(model)
    first = Game(model, strict=strict, agents=agents, traced=traced)
    if any(player.agents > 1 for player in first.players):
        raise ValueError(
            f"Fictitious agents need one alignment. Received: agents={agents!r} with the "
            f"alignment policy {policy.name}."
        )
    arms: list[Any] = first.schedules(LIMIT) if policy.arms is None else list(policy.arms)
    placements = tuple(first.placement(arm) for arm in arms)
    for i, placement in enumerate(placements):
        if placement in placements[:i]:
            raise ValueError(
                "`arms` must be different schedules. Received: arms "
                f"{placements.index(placement)} and {i} both are {placement}"
            )
    return [
        Game(model, arm, slots, strict, agents, Arm(i, placements, policy.name), traced)
        for i, arm in enumerate(arms)
    ]
