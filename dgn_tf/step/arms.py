"""A step whose alignment a policy chooses: arms as branches, and the reward after the step.

Observation, statistics and metrics do not depend on the alignment and are shared by the arms; the
recursion, the update pass and the guard are a branch each. TensorFlow rewrites the arithmetic of a
graph as a whole, so the policy has graphs of its own: in one with it the step's own operations
would come out with other last bits than without it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from dgn_tf.bandit.policy import AlignmentPolicy
from dgn_tf.curvature.base import apart
from dgn_tf.optimizer import DGNOpt
from dgn_tf.step.guarded import Outcome
from dgn_tf.step.observe import Model


def choose(optimizer: DGNOpt, policy: AlignmentPolicy) -> tf.Tensor:
    """The arm of this step, an int32 scalar; the same one until its reward was observed."""
    seed, state = optimizer.states.bandit["seed"], _state(optimizer, policy)
    return apart(lambda: tf.cast(policy.choose(state, seed.value), "int32"))()


def play(arm: tf.Tensor | None, branches: Sequence[Callable[[], Outcome]]) -> Outcome:
    """Runs one branch, which moves the weights, and returns what its guard saw."""
    if arm is None or len(branches) == 1:
        return branches[0]()
    return tf.switch_case(arm, list(branches))


def reward(model: Model, policy: Any, arm: tf.Tensor) -> dict[str, tf.Tensor]:
    """Measures the reward where it is due, lets the policy see it, and returns the logs.

    A policy that `needs_reward` has `held` and `reward_function`, as `EXP3PP` does.

    Raises:
        ValueError: for a policy without the validation arrays its reward is measured on.
    """
    optimizer = model.optimizer
    run = optimizer.states.bandit
    if policy.needs_reward and policy.held is None:
        raise ValueError(
            f"{policy.name} measures its reward on validation images. Received: none. Give "
            f"`{policy.name}(validation=(x, y))`, or set `model.alignment_policy.validation`."
        )

    def observe() -> tf.Tensor:
        reward = run["reward"].value
        if policy.needs_reward:
            reward = policy.held.measure(model, policy.reward_function)
        state = policy.observe(_state(optimizer, policy), arm, reward)
        for name, value in {**state, "reward": reward}.items():
            run[name].assign(value)
        return tf.identity(reward)

    def settled() -> tf.Tensor:
        run["steps"].assign_add(1)
        due = tf.equal(run["steps"].value % policy.every, 0)
        return tf.cond(due, observe, lambda: tf.identity(run["reward"].value))

    reward = apart(settled)()
    return {"arm": arm, **({"reward": reward} if policy.needs_reward else {})}


def _state(optimizer: DGNOpt, policy: AlignmentPolicy) -> dict[str, tf.Tensor]:
    names = policy.state_spec(1)
    return {name: tf.convert_to_tensor(optimizer.states.bandit[name]) for name in names}
