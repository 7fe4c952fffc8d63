"""The two forward passes of a step.

The first runs the model stage by stage with an identity on every tensor alive at a cut, so that a
cotangent at a cut excludes paths through earlier stages, and keeps what the players saw. The second
(Algorithm 1, lines 8 to 12 of Liu, Chen and Theodorou 2021) runs a stage on updated weights and
states with the first pass's dropout masks and batch statistics as constants, and moves no state.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.game import keras_surface as surface
from dgn_tf.game.capture import current_graph
from dgn_tf.game.game import Game, Stage
from dgn_tf.game.graph import Call, run_call


class FirstPass:
    """Runs a game's model forward and records what a step needs.

    Attributes:
        values: tensor key → value, after the pass.
        cuts: per stage, {key: copy} of the tensors alive at its cut.
        inputs, preactivations: call index → the layer's input as it casts it, and pre-activation.
        constants: call index → pairs (variable, value) that make a later call repeat this one.
        moments: call index → the batch statistics that it computed, in order.
        uses: (tensor key, call index) → the copy that one call reads, of the tensors `split` names.
    """

    def __init__(
        self,
        game: Game,
        copies: bool = True,
        copy_inputs: bool = False,
        split: frozenset[int] = frozenset(),
    ):
        self.game, self.split, self.copies, self.copy_inputs = game, split, copies, copy_inputs
        self.uses: dict[tuple[int, int], tf.Tensor] = {}
        self.probes = {i for player in game.players for i in player.call_indices}
        self.values: dict[int, tf.Tensor] = {}
        self.cuts: list[dict[int, tf.Tensor]] = []
        self.inputs: dict[int, tf.Tensor] = {}
        self.preactivations: dict[int, tf.Tensor] = {}
        self.constants: dict[int, list[tuple]] = {}
        self.moments: dict[int, list[tuple]] = {}

    def run(self, inputs: list, training: bool = True) -> list[tf.Tensor]:
        """The model's flat outputs."""
        self.graph = current_graph()
        given = zip(self.game.graph.inputs, inputs, strict=True)
        self.values = {key: _shaped(x, self.game.graph.shapes[key]) for key, x in given}
        for stage in self.game.stages:
            keep = self.copies and (stage.index > 0 or self.copy_inputs)
            cut = stage.cut if keep else ()
            self.cuts.append({key: surface.masked_copy(self.values[key]) for key in cut})
            self.values.update(self.cuts[-1])
            for call in stage.calls:
                self._call(call, training)
        return [self.values[key] for key in self.game.graph.outputs]

    def _call(self, call: Call, training: bool) -> None:
        layer, contexts = call.operation, []
        if training and call.index in self.game.uses.states:
            contexts = self._remember(call)
        activation = getattr(layer, "activation", None)

        def probe(z: tf.Tensor) -> tf.Tensor:
            self.preactivations[call.index] = z
            return z if activation is None else activation(z)

        if call.index in self.probes:
            contexts.append(surface.replaced(layer, "activation", probe))
        values = self._split_uses(call) if self.split else self.values
        outputs = run_call(call, values, training, contexts)
        self.values.update(zip(call.outputs, outputs, strict=True))
        if call.index in self.probes:
            x = self.values[call.inputs[0]]
            self.inputs[call.index] = tf.cast(x, self.preactivations[call.index].dtype)

    def _split_uses(self, call: Call) -> dict[int, tf.Tensor]:
        """The values with a copy of its own, for this call, of the tensors that are split."""
        mine = {}
        for key in sorted(self.split & set(call.inputs)):
            mine[key] = self.uses[key, call.index] = surface.masked_copy(self.values[key])
        return {**self.values, **mine}

    def in_alignment(self, game: Game) -> "FirstPass":
        """The same pass with the cuts of another alignment of the game."""
        other = copy.copy(self)
        other.game = game
        other.cuts = [{key: self.values[key] for key in stage.cut} for stage in game.stages]
        return other

    def _remember(self, call: Call) -> list:
        """Keeps the states that a call reads, and the contexts that keep its batch statistics."""
        states = self.game.uses.now(self.game.uses.states[call.index])
        self.constants[call.index] = [(v, tf.identity(v.value)) for v in states]
        moments = self.moments[call.index] = []

        def note(compute: Callable, x: tf.Tensor, mask: Any) -> tuple:
            moments.append((compute(x, mask), current_graph()))
            return moments[-1][0]

        return [surface.with_moments(n, note) for n in surface.batch_norms(call.operation)]


def _shaped(x: Any, shape: tuple) -> Any:
    """An input with the sizes that the model says it has, where the data do not say."""
    if x is None or (x.shape.rank is not None and None not in x.shape[1:]):
        return x
    return surface.masked_copy(x, shape)


class SecondPass:
    """Runs stages again on updated weights and states; moves no state of the model."""

    def __init__(self, first: FirstPass):
        self.first = first
        self.values = {key: first.values[key] for key in first.game.graph.inputs}
        self.weights: dict[int, tf.Tensor] = {}

    def run_stage(self, stage: Stage, weights: Sequence[tuple]) -> None:
        """Runs one stage with the pairs (variable, new value), and those of earlier stages, in
        place of the model's."""
        self.weights.update({id(variable): value for variable, value in weights})
        for call in stage.calls:
            scope = keras.StatelessScope(self.first.constants.get(call.index))
            scope.state_mapping = {**self.weights, **scope.state_mapping}
            contexts = [scope, *self._same_moments(call)]
            training = call.index not in self.first.game.uses.rewrites
            run_call(call, self.values, training, contexts)

    def _same_moments(self, call: Call) -> list:
        """Contexts in which the batch statistics of a call are those of the first pass."""
        moments = self.first.moments.get(call.index)
        if not moments:
            return []
        remaining = iter(moments)

        def repeat(compute: Callable, x: tf.Tensor, mask: Any) -> tuple:
            moments, graph = next(remaining)
            return compute(x, mask) if graph is not self.first.graph else moments

        return [surface.with_moments(n, repeat) for n in surface.batch_norms(call.operation)]

    def state_change(self, stage: Stage) -> dict[int, tf.Tensor]:
        """δx at the cut before `stage`: key → x' - x, for the tensors that can have moved."""
        return {
            key: self.values[key] - copy
            for key, copy in self.first.cuts[stage.index].items()
            if key not in self.first.game.graph.inputs
        }
