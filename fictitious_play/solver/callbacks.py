"""What a user may hang into a solve: hooks before and after every stage."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np


class SolveCallback:
    """Hooks of a solve; override those that are wanted.

        class Show(fp.SolveCallback):
            def on_stage_end(self, record):
                print(record.stage, record.cost)

        solver.solve(callbacks=[Show()])

    The same object can be used for several solves, one after another. What a hook raises ends the
    solve; stages that were saved in a folder stay there.

    Attributes:
        stop: set it to True to end the solve after the current stage, with the reason
            `StopReason.INTERRUPTED`; False again when a solve begins.
    """

    stop = False

    def on_solve_begin(self, settings: dict[str, Any]) -> None:
        """Before anything is trained; `settings` is what `Result.settings` will be."""

    def on_stage_begin(self, stage: int, last: Any) -> None:
        """Before stage `stage`, 1, 2, …; `last` is the `StageRecord` of the stage before it, None
        in a first stage."""

    def on_stage_end(self, record: Any) -> None:
        """After a stage, with its `StageRecord`, and after it was saved where there is a folder."""

    def on_solve_end(self, result: Any) -> None:
        """At the end, with the `Result`."""


class _KerasCallback(SolveCallback):
    """A callback of Keras, for which an epoch is a stage and whose model is a training model.

    Its logs are the mean and the largest of the players' costs, their loss in the last training
    step, the change, the learning rate and, where it was estimated, the largest regret.
    """

    def __init__(self, callback: keras.callbacks.Callback):
        self._callback = callback

    def begin(self, model: keras.Model, stages: int) -> None:
        self.stop = False
        self._model = model
        model.stop_training = False
        self._callback.set_model(model)
        self._callback.set_params({"epochs": stages, "steps": None, "verbose": 0})
        self._callback.on_train_begin()

    def on_stage_begin(self, stage: int, last: Any) -> None:
        self._callback.on_epoch_begin(stage - 1)

    def on_stage_end(self, record: Any) -> None:
        logs = {
            "cost": float(np.mean(record.cost)),
            "largest_cost": float(np.max(record.cost)),
            "loss": float(record.loss[-1]),
            "learning_rate": record.learning_rate,
        }
        if np.isfinite(record.change):
            logs["change"] = record.change
        if record.regret is not None:
            logs["regret"] = float(np.max(record.regret))
        self._callback.on_epoch_end(record.stage - 1, logs)
        self.stop = bool(self._model.stop_training)

    def on_solve_end(self, result: Any) -> None:
        self._callback.on_train_end()


class Callbacks:
    """The callbacks of one solve.

    Args:
        callbacks: `SolveCallback`s and callbacks of Keras such as `keras.callbacks.TensorBoard`.
        model, stages, settings: of the solve.

    Raises:
        TypeError: for anything else.
    """

    def __init__(self, callbacks: Any, model: keras.Model, stages: int, settings: dict[str, Any]):
        self.all = check_callbacks(callbacks)
        for callback in self.all:
            if isinstance(callback, _KerasCallback):
                callback.begin(model, stages)
            callback.stop = False
            callback.on_solve_begin(settings)

    def stage_begin(self, stage: int, last: Any) -> None:
        for callback in self.all:
            callback.on_stage_begin(stage, last)

    def stage_end(self, record: Any) -> bool:
        """Whether a callback asks for the end."""
        for callback in self.all:
            callback.on_stage_end(record)
        return any(callback.stop for callback in self.all)

    def solve_end(self, result: Any) -> None:
        for callback in self.all:
            callback.on_solve_end(result)


def check_callbacks(callbacks: Any) -> list[SolveCallback]:
    """Callbacks as `SolveCallback`s."""
    known = (SolveCallback, keras.callbacks.Callback)
    if not isinstance(callbacks, Iterable) or isinstance(callbacks, (str, bytes, dict)):
        raise TypeError(f"`callbacks` must be a sequence. Received: callbacks={callbacks!r}")
    hooks = list(callbacks)
    for each in hooks:
        if not isinstance(each, known):
            raise TypeError(
                f"`callbacks` must hold `SolveCallback`s or callbacks of Keras. Received: {each!r}"
            )
    return [each if isinstance(each, SolveCallback) else _KerasCallback(each) for each in hooks]
