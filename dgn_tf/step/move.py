"""The second half of a step: the recursion in sample space, and the update pass."""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from dgn_tf.game.passes import SecondPass
from dgn_tf.recursion import sample_space
from dgn_tf.step.clip import Clipper
from dgn_tf.step.joint import applies as joint_applies
from dgn_tf.step.joint import joint_updates
from dgn_tf.step.observe import Observation
from dgn_tf.step.running_cost import shift_of


@dataclass
class Moves:
    """New weights of a step.

    Attributes:
        updates: name of player or bystander → updates Δθ, to be subtracted, a variable.
        weights: id of variable → new value, constraints applied.
        second: the second pass, to the outputs where the damping adapts; None in an open loop.
    """

    updates: dict[str, list[tf.Tensor]]
    weights: dict[int, tf.Tensor]
    second: SecondPass | None


def solve_game(optimizer: Any, game: Any, seen: Observation, lr: tf.Tensor) -> tuple[dict, list]:
    """Prepared curvature blocks by player and, for every stage and slot, its value.

    The blocks are None in an open loop, where the gradient alone is preconditioned.
    """
    rules = optimizer.rules
    structure, form = rules.information_structure, rules.form_name
    if rules.structure.is_gradient or not game.players:
        return {}, []
    prepared = {}
    for player in game.players:
        shift = shift_of(optimizer, player, lr)
        capture = seen.captures[player.name]
        state = optimizer.states.players[player.name]
        prepared[player.name] = optimizer.curvature.prepare(
            state, capture, optimizer.iterations.value, shift
        )
    needs_kernels = form != "feedback_only"
    kernels: list[list] = [[None] * game.columns for _ in game.stages]
    decay: list[list] = [[None] * game.columns for _ in game.stages]
    for player in game.players:
        block = prepared[player.name]
        extra = seen.running[player.name]
        kernels[player.stage][player.slot] = block.kernel() if needs_kernels else 0.0
        if extra is not None and needs_kernels:
            decay[player.stage][player.slot] = block.pullback_solved(extra)
    agents = [max((p.agents for p in stage.players), default=1) for stage in game.stages]
    values = sample_space.solve(
        seen.v_T,
        seen.C_T,
        kernels,
        decay,
        lr,
        seen.batch,
        form=form,
        structure=structure,
        absent_players=optimizer.absent_players,
        agents=agents if max(agents) > 1 else None,
    )
    return prepared, values


def move(optimizer: Any, game: Any, seen: Observation, lr: tf.Tensor) -> Moves:
    """The updates of every player and bystander at one learning rate.

    Args:
        optimizer: the `DGNOpt`.
        game: its game.
        seen: the batch.
        lr: scalar, the learning rate.
    """
    prepared, values = solve_game(optimizer, game, seen, lr)
    clip = Clipper(optimizer)
    second = SecondPass(seen.first) if optimizer.rules.closed_loop else None
    if clip.needs_open_gains:
        gains = [
            open_update(optimizer, player, seen, prepared, values, lr) for player in game.players
        ]
        gains += [_bystander_update(optimizer, b, seen, lr) for b in game.bystanders]
        clip.measure([update for gain in gains for update in gain])
    moves = Moves({}, {}, second)
    pairs: list[tuple] = []
    for stage in game.stages:
        s = _projected_change(second, stage, seen) if second is not None and stage.index else None
        for bystander in game.bystanders:
            if bystander.stage == stage.index:
                update = _bystander_update(optimizer, bystander, seen, lr)
                pairs += record(moves, bystander, clip(update), lr)
        joint = {}
        if joint_applies(optimizer, stage):
            joint = joint_updates(optimizer, stage, seen, values, s)
        for player in stage.players:
            if player.name in joint:
                update = joint[player.name]
            elif s is None:
                update = open_update(optimizer, player, seen, prepared, values, lr)
            else:
                update = _closed_update(optimizer, player, seen, prepared, values, s)
            if player.agents > 1:
                update = [player.agents * u for u in update]
            pairs += record(moves, player, clip(update), lr)
        if second is not None and stage.index + 1 < game.horizon:
            second.run_stage(stage, pairs)
    if getattr(optimizer.curvature, "adaptive_damping", False):
        moves.second = second or SecondPass(seen.first)
        for stage in game.stages if second is None else game.stages[-1:]:
            moves.second.run_stage(stage, pairs)
    return moves


def record(moves: Moves, owner: Any, update: list[tf.Tensor], lr: tf.Tensor) -> list[tuple]:
    """Notes an update (before the learning rate) and returns pairs (variable, new value)."""
    pairs = []
    steps = [lr * u for u in update]
    moves.updates[owner.name] = steps
    for variable, step in zip(owner.variables, steps, strict=True):
        value = variable.value - step
        if variable.constraint is not None:
            value = tf.convert_to_tensor(variable.constraint(value))
        moves.weights[id(variable)] = value
        pairs.append((variable, value))
    return pairs


def _projected_change(second: SecondPass, stage: Any, seen: Observation) -> tf.Tensor | None:
    """s = D'δx, `(B R,)`."""
    change = second.state_change(stage)
    parts = []
    for key, costate in seen.costates[stage.index].items():
        if key not in change:
            continue
        moved = tf.cast(change[key], costate.dtype)
        axes = list(range(2, len(costate.shape)))
        parts.append(tf.reduce_sum(costate * moved[:, None], axes))
    if not parts:
        return None
    return tf.reshape(tf.add_n(parts), [-1])


def _add(tensors: tuple, extra: tuple | None) -> tuple:
    if extra is None:
        return tensors
    return tuple(t + e for t, e in zip(tensors, extra, strict=True))


def open_update(
    optimizer: Any, player: Any, seen: Observation, prepared: dict, values: list, lr: tf.Tensor
) -> list[tf.Tensor]:
    """k / lr: M⁻¹ ((1/B) U v + ℓ_u)."""
    extra = seen.running[player.name]
    state = optimizer.states.players[player.name]
    block, step = optimizer.curvature, optimizer.iterations.value
    cap = seen.captures.get(player.name)
    if prepared:
        value = values[player.stage][player.slot]
        weights = seen.by_column(value.v)
        if not block.momentum:
            return list(prepared[player.name].gain(weights, extra))
        gradient = seen.captures[player.name].weighted(weights)
    else:
        if cap is not None and extra is None and seen.factor is not None and not block.momentum:
            found = block.prepare(state, cap, step).gain_at_hand(seen.factor.v)
            if found is not None:
                return list(found)
        gradient = tuple(seen.gradients[id(v)] for v in player.variables)
    gradient = _add(gradient, extra)
    if block.momentum:
        gradient = _averaged(optimizer, player.name, block, state, gradient, seen)
    return list(block.precondition(state, gradient, step, cap=cap))


def _averaged(
    optimizer: Any, name: str, block: Any, state: dict, gradient: tuple, seen: Observation
) -> tuple:
    """The first moment with this step's gradient; moved once a step however often it is retried."""
    if name not in seen.averaged:
        active = None
        if optimizer.guard is not None:
            active = tf.math.is_finite(tf.add_n([tf.reduce_sum(g) for g in gradient]))
        step = optimizer.iterations.value
        seen.averaged[name] = block.first_moment(state, gradient, step, active)
    return seen.averaged[name]


def _closed_update(
    optimizer: Any, player: Any, seen: Observation, prepared: dict, values: list, s: tf.Tensor
) -> list[tf.Tensor]:
    """(k + K δx) / lr: M⁻¹ ((1/B) U (v + C s) + ℓ_u)."""
    extra = seen.running[player.name]
    block = optimizer.curvature
    value = values[player.stage][player.slot]
    if not block.momentum:
        weights = seen.by_column(value.weights(s))
        return list(prepared[player.name].gain(weights, extra))
    state, step = optimizer.states.players[player.name], optimizer.iterations.value
    capture = seen.captures[player.name]
    open_part = _add(capture.weighted(seen.by_column(value.v)), extra)
    averaged = _averaged(optimizer, player.name, block, state, open_part, seen)
    feedback = capture.weighted(seen.by_column(value.apply(s)))
    return list(block.precondition(state, _add(averaged, feedback), step))


def _bystander_update(optimizer: Any, owner: Any, seen: Observation, lr: tf.Tensor) -> list:
    """The plain preconditioned gradient of weights that are no player's."""
    block, step = optimizer.curvature.fallback(), optimizer.iterations.value
    extra = seen.running[owner.name]
    updates: list[tf.Tensor] = []
    for i, variable in enumerate(owner.variables):
        state = optimizer.states.bystanders[owner.name][i]
        gradient = (seen.gradients[id(variable)],)
        gradient = _add(gradient, None if extra is None else extra[i : i + 1])
        if block.momentum:
            name = f"{owner.name}/{i}"
            gradient = _averaged(optimizer, name, block, state, gradient, seen)
        updates += block.precondition(state, gradient, step)
    return updates
