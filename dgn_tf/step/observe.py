"""The first half of a step: one forward pass with captures, one backward pass per column of Z, and
the running cost ℓ_{t,n} = ½ wd |θ|² with what regularisers add to its gradient."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
import tensorflow as tf

from dgn_tf.game import keras_surface as surface
from dgn_tf.game.capture import Capture
from dgn_tf.game.game import Game
from dgn_tf.game.passes import FirstPass
from dgn_tf.game.players import Owner
from dgn_tf.optimizer import DGNOpt
from dgn_tf.terminal.factor import Terminal, get
from dgn_tf.terminal.objective import read_objective

if TYPE_CHECKING:
    from dgn_tf.game_model import GameModel

Model: TypeAlias = "GameModel"


@dataclass(frozen=True)
class Observation:
    """What a batch shows: the first pass, the model's outputs, and Keras's loss.

    Attributes:
        gradients: id of variable → gradient of the data loss, without regularisers.
        batch: B as a float scalar.
        l_u: owner's name → ℓ_u with what regularisers add; None where zero.
        captures: player name → capture; empty where no player needs one.
        costates: per stage, {tensor key: D `(B, R, …)`}, cotangents of Z's columns at the cut.
        factor: the terminal factor; None where only gradients were asked for.
        uses: for several alignments, (tensor key, call index) → what that use adds to D.
        jacobians: per stage, derivatives of the next state, `(B d', …)`, by the tensors of the cut
            and then by the weights of the stage's players; empty unless asked for.
    """

    first: FirstPass
    y_pred: Any
    loss: tf.Tensor
    gradients: dict[int, tf.Tensor]
    batch: tf.Tensor
    l_u: dict[str, tuple | None]
    captures: dict[str, Capture] = field(default_factory=dict)
    costates: list[dict[int, tf.Tensor]] = field(default_factory=list)
    factor: Any = None
    uses: dict[tuple[int, int], tf.Tensor] = field(default_factory=dict)
    jacobians: list[list[tf.Tensor]] = field(default_factory=list)

    def in_alignment(self, game: Game) -> "Observation":
        """The same batch in another alignment: the cotangent of a tensor at a cut is the sum over
        its uses at that stage and later."""
        costates: list[dict[int, tf.Tensor]] = []
        for stage in game.stages:
            parts: dict[int, list[tf.Tensor]] = {key: [] for key in stage.cut}
            for (key, index), costate in self.uses.items():
                if key in parts and 0 < stage.index <= game.schedule.call_stage[index]:
                    parts[key].append(costate)
            costates.append({key: tf.add_n(part) for key, part in parts.items() if part})
        return replace(self, first=self.first.in_alignment(game), costates=costates)

    @property
    def v_T(self) -> tf.Tensor:
        return tf.reshape(self.factor.v, [-1])

    @property
    def C_T(self) -> tf.Tensor:
        return tf.reshape(self.factor.C, [-1])

    @property
    def flat(self) -> tuple[int, int] | None:
        """How many of a sample's R columns are known to have no curvature, and R; None for none."""
        return (self.factor.flat, int(self.factor.v.shape[1])) if self.factor.flat else None

    def by_column(self, weights: tf.Tensor) -> tf.Tensor:
        """`(B R,)` weights as `(B, R)`."""
        return tf.reshape(weights, tf.shape(self.factor.v))


def observe(
    model: Model,
    terminal: str | int | Terminal,
    data: tuple,
    *,
    captures: bool = False,
    feedback: bool = False,
    jacobians: bool = False,
    tangents: bool = False,
    games: Sequence | None = None,
) -> Observation:
    """Runs the first pass of a step.

    Args:
        model, terminal, data: a compiled `GameModel`, `DGNOpt`'s, `(x, y, sample_weight)`.
        captures, feedback, jacobians, tangents: whether players' captures, the cotangents at the
            cuts, the Jacobians of the stages, and the tangents of captures are needed.
        games: the alignments to observe for, by default those of the model; of several, none has
            cuts and costates before `Observation.in_alignment`.
    """
    x, y, sample_weight = data
    games = model.games if games is None else games
    game, several = games[0], len(games) > 1
    cut = frozenset(key for game in games for stage in game.stages[1:] for key in stage.cut)
    first = FirstPass(
        game,
        copies=jacobians or (feedback and not several),
        copy_inputs=jacobians,
        split=(cut if feedback and several else frozenset()).difference(game.graph.inputs),
    )
    message = "A game needs samples. Received: an empty batch. Drop it from the data."
    batch = tf.shape(rows := keras.tree.flatten(x)[0])[0]
    if rows.shape[0] == 0 and (captures or jacobians or not tf.executing_eagerly()):
        raise ValueError(message)
    if jacobians:
        with tf.control_dependencies([tf.debugging.assert_positive(batch, message)]):
            x = keras.tree.map_structure(tf.identity, x)
    with tf.GradientTape(persistent=True) as tape:
        if jacobians:
            tape.watch([tensor for tensor in keras.tree.flatten(x) if tensor.dtype.is_floating])
        with model.recording(first):
            y_pred = model(x, training=True)
        objective = read_objective(model, y, y_pred)
        with objective.recording():
            loss = surface.compute_loss(model, x, y, y_pred, sample_weight)
        # Regularisers and added losses.
        added = [tf.cast(tf.reduce_sum(term), loss.dtype) for term in model.losses]
        if added and jacobians:
            raise ValueError(
                "With exact curvature ℓ is the optimizer's weight decay: regularisers and added "
                "losses have second derivatives of their own, which the dense game does not see. "
                f"Received: {[layer.name for layer in model.layers if layer.losses]}. Use "
                "`weight_decay`, or a preconditioner as curvature."
            )
        extra = tf.add_n(added) if added else None
        data_loss = loss if extra is None else loss - extra
        end = objective.end(y_pred)
        nexts = []
        if jacobians:
            states = [flat_state(list(cut.values()), batch) for cut in first.cuts[1:]]
            nexts = [tf.reshape(x, [-1]) for x in (*states, end.x)]
    values = [variable.value for variable in game.trainable]
    size = tf.cast(batch, values[0].dtype)
    calls = [i for player in game.players for i in player.call_indices] if captures else []
    cuts = [(t, key) for t, cut in enumerate(first.cuts) for key in cut if feedback]
    cuts = [(t, key) for t, key in cuts if key not in game.graph.inputs]
    inner = {
        "preactivations": [first.preactivations[i] for i in calls],
        "cuts": [first.cuts[t][key] for t, key in cuts],
        "uses": list(first.uses.values()),
    }
    kind, with_factor = get(terminal), captures or feedback or jacobians
    zero = {"unconnected_gradients": tf.UnconnectedGradients.ZERO}
    # With a seed of B the cotangents come out per sample, without a product for each of them.
    seed = tf.cast(size, data_loss.dtype) if with_factor else None
    ends = [end.x, *objective.sources] if with_factor else []
    sources = [values, inner if kind.along_gradient else {}, ends]
    found = tape.gradient(data_loss, sources, output_gradients=seed)
    if all(slope is None for slope in found[0]):
        raise ValueError(
            "The loss must have a gradient by the trained weights. Received: loss "
            f"{objective.loss.name!r}, which has none. Let it be a smooth function of `y_pred`."
        )
    of_extra = tape.gradient(extra, values) if added else [None] * len(values)
    reached = list(zip(game.trainable, found[0], of_extra, strict=True))
    unmoved = [v.path for v, *by in reached if all(slope is None for slope in by)]
    if unmoved:
        warnings.warn(f"The loss has no gradient by trained weights: {unmoved}.", stacklevel=2)
    slopes, column, ends = tf.nest.map_structure(
        lambda g, x: tf.zeros_like(x) if g is None else tf.convert_to_tensor(g), found, sources
    )
    pairs = zip(game.trainable, slopes, strict=True)
    gradients = {id(v): slope / size if with_factor else slope for v, slope in pairs}
    extras = {id(v): tf.convert_to_tensor(slope) for v, _, slope in reached if slope is not None}
    l_u = {owner.name: running_cost(model.optimizer, owner, extras) for owner in game.owners}
    observation = Observation(first, y_pred, loss, gradients, size, l_u)
    if not with_factor:
        return observation
    objective.refuse_weights(y, y_pred, [v for p in game.players for v in p.variables])
    lost = objective.terminal_loss(end, ends[0], ends[1:])
    objective.tell(model, lost, kind.bends)
    made = kind.factor(lost)
    own = [column] if kind.along_gradient else []
    Z = [tf.reshape(made.Z[:, r], tf.shape(end.x)) for r in range(made.Z.shape[1] - len(own))]
    columns = [tape.gradient(end.x, inner, output_gradients=z, **zero) for z in Z] + own
    by_column = {name: list(zip(*[c[name] for c in columns], strict=True)) for name in inner}
    cotangents = dict(zip(calls, by_column["preactivations"], strict=True))
    costates: list[dict[int, tf.Tensor]] = [{} for _ in game.stages]
    for (t, key), g in zip(cuts, by_column["cuts"], strict=True):
        costates[t][key] = tf.stack(g, 1)
    uses = [tf.stack(g, 1) for g in by_column["uses"]]
    known = {"c": made.v, "curvature_scale": made.curvature_scale, "flat": made.flat, "batch": size}
    seen = {
        player.name: player.capture(
            [first.inputs[i] for i in player.call_indices],
            [cotangents[i] for i in player.call_indices],
            expected=model.expected_batch,
            tangents=tangents,
            **known,
        )
        for player in (game.players if captures else ())
    }
    return replace(
        observation,
        factor=made,
        captures=seen,
        costates=costates,
        uses=dict(zip(first.uses, uses, strict=True)),
        jacobians=_jacobians(tape, game, first, nexts) if jacobians else [],
    )


def running_cost(optimizer: DGNOpt, owner: Owner, extras: dict[int, tf.Tensor]) -> tuple | None:
    """An owner's ℓ_u with the gradients of regularisers and added losses (id of variable →
    gradient, absent where zero), variable-shaped; None where all are zero."""
    terms = []
    for variable in owner.variables:
        term = extras.get(id(variable))
        if optimizer.decays(variable) and owner.decays:
            decay = tf.constant(optimizer.weight_decay, variable.dtype) * variable.value
            term = decay if term is None else term + decay
        terms.append(term)
    if all(term is None for term in terms):
        return None
    pairs = zip(owner.variables, terms, strict=True)
    return tuple(tf.zeros_like(v.value) if term is None else term for v, term in pairs)


def flat_state(tensors: list[tf.Tensor], batch: tf.Tensor) -> tf.Tensor:
    """The tensors of a cut as one `(B, d)` state."""
    return tf.concat([tf.reshape(x, (batch, -1)) for x in tensors], 1)


def _jacobians(tape: Any, game: Game, first: FirstPass, nexts: list[tf.Tensor]) -> list[list]:
    own = [[v.value for player in stage.players for v in player.variables] for stage in game.stages]
    return [
        tape.jacobian(state, [*cut.values(), *weights], unconnected_gradients="zero")
        for state, cut, weights in zip(nexts, first.cuts, own, strict=True)
    ]
