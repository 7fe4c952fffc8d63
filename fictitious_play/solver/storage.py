"""A result as one file."""

import json
import os
import warnings
from enum import Enum
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fictitious_play import checks
from fictitious_play.game_checks.agreement import check_config
from fictitious_play.game_checks.probe import make_trial
from fictitious_play.games.base import Game
from fictitious_play.networks.feedback_policy import FeedbackPolicy
from fictitious_play.networks.joint_policy import JointPolicy
from fictitious_play.solver import archive
from fictitious_play.solver.certificate import Certificate
from fictitious_play.solver.fingerprint import NUMBERS, differences, fingerprint
from fictitious_play.solver.record import StageRecord
from fictitious_play.solver.result import Result
from fictitious_play.solver.stop_reason import StopReason

#: In the earlier formats fingerprints are of three time steps only; in the first of them the
#: networks of games with control bounds mean something else.
_FIRST, _SECOND, _FORMAT = (f"fictitious_play.result/{number}" for number in (1, 2, 3))
#: Names in files of before.
_RENAMED = {"information": "information_structure", "found": "searches"}
_POLICIES = {kind.__name__: kind for kind in (JointPolicy, FeedbackPolicy)}
_CLASSES = {kind.__name__: kind for kind in (StageRecord, Certificate)}


def save(result: Result, path: str | os.PathLike) -> None:
    """See `Result.save`."""
    game, policy = result.game, result.policy
    fields = {
        name: _encoded(value)
        for name, value in vars(result).items()
        if name not in ("game", "policy")
    }
    config = {name: value for name, value in policy.get_config().items() if name != "game"}
    document = {
        "format": _FORMAT,
        "game": _serialized(game, policy.variable_dtype),
        "problem": fingerprint(game, 0.0, policy.variable_dtype),
        "policy": {"class": type(policy).__name__, "config": config},
        "result": fields,
    }
    content = np.frombuffer(json.dumps(document).encode(), np.uint8)
    arrays = archive.variable_arrays("policy", policy.weights)
    arrays["document"] = content
    arrays["sha256"] = np.asarray(_checksum(arrays))
    archive.write(Path(path), archive.packed(arrays))


def load(path: str | os.PathLike, game: Game | None = None) -> Result:
    """Reads a result that `Result.save` wrote.

    Args:
        path: the file.
        game: the game of the result. It may be left out where its class is registered with Keras
            and `get_config` returns the constructor's arguments.

    Raises:
        ValueError: where the file is not a result or was edited, where the game is needed and not
            given, or where the methods of the given one have other values.
        TypeError: where `game` is not a `Game`.
        OSError: where there is no file.
    """
    if game is not None and not isinstance(game, Game):
        raise TypeError(f"`game` must be a Game. Received: game={game!r}")
    path = Path(path)
    arrays, document = _opened(path)
    try:
        return _restored(path, arrays, document, game)
    except (KeyError, IndexError, AttributeError, TypeError, ValueError) as error:
        if str(path) in str(error):
            raise
        named = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise _edited(path, f"in which something is missing or was edited: {named}") from error


def _opened(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and document of a file, as they were written."""
    content = path.read_bytes()
    try:
        arrays = archive.unpacked(content)
        document = json.loads(arrays["document"].tobytes())
        kind = document["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise _edited(path, "which is another file, or not whole") from error
    if kind not in (_FORMAT, _SECOND, _FIRST):
        raise _other_format(path, kind)
    saved = arrays.pop("sha256", None)
    if saved is not None and saved.item() != _checksum(arrays):
        raise _edited(path, "which was edited: its contents do not have its checksum")
    return arrays, document


def _restored(
    path: Path, arrays: dict[str, np.ndarray], document: dict[str, Any], game: Game | None
) -> Result:
    kind = document["format"]
    if game is None:
        game = _deserialized(document["game"], path)
    if kind == _FIRST and game.control_bounds is not None:
        raise _other_format(path, kind)
    saved = document["policy"]
    config = {**saved["config"], "game": game}
    policy = _POLICIES[saved["class"]].from_config(config)
    problem, now = document["problem"], fingerprint(game, 0.0, policy.variable_dtype)
    if kind != _FORMAT:
        problem, now = _earlier(problem, now)
    changed = differences(problem, now)
    if changed:
        named = ", ".join(f"`{name}`" for name in changed)
        raise ValueError(
            f"A result must be loaded with its own game. Received: {path}, which was saved with "
            f"other values of {named}."
        )
    if not policy.built:
        policy.build()
    archive.assign_arrays("policy", policy.weights, arrays)
    fields = {name: _decoded(value) for name, value in document["result"].items()}
    for name in ("cost", "cost_standard_error", "cost_spread", "non_finite"):
        checks.has_shape(name, fields[name], (game.players,), "players")
    return Result(game=game, policy=policy, **fields)


def _edited(path: Path, what: str) -> ValueError:
    return ValueError(
        f"`path` must be a file that Result.save wrote, whole. Received: {path}, {what}"
    )


def _checksum(arrays: dict[str, np.ndarray]) -> str:
    """Of the names and contents of all arrays."""
    parts = (
        f"{name} {array.dtype} {array.shape} {archive.checksum(np.ascontiguousarray(array))}"
        for name, array in sorted(arrays.items())
    )
    return archive.checksum("\n".join(parts).encode())


def _earlier(problem: dict[str, list], now: dict[str, Any]) -> tuple[dict, dict]:
    """What an earlier fingerprint and one of now have in common: values of a method at the first,
    the middle and the last step, unless there are so many that sums were kept of them."""
    shared = {}
    for key, rows in problem.items():
        name, _, step = key.partition(" at step ")
        if name != "initial_belief" and len(rows[0]) < NUMBERS:
            shared[key] = now[name][int(step)] if step else now[name]
    return {key: problem[key] for key in shared}, shared


def _other_format(path: Path, kind: str) -> ValueError:
    return ValueError(
        f"`path` must hold a result in the format {_FORMAT!r}. Received: {path}, in the format "
        f"{kind!r}; load it with the version of the package that wrote it."
    )


def _serialized(game: Game, dtype: str) -> dict[str, Any] | None:
    wrong = check_config(make_trial(game, dtype))
    if wrong:
        # What was trained is kept all the same.
        sentence = f"{wrong[0]}. The result is saved without its game: give it to `load`"
        warnings.warn(sentence, RuntimeWarning, stacklevel=4)
        return None
    try:
        serialized = keras.saving.serialize_keras_object(game)
        json.dumps(serialized)
    except Exception:  # a game that cannot be written down has to be given again
        return None
    return serialized


def _deserialized(serialized: dict[str, Any] | None, path: Path) -> Game:
    try:
        if serialized is not None:
            return keras.saving.deserialize_keras_object(serialized)
        error = None
    except Exception as caught:
        error = caught
    name = "Game" if serialized is None else serialized.get("class_name")
    raise ValueError(
        f"The game must be given again, fp.load({str(path)!r}, game=...), where its class is not "
        "registered with keras.saving.register_keras_serializable or `get_config` does not return "
        f"the constructor's arguments. Received: game=None for a {name}"
    ) from error


def _encoded(value: Any) -> Any:
    """A value as JSON that `_decoded` turns back into the same bits."""
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.name}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Enum):
        return {"reason": value.value}
    if isinstance(value, tuple):
        return {"tuple": [_encoded(each) for each in value]}
    if isinstance(value, list):
        return [_encoded(each) for each in value]
    if isinstance(value, dict):
        return {"dict": {name: _encoded(each) for name, each in value.items()}}
    if type(value).__name__ in _CLASSES:
        fields = {name: _encoded(each) for name, each in vars(value).items()}
        return {"class": type(value).__name__, "fields": fields}
    return value


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return np.asarray(value["array"], value["dtype"])
    if "reason" in value:
        return StopReason(value["reason"])
    if "tuple" in value:
        return tuple(_decoded(each) for each in value["tuple"])
    if "class" in value:
        return _CLASSES[value["class"]](**_named(value["fields"]))
    return _named(value["dict"])


def _named(values: dict[str, Any]) -> dict[str, Any]:
    return {_RENAMED.get(name, name): _decoded(value) for name, value in values.items()}
