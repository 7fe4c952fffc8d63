"""DGNOpt: the optimizer of a `GameModel`, settings and state."""

import re
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dgn_tf.bandit.policy import AlignmentPolicy, Spec
from dgn_tf.game import keras_surface as surface
from dgn_tf.game.game import Game
from dgn_tf.game.layout import WeightLayout
from dgn_tf.guard import StepGuard
from dgn_tf.rules import ITERATIONS, Rules
from dgn_tf.settings import fraction, positive
from dgn_tf.terminal import Terminal

_RULES = tuple(name for name in Rules.__dataclass_fields__ if not name.startswith("agents"))
_REFUSED = ("loss_scale_factor", "gradient_accumulation_steps")


@keras.saving.register_keras_serializable("dgn_tf")
class DGNOpt(keras.optimizers.Optimizer):
    """The dynamic game theoretic neural optimizer (Liu, Chen and Theodorou 2021).

    Layers are players of a dynamic game; what they know of the state and of each other decides the
    update θ ← θ - (k + K δx). It trains a `dgn_tf.GameModel` only.

    Args:
        learning_rate: a positive number or a Keras schedule.
        information_structure: "open_loop" (5), the ordinary preconditioned gradient;
            "open_loop_cooperative", the joint solve of each stage without feedback; "feedback",
            (9)-(10), every player by itself; "cooperative", (11) and (25), the players of a stage
            together.
        curvature: the preconditioner M: a name ("identity", "rmsprop", "adam", "kfac", "ekfac",
            "gauss_newton"), a block of `dgn_tf.curvature`, or "exact": dense Q_uu = ℓ_uu +
            F_n'V_xx F_n in the place of M (φ_x φ_x' where φ does not bend), for small networks;
            form, damping and solver play no part and the learning rate scales k + K δx.
        form: what Q_uu is in the recursion: "proximal" (M/lr + F'V_xx F), "explicit" (M/lr),
            "coupled" (M/lr with the mixed second derivatives kept), or "feedback_only" (no backward
            recursion, K δx alone is added).
        terminal: the factor of the loss's Hessian: "rank_one", "gauss_newton", "exact", the
            number of leading eigenvectors, or a `dgn_tf.terminal.Terminal`.
        solver: for several players in a stage: "sample_space", or, with a K-FAC or EKFAC block,
            "khatri_rao" (the joint factors, by conjugate gradients) or "prop5" (Proposition 5,
            which over-steps where players have something in common: damp strongly).
        khatri_rao_iterations: conjugate-gradient steps of "khatri_rao"; 0 is the feedback gain.
        absent_players: what a slot without a player at a stage does: "dummy" or "duplicated".
        state_feedback: whether the update pass adds K δx; with False the open gains k of the same
            recursion are applied alone, in one forward pass.
        weight_decay: ℓ = ½ weight_decay |θ|² on all weights but those of normalisation.
        guard: a `StepGuard`, True for its defaults, False or None for no guard.
        kl_clip: κ > 0 of the trust region lr² Σ Δ'FΔ ≤ κ that steps are scaled into (Martens and
            Grosse 2015; Ba, Grosse and Martens 2017), None for none. 1e-3 is the usual value: it
            holds training together on raw pixels or at too large a learning rate.
        name: of the optimizer.
        kwargs: of Keras: clipnorm, clipvalue or global_clipnorm, applied to the update divided by
            the learning rate (the global norm is that of the open gains k); use_ema, ema_momentum
            and ema_overwrite_frequency.

    Raises:
        ValueError: for an argument outside what is listed.
    """

    def __init__(
        self,
        learning_rate: Any = 0.03,
        information_structure: str = "cooperative",
        curvature: Any = "ekfac",
        form: str = "proximal",
        terminal: str | int | Terminal = "rank_one",
        solver: str = "sample_space",
        absent_players: str = "dummy",
        weight_decay: float | None = 0.0,
        khatri_rao_iterations: int = ITERATIONS,
        guard: Any = True,
        state_feedback: bool = True,
        kl_clip: float | None = None,
        name: str = "dgnopt",
        **kwargs: Any,
    ):
        for refused in _REFUSED:
            given = kwargs.pop(refused, None)
            if given is not None:
                raise ValueError(
                    f"DGNOpt moves every step on the step's own states, so `{refused}` must be "
                    f"None. Received: {given!r}. Use a larger batch."
                )
        for limit in {"clipnorm", "clipvalue", "global_clipnorm"} & set(kwargs):
            if kwargs[limit] is not None:
                kwargs[limit] = positive(limit, kwargs[limit])
        if kwargs.get("use_ema"):
            kwargs["ema_momentum"] = fraction("ema_momentum", kwargs.get("ema_momentum", 0.99))
        if isinstance(learning_rate, Real):
            learning_rate = positive("learning_rate", learning_rate)
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.rules = Rules(
            information_structure=information_structure,
            curvature=curvature,
            form=form,
            terminal=terminal,
            solver=solver,
            absent_players=absent_players,
            state_feedback=state_feedback,
            khatri_rao_iterations=khatri_rao_iterations,
        )
        self.weight_decay = positive("weight_decay", weight_decay) if weight_decay else 0.0
        self.kl_clip = kl_clip if kl_clip is None else positive("kl_clip", kl_clip)
        self.guard = StepGuard.make(guard)
        self._game: Any = None
        self._bandit: Any = None

    def __getattr__(self, name: str) -> Any:
        """The rules by the names they were given by."""
        rules = self.__dict__.get("rules")
        if rules is None or name not in _RULES:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(rules, name)

    def bind(
        self, game: Game, policy: AlignmentPolicy | None = None, agents_form: str | None = None
    ) -> None:
        """Hands the optimizer its game, whose players it keeps a state for; `compile` does it.

        Args:
            game: a `Game`, whose seed generators are saved along.
            policy: what chooses between the game's arms, its state the optimizer's; None for one.
            agents_form: the form that fictitious agents bring; None for the optimizer's.

        Raises:
            ValueError: if the optimizer was built for other weights, or for other arms, and for
                rules that mean nothing with the game's agents.
        """
        agents = max((player.agents for player in game.players), default=1)
        rules = replace(self.rules, agents=agents, agents_form=agents_form)
        if self._game is not None and self.built and game.identity() != self._game.identity():
            raise ValueError(
                "A DGNOpt belongs to the model it was first compiled with. "
                "Create a new one for another model or another set of trainable layers."
            )
        if self.built:
            had = {name: tuple(v.shape) for name, v in self.states.bandit.items()}
            got = {name: shape for name, (shape, _) in _bandit_spec(policy, game).items()}
            if had != got:
                raise ValueError(
                    "A DGNOpt keeps the state of the alignment policy it was first compiled with. "
                    "Create a new one for another policy or another number of arms."
                )
        self._game, self._bandit, self.rules = game, policy, rules

    @property
    def bandit_state(self) -> dict[str, Any]:
        """The state of the alignment policy as NumPy arrays, the number of `steps` and the last
        `reward`; empty without a policy."""
        held = self.states.bandit if self.built else {}
        return {name: variable.numpy() for name, variable in held.items()}

    @surface.untracked
    def build(self, variables: list) -> None:
        """Creates the state of every player's curvature block."""
        if self.built:
            return
        if self._game is None:
            raise ValueError(
                "DGNOpt plays on the graph of a `dgn_tf.GameModel` and cannot train a plain "
                "`keras.Model`, such as `clone_model` makes of a game. Wrap the model: "
                "`dgn_tf.GameModel.from_model(model)`; clone a game by "
                "`dgn_tf.GameModel.from_config(game.get_config())`."
            )
        super().build(variables)
        # Variables by player and name, out of reach of Keras's attribute tracking.
        self.states = SimpleNamespace(players={}, bystanders={}, bandit={}, initial=[])
        game = self._game
        for player in () if self.rules.exact else game.players:
            spec, dtype = self.curvature.state_spec(player.layout), player.variables[0].dtype
            self.states.players[player.name] = self._add_state(spec, player.name, dtype)
        for bystander in game.bystanders:
            self.states.bystanders[bystander.name] = [
                self._add_state(
                    self.rules.fallback.state_spec(WeightLayout((tuple(v.shape),))),
                    f"{bystander.name}_{v.name}",
                    v.dtype,
                )
                for v in bystander.variables
            ]
        if self.guard is not None:
            self.guard_rejections = self.add_variable((), dtype="int64", name="guard_rejections")
            self.guard_streak = self.add_variable((), dtype="int64", name="guard_streak")
        for name, (shape, dtype) in _bandit_spec(self._bandit, game).items():
            start = self._bandit.seed if name == "seed" else 0
            state = self._add_state({name: (shape, start)}, "bandit", dtype)
            self.states.bandit.update(state)

    def _add_state(self, spec: dict, name: str, dtype: str) -> dict[str, Any]:
        state = {}
        for key, (shape, start) in spec.items():
            number = isinstance(start, int | float)
            start = keras.initializers.Constant(start) if number else keras.initializers.get(start)
            label = f"{name}_{key}".replace("/", "_")  # of the second layer of a name, `dense/2`
            state[key] = self.add_variable(shape, start, dtype=dtype, name=label)
            self.states.initial.append((state[key], start))
        return state

    def _start_anew(self) -> None:
        """Puts every variable but the learning rate where it was before the first step."""
        for variable in self.variables:
            if variable.name != "learning_rate":
                variable.assign(tf.zeros_like(variable.value))
        for variable, initializer in self.states.initial:
            variable.assign(initializer(tuple(variable.shape), dtype=variable.dtype))

    def _kind(self) -> np.ndarray:
        """What a saved state must have in common with this one besides its shapes."""
        block = self.curvature
        names = ["exact"] if self.rules.exact else [block.name, block.fallback().name]
        return np.array(zlib.crc32("/".join(names).encode()), "int64")

    def current_learning_rate(self, dtype: Any) -> tf.Tensor:
        """The learning rate of this step as a scalar tensor."""
        return tf.cast(tf.convert_to_tensor(self.learning_rate), dtype)

    def decays(self, variable: Any) -> bool:
        """Whether weight decay applies to a variable (`exclude_from_weight_decay` is honoured)."""
        return self.weight_decay > 0 and surface.uses_weight_decay(self, variable)

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Raises a ValueError: a game needs more than gradients."""
        raise ValueError(
            "DGNOpt needs the states of a forward pass, not only gradients: train a "
            "`dgn_tf.GameModel` with `fit` or `train_on_batch`."
        )

    def save_own_variables(self, store: Any) -> None:
        """Saves every optimizer variable, the state of the model's seed generators, and the images
        that an alignment policy is rewarded on."""
        super().save_own_variables(store)
        store["kind"] = self._kind()
        held = getattr(self._bandit, "held", None)
        for i, variable in enumerate(held.variables if held is not None else ()):
            store[f"validation_{i}"] = variable.numpy()
        for i, state in enumerate(self._game.uses.random if self._game is not None else ()):
            store[f"seed_{i}"] = state.numpy()

    def load_own_variables(self, store: Mapping) -> None:
        """Loads what `save_own_variables` saved.

        State of another optimizer, block or model is left alone with a warning, as Keras does: the
        model's weights are loaded all the same, and this optimizer starts anew.
        """
        keys = list(store.keys())

        def listed(prefix: str) -> list:
            count = sum(re.fullmatch(prefix + r"\d+", key) is not None for key in keys)
            return [store[f"{prefix}{i}"] for i in range(count)]

        saved, seeds, images = listed(""), listed("seed_"), listed("validation_")
        states = self._game.uses.random if self._game is not None else []
        shapes = [tuple(v.shape) for v in self.variables]
        fits = "kind" in keys and int(store["kind"][()]) == int(self._kind())
        if not (fits and [v.shape for v in saved] == shapes and len(seeds) == len(states)):
            warnings.warn(
                "Saved optimizer state must be that of the same curvature block on the same "
                f"layers: {len(shapes)} variables and {len(states)} seed generators expected. "
                f"Received: {len(saved)} and {len(seeds)}, or another block. It is not loaded: "
                "the optimizer starts anew.",
                stacklevel=2,
            )
            self._start_anew()
            return
        for variable, value in zip([*self.variables, *states], [*saved, *seeds], strict=True):
            variable.assign(value)
        if images and self._bandit is not None:
            self._bandit.validation = (images[:-1], images[-1])

    def get_config(self) -> dict:
        config = super().get_config()
        for dropped in _REFUSED:
            config.pop(dropped)
        config.update({name: getattr(self.rules, name) for name in _RULES})
        for name in ("curvature", "terminal"):
            config[name] = keras.saving.serialize_keras_object(config[name])
        config["weight_decay"], config["kl_clip"] = self.weight_decay, self.kl_clip
        config["guard"] = None if self.guard is None else self.guard.get_config()
        return config

    @classmethod
    def from_config(cls, config: dict, custom_objects: Any = None) -> "DGNOpt":
        config = dict(config)
        for name in {"curvature", "terminal"} & set(config):
            config[name] = keras.saving.deserialize_keras_object(config[name], custom_objects)
        return super().from_config(config, custom_objects=custom_objects)


def _bandit_spec(policy: AlignmentPolicy | None, game: Game) -> Spec:
    """What the optimizer keeps for an alignment policy: its state, seed, steps, last reward."""
    if policy is None or game.arm is None:
        return {}
    mine = {"seed": ((), "int64"), "steps": ((), "int64"), "reward": ((), "float64")}
    return {**policy.state_spec(len(game.arm.placements)), **mine}
