"""EMSA, the extended method of successive approximations, for Keras classifiers.

Li, Chen, Tai and E, *Maximum principle based algorithms for deep learning* (2017): a network
x_{t+1} = f_t(x_t, θ_t) is trained by Pontryagin's maximum principle. A forward pass gives the
states, a backward pass the costates p_T = -∇Φ(x_T), p_t = ∇_x H_t with H_t = p_{t+1}·f_t(x_t, θ),
and then every stage by itself maximises the augmented Hamiltonian

    H̃_t(θ) = H_t(θ) - ½ρ |x_{t+1} - f_t(x_t, θ)|² - ½ρ |p_t - ∇_x H_t(x_t, p_{t+1}, θ)|²

on the mini-batch: the mean over samples of the per-sample H̃, with p the costate of the per-sample
loss. So ρ does not depend on the batch size.

**Stages.** A Functional network is brought to the form x_{t+1} = f_t(x_t, θ_t) by taking every
operation of its graph as a stage whose state is all tensors alive there: the affine map of a layer,
then its activation, then sums, pooling and normalisation, which have no controls here. Every tensor
that the operation of a stage does not make is handed on unchanged. So in H_t, in x_{t+1} - f_t and
in p_t - ∇_x H_t all terms but those of the layer itself do not depend on θ: with skip connections,
branches and merges a layer's H̃ is p·z - ½ρ|z_k - z|² - ½ρ|J_k'p - J'p|² for z = a W its
pre-activation, p the costate there and J = ∂z/∂x, whatever stands around it. It is a concave
quadratic of the weights (:mod:`reproduce.baselines.hamiltonian`). The last term bounds how the
layer's costate reacts to a state that moves; where no weights come before a layer its input cannot
move, and the term is left out.

**The step.** H̃ is maximised by a few iterations of scipy's L-BFGS, all layers from the same pass.
Its gradient at the present weights is minus the gradient of the loss (Proposition 2 of Liu, Chen
and Theodorou 2021). As a quadratic about the present weights, its maximiser is proportional to
1/ρ, and so is every iterate of the search: a relaxation θ + α(θ* - θ) would be ρ/α in the place of
ρ. There is one knob, and it is the learning rate of the compiled SGD, **rate = 1/ρ**. Weights of
normalisation have no Hamiltonian of their own and take that SGD's plain gradient step, the
maximiser of <G, D> - ½ρ|D|². Regularisers enter linearised, through G.
"""

from types import SimpleNamespace
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.game import keras_surface as surface
from dgn_tf.game.game import Game
from dgn_tf.game.graph import functional_of
from dgn_tf.game.passes import FirstPass
from reproduce.baselines.hamiltonian import Moments, maximise, moments

#: Settings of SGD that would change what a step is.
_UNUSED = ("momentum", "nesterov", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm",
           "use_ema", "gradient_accumulation_steps")  # fmt: skip


def emsa_model(model: keras.Model, iterations: int = 5) -> "EMSAModel":
    """A network that `fit` trains by EMSA, on the layers and weights of a Functional or built
    Sequential model; as `EMSAModel`."""
    functional = functional_of(model)
    return EMSAModel(functional.input, functional.output, iterations=iterations)


class EMSAModel(keras.Model):
    """A Functional model whose `train_step` is one step of EMSA, with some iterations of L-BFGS per
    layer and step.

    Compile it with a plain `keras.optimizers.SGD(1 / rho)`: learning-rate schedules and callbacks
    then move ρ. `fit` shows `failed_updates`, the number of layers' maximisations since `compile`
    that found no finite point with a larger H̃ and left the layer's weights as they were. A
    ValueError for a model without a graph or without Dense, Conv1D, Conv2D or EinsumDense layers,
    and for fewer than one iteration."""

    def __init__(self, inputs: Any, outputs: Any, iterations: int = 5, **kwargs: Any):
        if isinstance(iterations, bool) or not isinstance(iterations, int) or iterations < 1:
            raise ValueError(f"`iterations` must be a positive integer. Received: {iterations!r}")
        super().__init__(inputs, outputs, **kwargs)
        self.iterations = iterations
        self.failed_updates = 0
        game = Game(self)
        others = [v for bystander in game.bystanders for v in bystander.variables]
        # Keras does not look into a namespace.
        self._held = SimpleNamespace(game=game, others=others, moving=_moving(game))

    @property
    def rho(self) -> float:
        """ρ of the next step: one over the compiled learning rate."""
        return 1.0 / float(keras.ops.convert_to_numpy(self.optimizer.learning_rate))

    def compile(self, optimizer: Any = None, loss: Any = None, **kwargs: Any) -> None:
        """As `keras.Model.compile`, with `keras.optimizers.SGD(1 / rho)`; a ValueError for another
        optimizer, or SGD with momentum, clipping, weight decay, weight averaging or accumulation,
        none of which a maximisation has."""
        optimizer = keras.optimizers.SGD() if optimizer is None else optimizer
        plain = type(optimizer) is keras.optimizers.SGD
        if not plain or any(getattr(optimizer, name, None) for name in _UNUSED):
            shown = optimizer if isinstance(optimizer, str) else type(optimizer).__name__
            raise ValueError(
                "An EMSAModel takes a plain `keras.optimizers.SGD(1 / rho)`, without "
                f"{', '.join(_UNUSED)}. Received: optimizer={shown}"
            )
        self.failed_updates = 0
        self._held.observe = tf.function(self._observe, reduce_retracing=True)
        self._held.apply = tf.function(self._apply)
        super().compile(optimizer=optimizer, loss=loss, **{"jit_compile": False, **kwargs})

    def make_train_function(self, force: bool = False) -> Any:
        """Keras's own, run eagerly: between two compiled parts scipy searches."""
        before = self.run_eagerly  # type: ignore[has-type]
        self.run_eagerly = True
        try:
            return super().make_train_function(force)
        finally:
            self.run_eagerly = before

    def observe(self, data: Any) -> tuple[dict, list[Moments], list]:
        """The logs of a batch `(x, y)` or `(x, y, sample_weight)`, arrays or tensors, the moments
        of every player, and the others' gradients."""
        given = (
            None if part is None else keras.tree.map_structure(tf.convert_to_tensor, part)
            for part in keras.utils.unpack_x_y_sample_weight(data)
        )
        logs, raw, rest = self._held.observe(*given)
        players = self._held.game.players
        found = [Moments(G, A, S, p.has_bias) for (G, A, S), p in zip(raw, players, strict=True)]
        return logs, found, rest

    def train_step(self, data: Any) -> dict:
        """Observes a batch, maximises every player's H̃ and moves the weights; returns the logs."""
        logs, found, rest = self.observe(data)
        best = [maximise(seen, self.rho, self.iterations) for seen in found]
        dtype = self._held.game.trainable[0].dtype
        left = self._held.apply([tf.constant(b.change, dtype) for b in best], rest)
        self.failed_updates += sum(b.failed for b in best) + int(left)
        return dict(logs, failed_updates=self.failed_updates)

    def _apply(self, changes: list, rest: list) -> tf.Tensor:
        """Moves players by D and the others by -rate times gradient; how many of these it left."""
        for player, change in zip(self._held.game.players, changes, strict=True):
            parts = player.layout.tensors(change)
            for variable, part in zip(player.variables, parts, strict=True):
                variable.assign_add(part)
        left = tf.zeros((), tf.int32)
        for variable, gradient in zip(self._held.others, rest, strict=True):
            step = tf.cast(self.optimizer.learning_rate, gradient.dtype) * gradient
            finite = tf.reduce_all(tf.math.is_finite(step))
            variable.assign_sub(tf.where(finite, step, tf.zeros_like(step)))
            left += tf.cast(tf.logical_not(finite), tf.int32)
        self.optimizer.iterations.assign_add(1)
        return left

    def _observe(self, x: Any, y: Any, weight: Any) -> tuple[dict, list[tuple], list]:
        players = self._held.game.players
        first = FirstPass(self._held.game, copies=False)
        with tf.GradientTape() as tape:
            flat = first.run(surface.standardize_inputs(self, x), True)
            y_pred = surface.pack_outputs(self, flat)
            loss = surface.compute_loss(self, x, y, y_pred, weight)
        own = [v for player in players for v in player.variables]
        uses = [i for player in players for i in player.call_indices]
        weights = [[v.value for v in group] for group in (own, self._held.others)]
        gradients, rest, cotangents = tape.gradient(
            loss, [*weights, [first.preactivations[i] for i in uses]],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )  # fmt: skip
        batch = tf.shape(flat[0])[0]
        costates = {i: -g * tf.cast(batch, g.dtype) for i, g in zip(uses, cotangents, strict=True)}
        slope = {id(v): tf.convert_to_tensor(g) for v, g in zip(own, gradients, strict=True)}
        raw = []
        for player in players:
            seen = [(first.inputs[i], costates[i], i in self._held.moving)
                    for i in player.call_indices]  # fmt: skip
            raw.append(moments(player, [slope[id(v)] for v in player.variables], seen)[:3])
        surface.track_loss(self, loss, batch)
        return self.compute_metrics(x, y, y_pred, sample_weight=weight), raw, rest


def _moving(game: Game) -> set[int]:
    """Indices of the calls whose input depends on a trainable weight."""
    reads, moved, moving = game.uses.reads, set[int](), set[int]()
    weighted = {index for v in game.trainable for index in reads.get(id(v), ())}
    for call in game.graph.calls:
        if moved.intersection(call.inputs):
            moving.add(call.index)
        if call.index in moving | weighted:
            moved.update(call.outputs)
    return moving
