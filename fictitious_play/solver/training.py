"""The Keras models that train players against a given belief, and their training steps."""

import re
from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play import devices, rollout
from fictitious_play.layers.costs import MeanCost
from fictitious_play.networks.feedback_policy import FeedbackPolicy
from fictitious_play.networks.joint_policy import JointPolicy
from fictitious_play.solver.averaging import WeightAverage
from fictitious_play.solver.loops import StepLoop, value_and_gradient
from fictitious_play.solver.samples import Chunk, increments, trembles


class _CostModel(keras.Model):
    """A model whose outputs are path costs, (batch, players); the loss is the sum of their means,
    each with a weight, which brings costs of any size to where an optimizer sees them.

    J^i depends on player i's weights only, since the others' are frozen: the sum of the losses has
    the players' own gradients, and elementwise Adam on stacked weights is one Adam per player.
    """

    def __init__(self, policy: Any, **kwargs: Any):
        super().__init__(dtype=policy.dtype_policy, **kwargs)
        self.policy = policy
        self.cost_weights = np.ones(policy.players)
        self.mean_cost = MeanCost(dtype=self.variable_dtype)

    def build(self, input_shape: Any = None) -> None:
        if not self.policy.built:
            self.policy.build()
        self.built = True

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        # A Keras loss scales itself where the batch is split over devices.
        y_pred = y_pred * ops.convert_to_tensor(self.cost_weights, dtype=y_pred.dtype)
        return y_pred.shape[-1] * self.mean_cost(ops.zeros_like(y_pred), y_pred)


class BestResponseModel(_CostModel):
    """Players' costs when each one alone leaves an open-loop belief.

    Args:
        policy: the `JointPolicy` to train, of all players or of one.

    Input: a list of initial states (batch, state_size), Brownian increments
        (batch, steps, noise_size) and the belief (batch, steps, players, control_size).
    Output: path costs of the policy's players, (batch, players) or (batch, 1).
    """

    def __init__(self, policy: JointPolicy, **kwargs: Any):
        super().__init__(policy, **kwargs)

    def call(self, inputs: Any, training: bool = False) -> Any:
        initial_state, noise, belief = inputs
        game, only = self.policy.game, self.policy.only
        own = self.policy([initial_state, noise], training=training)
        if only is not None:
            own = ops.concatenate([belief[:, :, :only], own, belief[:, :, only + 1 :]], axis=2)
        costs = game.deviation_costs(initial_state, own, belief, noise)
        return costs if only is None else costs[:, only : only + 1]


class FeedbackResponseModel(_CostModel):
    """Players' costs when each one alone leaves a closed-loop belief, whose feedback answers the
    path that she then makes.

    Args:
        policy: the `FeedbackPolicy` to train, of all players or of one.
        belief: the `FeedbackPolicy` or `FeedbackMixture` that the others follow; its weights are
            not trained, but the gradient runs through its answers.

    Input: a list of initial states and Brownian increments, and where hands tremble, trembles
        (batch, steps, players, control_size), as in `rollout.feedback_deviation_costs`.
    Output: path costs of the policy's players, (batch, players) or (batch, 1).
    """

    def __init__(self, policy: FeedbackPolicy, belief: FeedbackPolicy, **kwargs: Any):
        super().__init__(policy, **kwargs)
        belief.trainable = False
        self.belief = belief

    def build(self, input_shape: Any = None) -> None:
        if not self.belief.built:
            self.belief.build()
        super().build(input_shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        initial_state, noise, *trembles = inputs
        policy, belief = self.policy, self.belief
        gathers = training and policy.batch_normalization

        def own(now: Any, states: Any) -> tuple:
            rows = ops.transpose(policy.features(now, states), (1, 2, 0))
            statistics: list = []
            controls = policy.feedback(now, rows, statistics if gathers else None)
            return ops.transpose(controls, (2, 0, 1)), statistics

        costs, statistics = rollout.feedback_deviation_costs(
            policy.game,
            initial_state,
            own,
            belief.controls,
            (policy.by_step(), belief.by_step()),
            noise,
            policy.only,
            *trembles,
        )
        if gathers:
            policy.move_averages(statistics)
        return costs


def renewed_model(model: _CostModel, old: keras.Model) -> _CostModel:
    """Builds and compiles a model of the same networks as an old one's, with its optimizer."""
    model.build()
    model.cost_weights = old.cost_weights
    model.compile(optimizer=old.optimizer, jit_compile=old.jit_compile)
    return model


def compile_model(
    model: _CostModel, optimizer: keras.optimizers.Optimizer, jit_compile: bool | str = "auto"
) -> _CostModel:
    """Builds and compiles a model; `jit_compile` as in `keras.Model.compile`."""
    model.build()
    model.compile(optimizer=optimizer, jit_compile=jit_compile)
    model.optimizer.build(model.trainable_variables)
    return model


class Trainer:
    """Takes the training steps of a compiled model, a chunk of them as one computation.

    Noise is drawn on the device from the chunk's keys. Where the batch is split over devices by
    `tf.distribute`, the steps are taken one by one.

    Args:
        model: what `compile_model` gives.
        batch_size: paths per step.
        average: what averages the weights, or None.
    """

    def __init__(self, model: _CostModel, batch_size: int, average: WeightAverage | None = None):
        self.model, self.batch_size, self.average = model, batch_size, average
        policy = model.policy
        self.players, self.dtype = policy.players, policy.variable_dtype
        variables = [
            *model.trainable_variables,
            *model.non_trainable_variables,
            *model.optimizer.variables,
            *([] if average is None else average.variables),
        ]
        self._loop = StepLoop(
            self._step, variables, (self.players,), self.dtype, True, model.jit_compile
        )

    def __call__(self, chunk: Chunk, by_step: dict, fixed: dict) -> np.ndarray:
        """The players' mean costs against the belief in the steps of a chunk, (count, players).

        Args:
            chunk: the steps.
            by_step, fixed: what the model is told of the belief: its controls "others" in
                open-loop play, the size "tremble" of how hands tremble in closed-loop play.
        """
        given = {**chunk.batches, **by_step}
        if devices.replicas(self.model) > 1:
            return np.stack([self._split(given, fixed, step) for step in range(chunk.count)])
        costs = self._loop(given, fixed, chunk.number)
        return ops.convert_to_numpy(costs)[: chunk.count]

    def products(self, chunk: Chunk, by_step: dict, fixed: dict) -> list[str]:
        """The shapes of all matrix products in the program that JAX compiles for these arguments,
        each as "(left, right) -> result" with the axes that are summed."""
        text = self._loop.lowered({**chunk.batches, **by_step}, fixed, chunk.number)
        products = re.findall(r"dot_general .*?(contracting_dims = .*?) : (.*)", text)
        return [" : ".join(parts) for parts in products]

    def _inputs(self, now: dict, fixed: dict) -> list:
        game = self.model.policy.game
        drawn = (game, now["key"], self.batch_size, self.dtype)
        inputs = [now["initial_state"], increments(*drawn)]
        if "others" in now:
            inputs.append(now["others"])
        if "tremble" in fixed:
            inputs.append(fixed["tremble"] * trembles(*drawn))
        return inputs

    def _step(self, now: dict, fixed: dict) -> Any:
        costs, gradients = value_and_gradient(
            self.model, self._inputs(now, fixed), self.model.cost_weights
        )
        self.model.optimizer.apply(gradients, self.model.trainable_variables)
        if self.average is not None:
            self.average.take()
        return costs

    def _split(self, given: dict, fixed: dict, step: int) -> np.ndarray:
        """One step on several devices, which give the sum of the players' costs only."""
        now = {name: array[step] for name, array in given.items()}
        inputs = [ops.convert_to_numpy(array) for array in self._inputs(now, fixed)]
        loss, weights = devices.train_step(self.model, inputs), self.model.cost_weights
        if self.average is not None:
            self.average.take()
        costs, alike = loss / (self.players * weights), np.ptp(weights) == 0.0
        if not (alike and np.isfinite(loss)):
            alone = ops.convert_to_numpy(self.model(inputs)).mean(axis=0)
            costs = costs if alike and np.isfinite(alone).all() else alone
        return costs
