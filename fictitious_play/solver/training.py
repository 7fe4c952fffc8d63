"""The model that trains all players at once against a given belief."""

import keras
import numpy as np
from keras import ops

from fictitious_play.networks.joint_policy import JointPolicy


class BestResponseModel(keras.Model):
    """All players' costs when each one alone leaves the belief.

    J^i depends on player i's weights only, since the others' controls are inputs: the sum of the
    losses has the players' own gradients, and elementwise Adam on the stacked weights is one Adam
    a player.

    Input: a list of initial states (batch, state_size), Brownian increments
        (batch, steps, noise_size) and the belief (batch, steps, players, control_size).
    Output: path costs, (batch, players).
    """

    def __init__(self, policy: JointPolicy, **kwargs):
        super().__init__(**kwargs)
        self.policy = policy

    def build(self, input_shape=None):
        if not self.policy.built:
            self.policy.build()
        self.built = True

    def call(self, inputs, training=False):
        initial_state, noise, belief = inputs
        own = self.policy([initial_state, noise], training=training)
        return self.policy.game.deviation_costs(initial_state, own, belief, noise)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.sum(ops.mean(y_pred, axis=0))


def compiled_model(
    policy: JointPolicy, learning_rate: float, final_ratio: float, total_steps: int
) -> BestResponseModel:
    """The model with Adam on a cosine schedule from `learning_rate` to `final_ratio` times it."""
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate, decay_steps=total_steps, alpha=final_ratio
    )
    model = BestResponseModel(policy, dtype=policy.dtype_policy)
    model.build()
    model.compile(optimizer=keras.optimizers.Adam(schedule))
    model.optimizer.build(model.trainable_variables)
    return model


def players_not_finite(model: BestResponseModel, inputs) -> list[int]:
    """The players whose cost on this batch is not finite."""
    costs = ops.convert_to_numpy(model(inputs))
    return np.flatnonzero(~np.all(np.isfinite(costs), axis=0)).tolist()
