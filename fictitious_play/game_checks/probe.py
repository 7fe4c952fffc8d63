"""Points at which a game is tried, and calls of its methods that check what comes back."""

import inspect
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

#: Euler steps that are simulated.
STEPS = 24
METHODS = ("drift", "diffusion", "running_cost", "terminal_cost")
_ARGUMENTS = {
    **dict.fromkeys(METHODS[:3], ("time", "states", "controls")),
    "terminal_cost": ("states",),
    "euler_step": ("time", "states", "controls", "noise"),
}


@dataclass(frozen=True)
class Trial:
    """A game, the dtype it is tried in and two sizes of leading axes.

    `paths`, `copies` and their product differ from every size of the game, so that an axis in the
    wrong place cannot pass for another one.
    """

    game: Any
    dtype: str
    paths: int
    copies: int

    @property
    def name(self) -> str:
        return type(self.game).__name__

    @property
    def relative(self) -> float:
        """Differences up to this, relative to the values, are rounding."""
        return 1e-4 if self.dtype == "float32" else 1e-9

    def tensor(self, array: Any) -> Any:
        # Cast by NumPy: JAX compiles a cast of its own for every shape.
        return ops.convert_to_tensor(np.asarray(array, self.dtype), dtype=self.dtype)

    def refuse(self, method: str, rule: str, received: Any, cause: str, error: Any = None) -> Any:
        """Raises the ValueError of a broken rule."""
        raise ValueError(f"`{self.name}.{method}` {rule} Received: {received}. {cause}") from error


def make_trial(game: Any, dtype: str) -> Trial:
    """The trial of a game: the smallest sizes that cannot be mistaken."""
    taken = {1, game.players, game.state_size, game.control_size, game.noise_size}
    for copies in range(3, 40):
        for paths in range(2, copies):
            if not taken & {paths, copies, paths * copies}:
                return Trial(game, dtype, paths, copies)
    raise AssertionError("five sizes cannot take all pairs")


def points(trial: Trial, leading: tuple[int, ...]) -> tuple:
    """States near the initial law, no two of them equal, and controls; numpy arrays."""
    game, rng = trial.game, np.random.default_rng(0)
    count = int(np.prod(leading))
    normals = rng.standard_normal((count, game.state_size))
    states = np.asarray(game.initial_states(normals), np.float64)
    size = np.where(states == 0.0, 1.0, np.abs(states))
    states = states + 0.1 * size * rng.uniform(-1.0, 1.0, states.shape)
    controls = 0.5 * rng.standard_normal((count, game.players, game.control_size))
    controls = np.asarray(game.project(controls)).reshape(*leading, *controls.shape[1:])
    return states.reshape(*leading, -1), controls


def quick(function: Any, graph: bool = False) -> Any:
    """A function of tensors as the backend runs it soonest: JAX compiles it as a whole, with
    little optimisation; the others take it operation by operation, TensorFlow with `graph` as a
    graph, for functions that run often."""
    backend = keras.config.backend()
    if backend == "jax":
        import jax

        options = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
        return jax.jit(function, compiler_options=options)
    if backend == "tensorflow" and graph:
        import tensorflow as tf

        # As in `Compiled`, so that every function's tracings are counted by themselves.
        return tf.function(partial(function), autograph=False)
    return function


def arrays(tensors: Any) -> Any:
    """Tensors in any structure as numpy arrays."""
    return keras.tree.map_structure(ops.convert_to_numpy, tensors)


def trace(function: Any, *tensors: Any) -> None:
    """Runs a function as training does, on tensors without values where the backend has them."""
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tf.function(function, autograph=False).get_concrete_function(*tensors)
    elif backend == "jax":
        import jax

        jax.eval_shape(function, *tensors)
    elif backend == "torch":
        function(*[tensor.clone().requires_grad_() for tensor in tensors])


def values(trial: Trial, time: Any, *arrays: Any) -> dict[str, Any]:
    """What the four methods return, and `euler_step` where there is noise, checked one by one; in
    numpy's or the backend's arrays: states, controls and, if wanted, noise."""
    leading = tuple(arrays[0].shape[:-1])
    arguments = {"time": time, **dict(zip(_ARGUMENTS["euler_step"][1:], arrays, strict=False))}
    methods = METHODS if len(arrays) == 2 else (*METHODS, "euler_step")
    return {
        method: _call(trial, method, [arguments[name] for name in _ARGUMENTS[method]], leading)
        for method in methods
    }


def check_signatures(trial: Trial) -> None:
    """The methods must be there and take the arguments that they are called with."""
    for method, names in _ARGUMENTS.items():
        function = getattr(trial.game, method)
        wanted = f"{method}({', '.join(names)})"
        try:
            inspect.signature(function).bind(*names)
        except TypeError as error:
            signature = f"{method}{inspect.signature(function)}"
            trial.refuse(method, f"must be called as {wanted}.", signature, _SELF, error)


_SELF = "Likely cause: an argument (or `self`) is missing, or there is one too many"


def _call(trial: Trial, method: str, arguments: list, leading: tuple[int, ...]) -> Any:
    given = " and ".join(
        f"{name} of shape {tuple(value.shape)}"
        for name, value in zip(_ARGUMENTS[method], arguments, strict=True)
        if name != "time"
    )
    try:
        value = getattr(trial.game, method)(*arguments)
    except NotImplementedError as error:
        if "must define" in str(error):
            trial.refuse(method, "must be defined.", "none", "Write it in keras.ops", error)
        trial.refuse(method, f"must take {given}.", _first_line(error), _NUMPY, error)
    except Exception as error:
        tensor_time = _ARGUMENTS[method][0] == "time" and not isinstance(arguments[0], float)
        rule = f"must take {given}" + (" and a scalar tensor as `time`." if tensor_time else ".")
        cause = _TIME if tensor_time else _cause_of(error, leading)
        trial.refuse(method, rule, _first_line(error), cause, error)
    _check_value(trial, method, value, leading, given)
    return value


_NUMPY = (
    "Likely cause: NumPy or Python arithmetic on tensors that have no values while training is "
    "compiled; write the method in keras.ops"
)
_TIME = (
    "A long roll-out is a loop on the device, where the time is a tensor. Likely cause: `if` or "
    "`round` of the time; use ops.where, ops.round or ops.take"
)
_LEADING = (
    "States and controls may have any leading axes: deviations have one for the copies of the "
    "game. Likely cause: axes counted from the front (`[:, 0]`); index from the end (`[..., 0]`, "
    "axis=-1)"
)


def _cause_of(error: Exception, leading: tuple[int, ...]) -> str:
    text = f"{type(error).__name__} {error}".lower()
    compiled = ("numpy", "symbolic", "tracer", "requires grad", "not allowed", "bool(")
    if any(word in text for word in compiled):
        return _NUMPY
    if len(leading) > 1:
        return _LEADING
    return (
        "States are (..., state_size), controls (..., players, control_size). Likely cause: an "
        "axis in another place, or dtypes that differ (give constants dtype=states.dtype)"
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200].rstrip('.') if lines else 'no message'}"


def _check_value(
    trial: Trial, method: str, value: Any, leading: tuple[int, ...], given: str
) -> None:
    game = trial.game
    last, meaning = {
        "drift": ((game.state_size,), "(..., state_size)"),
        "euler_step": ((game.state_size,), "(..., state_size)"),
        "diffusion": ((game.state_size, game.noise_size), "(..., state_size, noise_size)"),
    }.get(method, ((game.players,), "(..., players)"))
    rule = f"must return a tensor of shape {meaning}, here {(*leading, *last)}, for {given}."
    if value is None:
        trial.refuse(method, rule, "None", "Likely cause: the `return` is missing")
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        cause = "Likely cause: a Python number or a list; make a tensor with ops.convert_to_tensor"
        trial.refuse(method, rule, f"{type(value).__name__} {value!r}"[:120], cause)
    shape = tuple(value.shape)
    # Leading axes of one, or none at all, stand for a value that all paths share.
    front = shape[: len(shape) - len(last)]
    broadcast = [have in (1, want) for have, want in zip(front, leading, strict=False)]
    if shape[len(front) :] != last or len(front) not in (0, len(leading)) or not all(broadcast):
        trial.refuse(method, rule, f"shape {shape}", _shape_cause(game, method, shape, leading))
    kind = keras.backend.standardize_dtype(value.dtype)
    if kind != trial.dtype:
        cause = (
            "Likely cause: a NumPy array, which is float64; give constants dtype=states.dtype"
            if kind.startswith("float")
            else "Likely cause: an integer or boolean array; ops.cast it to states.dtype"
        )
        trial.refuse(method, f"must return the dtype of the states, {trial.dtype}.", kind, cause)


def _shape_cause(game: Any, method: str, shape: tuple, leading: tuple) -> str:
    n, m, players = game.state_size, game.noise_size, game.players
    lead = len(leading)
    if not shape:
        return "Likely cause: a number, or a sum over all axes; sum over axis=-1 only"
    if method == "diffusion":
        if shape[-2:] == (m, n):
            return "Likely cause: the matrix is transposed; rows are states, columns are noises"
        if shape[-2:] == (n, n):
            return (
                f"Likely cause: `noise_size` is {m}, by default players + 1 with column 0 for a "
                "common noise; give noise_size to the constructor, or a column of zeros"
            )
        if shape[-1:] == (n,):
            return "Likely cause: a vector of volatilities; make it a matrix with ops.diag"
        return "A matrix without leading axes stands for a constant"
    if shape == leading:
        return (
            "Likely cause: a sum or mean over the last axis; a cost that players share still needs "
            "an entry for each of them (ops.repeat)"
        )
    if shape == (*leading, 1):
        return (
            "Likely cause: keepdims=True or [..., :1], whose axis of one would be broadcast over "
            "the players; ops.repeat it"
            if method not in ("drift", "euler_step")
            else "Likely cause: keepdims=True or [..., :1]"
        )
    if shape[: lead + 1] == (*leading, players) and len(shape) == lead + 2:
        return (
            "Likely cause: the last axis of `controls`, control_size, is still there; take "
            "controls[..., 0], or sum over axis=-1"
        )
    if lead > 1 or shape[:lead] != leading:
        return _LEADING
    return "Likely cause: an axis in another place, or a sum over the wrong one"
