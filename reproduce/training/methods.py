"""A method by its description: an optimizer of Keras, EMSA, or DGNOpt with a structure.

A method is a plain dictionary, so that it can be stored beside its results:

    {"name": "SGD"}                                     Keras's own optimizer
    {"name": "SGD", "structure": "cooperative"}         DGNOpt with that curvature
    {"name": "EKFAC"}                                   ours in open loop
    {"name": "EKFAC", "structure": "open_loop", "agents": 4}
    {"name": "EMSA", "iterations": 5}
    {"name": "Muon"}                                    Keras's, the output layer left to Adam
"""

from functools import partial
from typing import Any

import keras

from reproduce.training.cells import is_game

#: Names of methods and the curvature of each in DGNOpt; None for what is no curvature.
CURVATURES = {
    "SGD": "identity",
    "RMSprop": "rmsprop",
    "Adam": "adam",
    "K-FAC": "kfac",
    "EKFAC": "ekfac",
    "EMSA": None,
    "Muon": None,
}
_KERAS = {
    "SGD": keras.optimizers.SGD,
    "RMSprop": keras.optimizers.RMSprop,
    "Adam": keras.optimizers.Adam,
    # As its documentation asks; every network here calls its output layer so.
    "Muon": partial(keras.optimizers.Muon, exclude_layers=["logits"]),
}
#: Settings of a method that belong to DGNOpt.
_GAME_SETTINGS = ("form", "terminal", "solver", "absent_players", "guard", "state_feedback",
                  "kl_clip")  # fmt: skip
#: Damping of the Kronecker factors, and every how many steps statistics and bases move.
FACTOR_DEFAULTS = {"damping": 0.03, "update_every": 5, "refresh_every": 10}
_KNOWN = ("name", "structure", "alignment", "agents", "parts", "policy", "iterations",
          *_GAME_SETTINGS, *FACTOR_DEFAULTS)  # fmt: skip


def compiled(model: keras.Model, method: dict[str, Any], rate: float, **extra: Any) -> keras.Model:
    """The model, a Functional classifier with logits, as the method trains it, compiled, its
    optimizer built; the learning rate is a variable of the optimizer from then on. `extra`:
    `validation`, the arrays `(x, y)` that a bandit's reward is measured on, and `seed` of its
    choices."""
    wrapped = wrapped_model(model, method, **extra)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    wrapped.compile(optimizer(method, rate), loss, metrics=["accuracy"], jit_compile=False)
    wrapped.optimizer.build(wrapped.trainable_variables)
    return wrapped


def optimizer(method: dict[str, Any], rate: float) -> keras.optimizers.Optimizer:
    """The optimizer of a method; a ValueError for an unknown name or setting."""
    name = method["name"]
    if name not in CURVATURES:
        raise ValueError(f"A method must be one of {', '.join(CURVATURES)}. Received: {name!r}")
    unknown = [key for key in method if key not in _KNOWN]
    if unknown:
        raise ValueError(f"A method's settings must be among {_KNOWN}. Received: {unknown}")
    if not is_game(method):
        return _KERAS.get(name, keras.optimizers.SGD)(rate)
    import dgn_tf

    curvature = dgn_tf.curvature.get(str(CURVATURES[name]))
    if name in ("K-FAC", "EKFAC"):
        curvature = type(curvature)(**{k: method.get(k, v) for k, v in FACTOR_DEFAULTS.items()})
    return dgn_tf.DGNOpt(
        learning_rate=rate, information_structure=method.get("structure", "open_loop"),
        curvature=curvature, **{key: method[key] for key in _GAME_SETTINGS if key in method},
    )  # fmt: skip


def wrapped_model(
    model: keras.Model, method: dict[str, Any], validation: Any = None, seed: int = 0
) -> keras.Model:
    """The model in the class that trains it, not compiled: plain, a `GameModel`, or an EMSA one."""
    if method["name"] == "EMSA":
        from reproduce.baselines.emsa import emsa_model

        return emsa_model(model, iterations=method.get("iterations", 5))
    if not is_game(method):
        return model
    import dgn_tf

    alignment: Any = method.get("alignment", "asap")
    if "policy" in method:
        policies = {"adaptive": dgn_tf.bandit.EXP3PP, "random": dgn_tf.bandit.Random}
        if method["policy"] not in policies:
            raise ValueError(
                f"`policy` must be one of {', '.join(policies)}. Received: {method['policy']!r}"
            )
        rewarded = {"validation": validation} if method["policy"] == "adaptive" else {}
        alignment = policies[method["policy"]](**rewarded, seed=seed)
    if "parts" in method:
        return dgn_tf.naive_partition(model, method["parts"], alignment=alignment)
    if method.get("agents", 1) > 1:
        return dgn_tf.with_agents(model, method["agents"], "coupled", alignment=alignment)
    return dgn_tf.GameModel.from_model(model, alignment=alignment)
