"""How far the updates of different alignments are apart on one batch, in double precision.

Why they should be close: in the cooperative structure and proximal form every schedule solves the
same quadratic problem, the linearised game, and reaches its one minimiser; what is left is the
nonlinear part of δx, of second order in the learning rate. Where the recursion's kernel is not the
preconditioner's own (EKFAC), and in the explicit form, whose gains leave out the kernels of a
player's own stage, the difference is C·Γ times the learning rate: of first order. So it is, less
visibly, where a ReLU stands on its kink: at initialisation biases are zero, and a layer whose
inputs are all zero for a sample has no derivative there.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests.seeds import set_seed

#: Training steps that take less time without being compiled first.
_FEW = 10


@contextmanager
def _double_precision() -> Iterator[None]:
    import keras

    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


@_double_precision()
def measure(
    problem: dict[str, Any],
    method: dict[str, Any],
    forms: Sequence[str],
    tuned: float,
    times: Sequence[float],
    trained: Sequence[int],
    seed: int,
) -> list[dict[str, Any]]:
    """Relative differences ‖Δ_a - Δ_asap‖ / ‖Δ_asap‖ of one step's update of all weights.

    Args:
        problem: of `problems`.
        method: a game without `form` and `alignment`.
        forms: of the game.
        tuned: learning rate of the training.
        times: the rates measured at, as multiples of it, ascending, 1 among them.
        trained: numbers of training steps after which to measure, ascending.
        seed: of the weights.

    Returns:
        A dictionary per form and number of steps: `form`, `trained`, `tuned`, `times`; `late`, the
        difference of the latest alignment at every rate; `slope` of its logarithm against that of
        the rate, up to the tuned one; `at_tuned`, of every other alignment at the tuned rate, the
        latest last; `batch`, the difference of the earliest alignment's update on the next batch
        from that on this one.
    """
    import dgn_tf
    from reproduce.training import cell, split

    whole = cell.make(**problem, method=method, rate=tuned, steps=1)
    data = split.split(
        whole["data"], whole["train"], whole["validation"], whole["test"], whole["data_dir"]
    )
    size = whole["batch"]
    images = len(data.x_train)
    order = np.random.default_rng([seed, 2]).permutation(images)

    def batch(number: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = order[np.arange(number * size, (number + 1) * size) % images]
        return data.x_train[chosen].astype("float64"), data.y_train[chosen]

    def model(eager: bool = True, **more: Any) -> Any:
        network = (whole["network"], data.x_train.shape[1:], data.classes, whole["options"])
        return _compiled(network, method | {"guard": False} | more, tuned, seed, eager)

    training = model(eager=max(trained) <= _FEW)
    schedules = dgn_tf.alignments(training)
    rows, done = [], 0
    for steps in trained:
        for number in range(done, steps):
            training.train_on_batch(*batch(2 + number))
        done = steps
        start = training.get_weights(), [v.numpy() for v in training.optimizer.variables]
        for form in forms:
            games = [model(form=form, alignment=schedule) for schedule in schedules]
            early, late = games[0], games[-1]
            here = batch(0)
            apart = [
                _distance(*(_update(game, start, factor * tuned, here) for game in (late, early)))
                for factor in times
            ]
            small = [(f, a) for f, a in zip(times, apart, strict=True) if f <= 1]
            reference = _update(early, start, tuned, here)
            rows.append({
                "form": form, "trained": steps, "tuned": tuned, "times": list(times),
                "late": apart, "slope": _slope(*zip(*small, strict=True)),
                "at_tuned": [_distance(_update(game, start, tuned, here), reference)
                             for game in games[1:]],
                "batch": _distance(_update(early, start, tuned, batch(1)), reference),
            })  # fmt: skip
    return rows


def _compiled(network: tuple, method: dict[str, Any], rate: float, seed: int, eager: bool) -> Any:
    import keras

    from reproduce import networks
    from reproduce.training import methods

    name, shape, classes, options = network
    set_seed(seed)
    game = methods.wrapped_model(networks.build(name, shape, classes, **options), method)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    game.compile(methods.optimizer(method, rate), loss, run_eagerly=eager, jit_compile=False)
    return game


def _update(game: Any, start: tuple[list, list], rate: float, batch: tuple) -> np.ndarray:
    """The change of all weights in one step from a start, `(weights,)`."""
    weights, state = start
    game.set_weights(weights)
    for variable, value in zip(game.optimizer.variables, state, strict=True):
        variable.assign(value)
    game.optimizer.learning_rate = rate
    game.train_on_batch(*batch)
    moved = zip(game.get_weights(), weights, strict=True)
    return np.concatenate([(after - before).ravel() for after, before in moved])


def _distance(update: np.ndarray, reference: np.ndarray) -> float:
    return float(np.linalg.norm(update - reference) / np.linalg.norm(reference))


def _slope(rates: Sequence[float], apart: Sequence[float]) -> float | None:
    """The exponent of a power law through the points; None where one of them is zero."""
    if len(rates) < 2 or min(apart) <= 0:
        return None
    return float(np.polyfit(np.log(rates), np.log(apart), 1)[0])
