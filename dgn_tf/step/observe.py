"""The first half of a step: one forward pass with captures, one backward pass a column of Z."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.game import keras_surface as surface
from dgn_tf.game.capture import Capture
from dgn_tf.game.passes import FirstPass
from dgn_tf.rules import ONE_COLUMN
from dgn_tf.step.running_cost import running_costs
from dgn_tf.terminal import Terminal, TerminalFactor, factor, read_objective


@dataclass(frozen=True)
class Observation:
    """What a batch shows.

    Attributes:
        first: the first pass.
        y_pred: the model's outputs.
        loss: the Keras loss, regularisers included.
        gradients: id of variable → gradient of the data loss.
        batch: B as a float scalar.
        running: name of player or bystander → ℓ_u with what regularisers add; None where zero.
        captures: player name → capture; empty where no player needs one.
        costates: a stage, {tensor key: D `(B, R, …)`}, cotangents of Z's columns at the cut.
        factor: the terminal factor; None where only gradients were asked for.
        uses: where the first pass serves several alignments, (tensor key, call index) → what that
            use adds to the cotangent of the tensor, `(B, R, …)`.
        jacobians: a stage, derivatives of the next state, `(B d', …)`, by the tensors of the cut
            and then by the weights of the stage's players; empty unless asked for.
    """

    first: FirstPass
    y_pred: Any
    loss: tf.Tensor
    gradients: dict[int, tf.Tensor]
    batch: tf.Tensor
    running: dict[str, tuple | None]
    captures: dict[str, Capture] = field(default_factory=dict)
    costates: list[dict[int, tf.Tensor]] = field(default_factory=list)
    factor: TerminalFactor | None = None
    uses: dict[tuple[int, int], tf.Tensor] = field(default_factory=dict)
    jacobians: list[list[tf.Tensor]] = field(default_factory=list)

    def seen_by(self, game: Any) -> "Observation":
        """The same batch in another alignment: its cuts and the cotangents there.

        The cotangent of a tensor at a cut is the sum over its uses at that stage and later: the
        paths through earlier stages are those of the other uses.
        """
        costates: list[dict[int, tf.Tensor]] = []
        for stage in game.stages:
            parts: dict[int, list[tf.Tensor]] = {}
            for (key, index), costate in self.uses.items():
                if stage.index and game.schedule.call_stage[index] >= stage.index:
                    parts.setdefault(key, []).append(costate)
            alive = [key for key in stage.cut if key in parts]
            costates.append({key: tf.add_n(parts[key]) for key in alive})
        return replace(self, first=self.first.seen_by(game), costates=costates)

    @property
    def terminal(self) -> TerminalFactor:
        """The terminal factor."""
        if self.factor is None:
            raise ValueError("This batch was observed without a terminal factor.")
        return self.factor

    @property
    def v_T(self) -> tf.Tensor:
        return tf.reshape(self.terminal.v, [-1])

    @property
    def C_T(self) -> tf.Tensor:
        return tf.reshape(self.terminal.C, [-1])

    def by_column(self, weights: tf.Tensor) -> tf.Tensor:
        """`(B R,)` weights as `(B, R)`."""
        return tf.reshape(weights, tf.shape(self.terminal.v))


def observe(
    model: Any,
    terminal: str | int | Terminal,
    data: tuple,
    *,
    captures: bool = False,
    feedback: bool = False,
    jacobians: bool = False,
    games: Sequence | None = None,
) -> Observation:
    """Runs the first pass of a step.

    Args:
        model: a compiled `GameModel`.
        terminal: the kind of terminal factor.
        data: `(x, y, sample_weight)`.
        captures: whether players need their inputs and cotangents.
        feedback: whether the cotangents at the cuts are needed.
        jacobians: whether the Jacobians of the stages are, for the dense game.
        games: the alignments to observe for, by default those of the model; of several, none has
            cuts and costates before `Observation.seen_by`.
    """
    x, y, sample_weight = data
    games = model.games if games is None else games
    game = games[0]
    single = terminal in ONE_COLUMN
    several = len(games) > 1
    first = FirstPass(
        game,
        copies=jacobians or (feedback and not several),
        copy_inputs=jacobians,
        split=_cut_somewhere(games) if feedback and several else frozenset(),
    )
    if jacobians:
        x = keras.tree.map_structure(tf.convert_to_tensor, x)
    batch = tf.shape(keras.tree.flatten(x)[0])[0]
    with tf.GradientTape(persistent=True) as tape:
        if jacobians:
            tape.watch([tensor for tensor in keras.tree.flatten(x) if tensor.dtype.is_floating])
        with model.recording(first):
            y_pred = model(x, training=True)
        objective = read_objective(model, y, y_pred)
        reading = objective.reading()
        with reading.recording():
            loss = surface.compute_loss(model, x, y, y_pred, sample_weight)
        # Regularisers and added losses.
        added = [tf.cast(tf.reduce_sum(term), loss.dtype) for term in model.losses]
        extra = tf.add_n(added) if added else None
        data_loss = loss if extra is None else loss - extra
        end = objective.end(y_pred, reading)
        nexts = []
        if jacobians:
            states = [flat_state(list(cut.values()), batch) for cut in first.cuts[1:]]
            nexts = [tf.reshape(x, [-1]) for x in (*states, end.x)]
    variables = game.trainable
    values = [variable.value for variable in variables]
    size = tf.cast(batch, values[0].dtype)
    calls = [i for player in game.players for i in player.call_indices] if captures else []
    z = [first.preactivations[i] for i in calls]
    cuts = [(t, key) for t, cut in enumerate(first.cuts) for key in cut if _moves(game, key)]
    cuts = cuts if feedback else []
    copies = [*[first.cuts[t][key] for t, key in cuts], *first.uses.values()]
    with_factor = captures or feedback or jacobians
    inner = [*z, *copies] if single else []
    ends = [end.x, *reading.sources] if with_factor else []
    sources = [*values, *inner, *ends]
    # With a seed of B the cotangents come out per sample, without a product for each of them.
    seed = tf.cast(size, data_loss.dtype) if with_factor else None
    gradients = tape.gradient(
        data_loss,
        sources,
        output_gradients=seed,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    by_variable = {}
    for variable, gradient in zip(variables, gradients, strict=False):
        dense = tf.convert_to_tensor(gradient)
        by_variable[id(variable)] = dense / size if with_factor else dense
    extras = {}
    if extra is not None:
        for variable, gradient in zip(variables, tape.gradient(extra, values), strict=True):
            if gradient is not None:
                extras[id(variable)] = tf.convert_to_tensor(gradient)
    found = Observation(
        first, y_pred, loss, by_variable, size, running_costs(model.optimizer, game, extras)
    )
    if not with_factor:
        return found
    phi_x, *counts = gradients[len(values) + len(inner) :]
    made = factor(terminal, objective.terminal_loss(end, phi_x, reading, counts))
    if single:
        columns = [[g] for g in gradients[len(values) : len(values) + len(inner)]]
    else:
        columns = _columns(tape, end.x, made.Z, [*z, *copies])
    cotangents = dict(zip(calls, columns, strict=False))
    stacked = [
        tf.stack(column, 1) if len(column) > 1 else column[0][:, None]
        for column in columns[len(z) :]
    ]
    costates: list[dict[int, tf.Tensor]] = [{} for _ in game.stages]
    for (t, key), costate in zip(cuts, stacked, strict=False):
        costates[t][key] = costate
    return replace(
        found,
        factor=made,
        captures=_captures(model, found, game, made, cotangents) if captures else {},
        costates=costates,
        uses=dict(zip(first.uses, stacked[len(cuts) :], strict=True)),
        jacobians=_jacobians(tape, game, first, nexts) if jacobians else [],
    )


def flat_state(tensors: list[tf.Tensor], batch: tf.Tensor) -> tf.Tensor:
    """The tensors of a cut as one `(B, d)` state."""
    return tf.concat([tf.reshape(x, (batch, -1)) for x in tensors], 1)


def _jacobians(
    tape: tf.GradientTape, game: Any, first: FirstPass, nexts: list[tf.Tensor]
) -> list[list[tf.Tensor]]:
    found = []
    for stage in game.stages:
        own = [v.value for player in stage.players for v in player.variables]
        sources = [*first.cuts[stage.index].values(), *own]
        zero = tf.UnconnectedGradients.ZERO
        found.append(tape.jacobian(nexts[stage.index], sources, unconnected_gradients=zero))
    return found


def _cut_somewhere(games: Sequence) -> frozenset[int]:
    """Keys of the tensors that are part of the state at some cut of some alignment."""
    cuts = [stage.cut for game in games for stage in game.stages[1:]]
    return frozenset(key for cut in cuts for key in cut if _moves(games[0], key))


def _moves(game: Any, key: int) -> bool:
    return key not in game.graph.inputs


def _columns(tape: Any, end: tf.Tensor, Z: tf.Tensor, sources: list) -> list[list[tf.Tensor]]:
    """For every source, the cotangents of each column of Z."""
    by_column = [
        tape.gradient(
            end,
            sources,
            output_gradients=tf.reshape(Z[:, r], tf.shape(end)),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        for r in range(Z.shape[1])
    ]
    return [list(column) for column in zip(*by_column, strict=True)]


def _captures(
    model: Any,
    found: Observation,
    game: Any,
    made: TerminalFactor,
    cotangents: dict[int, list[tf.Tensor]],
) -> dict[str, Capture]:
    return {
        player.name: player.capture(
            [found.first.inputs[i] for i in player.call_indices],
            [cotangents[i] for i in player.call_indices],
            c=made.v,
            curvature_scale=made.curvature_scale,
            gradient=tuple(found.gradients[id(v)] for v in player.variables),
            expected=model.expected_batch,
        )
        for player in game.players
    }
