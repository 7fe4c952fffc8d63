"""Cells of one method: compiled once, each trained from its own seed's weights by `fit`.

Tracing a training step costs as much as a few hundred steps, so cells that differ in seed, rate or
number of steps alone share one compiled model; every one starts from the weights of its own seed
and a fresh optimizer state, and gives the bits it would give alone.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from reproduce import provenance

#: What may differ between cells that share a compiled model.
_OWN = ("seed", "rate", "steps", "decay", "evaluate_every", "score")
_DEFAULTS: dict[str, Any] = {
    "train": None, "validation": 256, "test": None, "curve_images": 2000, "data_dir": None,
    "options": {}, "batch": 128, "decay": [], "evaluate_every": None, "score": "test", "seed": 0,
}  # fmt: skip
_REQUIRED = ("data", "network", "method", "rate", "steps")
#: Runs of so many steps must do better than a uniform guess.
_LONG = 100
#: Milestones multiply the learning rate by this.
_DECAY_FACTOR = 0.1


def make(**given: Any) -> dict[str, Any]:
    """A cell with the defaults filled in; a ValueError for a missing or unknown entry.

    Its entries are `data`, `network`, `method`, `rate`, `steps`, and where wanted `options` (of the
    network), `train`, `validation`, `test` (numbers of images), `curve_images` (how many of the
    test images the curve is measured on), `data_dir`, `batch`, `decay` (fractions of the steps at
    which the rate falls tenfold), `evaluate_every` (steps; by default at most ten times per run),
    `score` ("test" or "validation": the images `accuracy` is measured on), `seed`."""
    unknown = [key for key in given if key not in _DEFAULTS and key not in _REQUIRED]
    missing = [key for key in _REQUIRED if key not in given]
    if unknown or missing:
        raise ValueError(f"A cell has unknown entries {unknown} or lacks {missing}.")
    cell = {**_DEFAULTS, **given}
    steps = cell["steps"]
    if cell["evaluate_every"] is None:
        few = range(-(-steps // 10), steps + 1)
        cell["evaluate_every"] = next((n for n in few if steps % max(n, 1) == 0), 1)
    if steps < 1 or steps % cell["evaluate_every"]:
        raise ValueError(
            f"`evaluate_every` must divide `steps`. Received: {cell['evaluate_every']} and {steps}"
        )
    return cell


def group_key(cell: dict[str, Any]) -> str:
    """Equal for cells that can share a compiled model."""
    return json.dumps({k: v for k, v in cell.items() if k not in _OWN}, sort_keys=True)


def run(cells: list[dict[str, Any]], step: Callable | None = None) -> Iterator[dict[str, Any]]:
    """Trains cells of one `group_key` and yields a result each, in order; `step` is called after
    every interval with the number of steps done since its last call.

    A result has `accuracy` (percent of `images`), `loss` (mean over the last interval), `curve`
    with lists `step`, `loss` and `accuracy`, `seconds` and `cpu_seconds` of training, `diverged`,
    `why` where it did, `source` of the data, `made`, where; for alignments by a bandit also `arms`,
    how often each was chosen. A cell that raises gives `error`."""
    from reproduce.training.cells import sources

    group = None
    for cell in cells:
        try:
            group = group or _Group(cell)
            made = provenance.made(*sources(cell["method"]))
            yield {**group.train(cell, step), "made": made}
        except Exception as error:
            group = None
            yield {"error": f"{type(error).__name__}: {error}"[:2000]}


class _Group:
    """A compiled model and the state of its optimizer before the first step."""

    def __init__(self, cell: dict[str, Any]):
        from reproduce.training import methods, split

        sizes = cell["train"], cell["validation"], cell["test"]
        self.data = split.split(cell["data"], *sizes, cell["data_dir"])
        self.bandit = "policy" in cell["method"]
        given = self._network(cell), cell["method"], cell["rate"]
        self.model = methods.compiled(*given, **self._rewards(cell))
        self.fresh = [v.numpy() for v in self.model.optimizer.variables]

    def _network(self, cell: dict[str, Any]) -> Any:
        import keras

        from reproduce import networks

        keras.utils.set_random_seed(cell["seed"])
        shape = self.data.x_train.shape[1:]
        return networks.build(cell["network"], shape, self.data.classes, **cell["options"])

    def _rewards(self, cell: dict[str, Any]) -> dict[str, Any]:
        held = (self.data.x_validation[:256], self.data.y_validation[:256])
        return {"validation": held, "seed": cell["seed"]} if self.bandit else {}

    def _start(self, cell: dict[str, Any]) -> None:
        """Weights of the cell's seed, an optimizer as new, the cell's rate."""
        from reproduce.training import methods

        begin = methods.wrapped_model(self._network(cell), cell["method"], **self._rewards(cell))
        self.model.set_weights(begin.get_weights())
        for variable, value in zip(self.model.optimizer.variables, self.fresh, strict=True):
            variable.assign(value)
        self.model.optimizer.learning_rate = cell["rate"]
        if self.bandit:
            self.model.optimizer.states.bandit["seed"].assign(cell["seed"])

    def train(self, cell: dict[str, Any], step: Callable | None) -> dict[str, Any]:
        import tensorflow as tf

        self._start(cell)
        data, record, every = self.data, _record(self, cell, step), cell["evaluate_every"]
        begun = _clocks()
        try:
            self.model.fit(
                _batches(data, cell), epochs=cell["steps"] // every, steps_per_epoch=every,
                callbacks=[record], shuffle=False, verbose=0,
            )  # fmt: skip
        except tf.errors.InvalidArgumentError as error:
            if "neither finite nor small enough" not in str(error):
                raise
            record.why = "the step guard gave up"
        seconds, busy = _clocks() - begun - record.away
        loss = record.curve["loss"][-1] if record.curve["loss"] else math.nan
        why = record.why or _uniform(loss, data.classes, cell["steps"])
        held = cell["score"] == "validation"
        scored = (data.x_validation, data.y_validation) if held else (data.x_test, data.y_test)
        result = {
            "curve": record.curve,
            "seconds": seconds,
            "cpu_seconds": busy,
            "source": data.source,
            "loss": loss,
            "diverged": why is not None,
            "accuracy": self.accuracy(*scored),
            "images": len(scored[0]),
        }
        result |= {} if why is None else {"why": why}
        if record.arms:
            result["arms"] = [record.arms[arm] for arm in range(max(record.arms) + 1)]
        return result

    def accuracy(self, x: np.ndarray, y: np.ndarray) -> float:
        """Percent of images named rightly; NaN logits name nothing."""
        right = 0
        for start in range(0, len(x), 1000):
            part = slice(start, start + 1000)
            logits = self.model.predict_on_batch(x[part])
            finite = np.isfinite(logits).all(axis=-1)
            right += int(np.sum(finite & (np.argmax(logits, axis=-1) == y[part])))
        return 100.0 * right / len(x)


def _clocks() -> np.ndarray:
    """Seconds by the clock, and of this process's processor time."""
    return np.array([time.perf_counter(), time.process_time()])


def _uniform(loss: float, classes: int, steps: int) -> str | None:
    """Training that ends far above the loss of a uniform guess, log(classes), has diverged; so has
    a longer one that ends no better than it."""
    guess, told = math.log(classes), f"the loss of the last interval, {loss:.3g}, is "
    if not loss <= 2 * guess:
        return f"{told}above twice that of a uniform guess"
    return f"{told}that of a uniform guess" if steps >= _LONG and loss >= 0.98 * guess else None


def _batches(data: Any, cell: dict[str, Any]) -> Any:
    """The cell's batches as a data set: epochs of its own permutation, all of them whole."""
    import tensorflow as tf

    images, batch = len(data.x_train), cell["batch"]
    if batch > images:
        raise ValueError(f"`batch` must be at most the {images} images. Received: batch={batch}")
    random = np.random.default_rng([cell["seed"], 1])
    per_epoch = images // batch
    epochs = -(-cell["steps"] // per_epoch)
    order = np.concatenate([random.permutation(images)[: per_epoch * batch] for _ in range(epochs)])
    order = order.reshape(-1, batch)[: cell["steps"]]
    signature = (
        tf.TensorSpec((batch, *data.x_train.shape[1:]), tf.float32),
        tf.TensorSpec((batch,), tf.int64),
    )
    return tf.data.Dataset.from_generator(
        lambda: ((data.x_train[index], data.y_train[index]) for index in order),
        output_signature=signature,
    ).prefetch(2)


def _record(group: _Group, cell: dict[str, Any], step: Callable | None) -> Any:
    """The callback that measures the curve, moves the learning rate and stops at NaN."""
    import keras

    milestones = [round(fraction * cell["steps"]) for fraction in cell["decay"]]
    images = cell["curve_images"]

    class Record(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.curve: dict[str, list] = {"step": [], "loss": [], "accuracy": []}
            self.away = np.zeros(2)
            self.arms: Counter[int] = Counter()
            self.why: str | None = None
            self.done = 0

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if self.done in milestones:
                passed = sum(self.done >= milestone for milestone in milestones)
                self.model.optimizer.learning_rate = cell["rate"] * _DECAY_FACTOR**passed

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.done += 1
            if logs and "arm" in logs:
                self.arms[int(logs["arm"])] += 1
            if logs and not math.isfinite(logs["loss"]):
                self.why = f"the loss was not finite at step {self.done}"
                self.model.stop_training = True

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            begun = _clocks()
            x, y = group.data.x_test[:images], group.data.y_test[:images]
            values = self.done, float(logs["loss"]), group.accuracy(x, y)
            for column, value in zip(self.curve.values(), values, strict=True):
                column.append(value)
            self.away += _clocks() - begun
            if step is not None:
                step(cell["evaluate_every"])

    return Record()
