"""A training step of all players, and its parts each by itself."""

from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf
from keras import ops

import fictitious_play as fp
from fictitious_play.solver.averaging import WeightAverage
from fictitious_play.solver.optimizers import OptimizerChoice
from fictitious_play.solver.samples import training_chunk, training_sample
from fictitious_play.solver.training import BestResponseModel, Trainer, compile_model

#: Of the square product that stands for the machine's rate.
SIDE = 1536


def large_product() -> Callable[[], None]:
    """One product of two matrices of SIDE rows and columns."""
    square = tf.random.normal((SIDE, SIDE))
    return lambda: tf.matmul(square, square)[0, 0].numpy()


class StepParts:
    """The step of an inter-bank game with the full path, as a solve takes it.

    Args:
        players, width, batch: of the game, both hidden layers, and the paths of a step.

    Attributes:
        weights: number of weights of the policy.
        operations: floating-point operations of the step's matrix products.
    """

    def __init__(self, players: int, width: int, batch: int):
        self.game = fp.InterBankGame(players=players)
        self.width, self.batch = width, batch
        self.policy = self._policy(True)
        self.policy.build()
        self.weights = self.policy.count_params()
        first = 2.0 * batch * self.policy.row_ends[-1] * players * width
        later = 2.0 * batch * self.game.steps * players * width * (width + 1)
        self.operations = 2.0 * first + 3.0 * later
        sample = training_sample(self.game, 0, 1, 0, batch, "float32")
        shape = (batch, self.game.steps, players, self.game.control_size)
        self.inputs = [*sample, np.zeros(shape, "float32")]

    def actions(self, xla: bool) -> Iterator[tuple[str, Callable[[], None]]]:
        """What is timed, by name; a thing is made when it is first called, and gone after the
        next one is asked for."""
        yield "step", self._step()
        yield "without_normalisation", self._step(normalisation=False)
        yield "gradient_descent", self._step(adam=False)
        yield "products", _once(self._products)
        yield "roll_out", _once(self._roll_out)
        if xla:
            yield "step_xla", self._step(xla=True)
            yield "without_normalisation_xla", self._step(normalisation=False, xla=True)

    def _policy(self, normalisation: bool):
        return fp.JointPolicy(
            self.game, (self.width, self.width), batch_normalization=normalisation
        )

    def _step(self, normalisation=True, adam=True, xla=False):
        def make():
            policy, average = self._policy(normalisation), self._policy(normalisation)
            average.build()
            model = BestResponseModel(policy)
            compile_model(model, OptimizerChoice(None, 1e-3, 0.1).make(1000), xla)
            if not adam:
                model.compile(keras.optimizers.SGD(1e-3), jit_compile=xla)
                model.optimizer.build(model.trainable_variables)
            trainer = Trainer(model, self.batch, WeightAverage(policy, average))
            chunk = training_chunk(self.game, 0, 1, 0, 1, 1, self.batch, "float32")
            belief = {"others": ops.convert_to_tensor(self.inputs[2][None])}
            return lambda: trainer(chunk, belief, {})

        return _once(make)

    def _products(self):
        """The products of forward and backward pass on tensors of the step's shapes."""
        policy, players, batch = self.policy, self.game.players, self.batch
        stacked = (self.game.steps, players)
        kernel = tf.random.normal((policy.row_ends[-1], players * self.width))
        features = tf.random.normal((policy.row_sizes[-1], batch))
        first = tf.random.normal((players * self.width, batch))
        later, output, values, out = (
            tf.random.normal((*stacked, *shape))
            for shape in (
                (self.width, self.width), (1, self.width), (self.width, batch), (1, batch),
            )
        )  # fmt: skip

        @tf.function
        def products():
            parts = []
            for rows in tf.split(kernel, policy.row_sizes):
                given = features[: rows.shape[0]]
                parts += [tf.matmul(rows, given, transpose_a=True)]
                parts += [tf.matmul(given, first, transpose_b=True)]
            for matrix, above in ((later, values), (output, out)):
                parts += [tf.matmul(matrix, values)]
                parts += [tf.matmul(above, values, transpose_b=True)]
                parts += [tf.matmul(matrix, above, transpose_a=True)]
            return tf.stack([tf.reshape(product, [-1])[0] for product in parts])

        return lambda: products().numpy()

    def _roll_out(self):
        """Costs of a deviation and their gradient with respect to the controls."""
        initial_state, noise, belief = (tf.constant(array) for array in self.inputs)

        @tf.function
        def roll_out():
            with tf.GradientTape() as tape:
                tape.watch(belief)
                costs = self.game.deviation_costs(initial_state, belief, belief, noise)
                total = ops.sum(costs)
            return tape.gradient(total, belief)[0, 0, 0, 0]

        return lambda: roll_out().numpy()


def _once(make: Callable[[], Callable]) -> Callable[[], None]:
    """An action that is made at its first call, so that the first call's time holds the making."""
    made: list[Callable] = []

    def action():
        if not made:
            made.append(make())
        made[0]()

    return action
