"""GameModel: a Keras Functional model whose layers are players."""

import math
import warnings
from collections.abc import Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

import keras

from dgn_tf.bandit.arms import games_of_arms
from dgn_tf.bandit.policy import AlignmentPolicy
from dgn_tf.game import checks
from dgn_tf.game import keras_surface as surface
from dgn_tf.game.capture import EXPECTED_BATCH, TANGENT_BUDGET
from dgn_tf.game.game import Game
from dgn_tf.game.graph import functional_of
from dgn_tf.optimizer import DGNOpt
from dgn_tf.rules import FORMS
from dgn_tf.settings import one_of
from dgn_tf.step.solution import solve_batch
from dgn_tf.step.train import train_step
from dgn_tf.terminal.objective import check_loss


@keras.saving.register_keras_serializable("dgn_tf")
class GameModel(surface.Functional):
    """A Functional model, unmodified, with the dynamic game its layers play.

    It overrides `train_step` and nothing else of `fit`; `evaluate`, `predict` and calls are those
    of the plain model.

    Args:
        inputs, outputs: as for `keras.Model`.
        alignment: "asap", "alap", {layer name: stage}, or a policy of `dgn_tf.bandit` that chooses
            between alignments while the model is trained.
        slots: {layer name: slot within its stage}; by default in the order of `model.layers`.
        strict: whether a trainable layer that must be left to a diagonal block is an error.
        agents: how many fictitious agents share each player's weights: a number, or
            {layer name: number}.
        agents_form: the form the game is solved in, instead of the optimizer's; None for that one.
        name: of the model.

    Raises:
        ValueError: for a model without a graph or without players, an alignment outside the slack,
            LoRA or quantised layers; with a policy, for fictitious agents and for validation images
            that do not fit.
    """

    runs_graph = True

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        alignment: str | Mapping[str, int] | AlignmentPolicy = "asap",
        slots: Mapping[str, int] | None = None,
        strict: bool = False,
        agents: int | Mapping[str, int] = 1,
        agents_form: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        if agents_form is not None:
            one_of("agents_form", agents_form, FORMS)
        super().__init__(inputs, outputs, name=name, **kwargs)
        # The settings and what is made of them, out of reach of Keras's attribute tracking.
        self._held = SimpleNamespace(active=None, unseen="", batch=EXPECTED_BATCH)
        self._held.settings = {"alignment": alignment, "slots": slots, "strict": strict}
        self._held.settings.update(agents=agents, agents_form=agents_form)
        self._read_game()
        self._held.fresh = self._look()

    def _look(self) -> list:
        """What there is to see, between construction and `compile`, of a change of the game."""
        layers = surface.inner_layers(self)
        seen = [(layer.trainable, getattr(layer, "activation", None)) for layer in layers]
        return [(v.trainable, id(v)) for v in self.variables] + seen

    def _read_game(self) -> None:
        held, given = self._held, self._held.settings
        alignment, read = given["alignment"], [given[k] for k in ("slots", "strict", "agents")]
        held.trained = [(v, v.trainable) for v in self.weights]
        if not isinstance(alignment, AlignmentPolicy):
            held.games = (Game(self, alignment, *read),)
            return
        held.games = tuple(games_of_arms(self, alignment, *read))
        images = getattr(alignment, "held", None)
        if images is not None:
            images.check(self, by_accuracy=getattr(alignment, "reward", None) == "accuracy")

    @classmethod
    def from_model(cls, model: keras.Model, **kwargs: Any) -> "GameModel":
        """The game of a Functional or built Sequential model, whose layers it shares."""
        functional = functional_of(model)
        return cls(functional.input, functional.output, **kwargs)

    def settings(self) -> dict:
        """The arguments the game was read with, as `GameModel` takes them."""
        given = self._held.settings.items()
        return {k: dict(v) if isinstance(v, Mapping) else v for k, v in given}

    @property
    def game(self) -> Game:
        """The game; `model.game.summary()` prints it, `model.solve(x, y)` gives its gains.

        Where a policy chooses the alignment it is that of the first arm.
        """
        return self._held.games[0]

    @property
    def games(self) -> tuple[Game, ...]:
        """The games of all arms of an alignment policy; the one game without."""
        return self._held.games

    @property
    def alignment_policy(self) -> AlignmentPolicy | None:
        """The policy that chooses between alignments, None where there is one alignment."""
        alignment = self._held.settings["alignment"]
        return alignment if isinstance(alignment, AlignmentPolicy) else None

    def recording(self, first: Any) -> Any:
        """Within this context a call of the model runs a `FirstPass`."""
        return surface.replaced(self._held, "active", first)

    def call(self, inputs: Any, training: Any = None, mask: Any = None, **kwargs: Any) -> Any:
        first = self._held.active
        if first is None:
            return super().call(inputs, training=training, mask=mask, **kwargs)
        flat = first.run(surface.standardize_inputs(self, inputs, mask), bool(training))
        return surface.pack_outputs(self, flat)

    def compile(self, optimizer: Any = None, loss: Any = None, **kwargs: Any) -> None:
        """As `keras.Model.compile`, with a `DGNOpt`.

        `jit_compile="auto"`, the default, stands for False: XLA's factorisations on a CPU take
        seconds.

        Raises:
            ValueError: for another optimizer, several replicas, mixed precision, several outputs, a
                loss without a second derivative unless `terminal="gauss_newton"`, a rank above
                the size of the output, exact curvature with several arms, outputs and states that
                do not have the samples first, and, in a closed loop, a layer whose second pass
                would not repeat the first.
        """
        optimizer = DGNOpt() if optimizer is None else optimizer
        if not isinstance(optimizer, DGNOpt):
            raise ValueError(
                "A GameModel is trained by a `dgn_tf.DGNOpt`. "
                f"Received: optimizer={optimizer!r}. Compile a plain `keras.Model` for another one."
            )
        checks.one_precision(self)
        checks.one_replica()
        if self.alignment_policy is not None or self._held.fresh != self._look():
            self._read_game()
        self._held.fresh = None
        rules = optimizer.rules
        self.unseen = check_loss(loss, self.game, rules)
        if kwargs.get("jit_compile", "auto") == "auto":
            kwargs["jit_compile"] = False
        if kwargs["jit_compile"] and getattr(optimizer.curvature, "name", "") == "ekfac":
            warnings.warn(
                "XLA's eigendecomposition takes seconds on a CPU: EKFAC is faster with "
                "jit_compile=False there.",
                stacklevel=2,
            )
        plain = rules.structure.is_gradient and not rules.exact and rules.curvature.elementwise
        if type(self).compute_loss is not keras.Model.compute_loss and not plain:
            raise ValueError(
                "The terminal cost of a game is the compiled loss alone. Received: "
                f"{type(self).__name__} with a `compute_loss` of its own. Write it as a loss, or "
                "as a layer's `add_loss`."
            )
        if rules.exact and len(self.games) > 1:
            raise ValueError(
                "Exact curvature needs one alignment, whose Jacobians make the dense game. "
                f'Received: curvature="exact" with {len(self.games)} arms.'
            )
        checks.samples_first(self.games, at_cuts=rules.closed_loop or rules.exact)
        if rules.closed_loop or rules.adaptive_damping:
            checks.repeatable(self.games, to_the_end=rules.adaptive_damping)
        optimizer.bind(self.game, self.alignment_policy, self._held.settings["agents_form"])
        super().compile(optimizer=optimizer, loss=loss, **kwargs)
        optimizer.build(self.trainable_variables)

    @property
    def expected_batch(self) -> int:
        """Samples in a batch, as last seen; whether per-sample tangents fit depends on it."""
        return self._held.batch

    @property
    def unseen(self) -> str:
        """What the game does not see of its loss, as far as is known; empty for nothing."""
        return self._held.unseen

    @unseen.setter
    def unseen(self, sentence: str) -> None:
        if sentence and sentence != self._held.unseen:
            warnings.warn(sentence, stacklevel=2)
        self._held.unseen = sentence

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """As `keras.Model.summary`, and below it the game's."""
        super().summary(*args, **kwargs)
        self.game.summary(print_fn=kwargs.get("print_fn") or print)

    def fit(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """As `keras.Model.fit`."""
        self._expect(x, batch_size or 32)
        return super().fit(x, y, batch_size, *args, **kwargs)

    def train_on_batch(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.train_on_batch`."""
        self._expect(x, None)
        return super().train_on_batch(x, *args, **kwargs)

    def _expect(self, x: Any, batch_size: int | None) -> None:
        """Notes the batch size; a larger one that may change which kernels fit is traced anew."""
        size, before = surface.batch_size(x, batch_size), self._held.batch
        if size is None or size == before:
            return
        outputs = math.prod(n or 1 for n in self.game.graph.shapes[self.game.graph.outputs[0]][1:])
        weights = [math.prod(p.layout.shape) for p in self.game.players if p.positions != 1]
        if size > before and size * (outputs + 1) * max(weights, default=0) > TANGENT_BUDGET:
            self.train_function = None
        if size > before or self.train_function is None:
            self._held.batch = size

    def make_train_function(self, force: bool = False) -> None:
        """As Keras's; a step raises a ValueError if layers were frozen, thawed or quantised since
        `compile`, be it by a callback."""
        before = self.train_function
        super().make_train_function(force)
        if self.train_function is not before:
            self.train_function = partial(self._step, self.train_function)

    def _step(self, plain: Any, batches: Any) -> Any:
        """Keras's step, or the steps it runs at once, on the weights of the game."""
        now = {id(v) for v in self.trainable_variables}
        changed = [v.path for v, was in self._held.trained if (id(v) in now) != was]
        if changed:
            raise ValueError(
                "The trained weights are those of the game at `compile`. "
                f"Received: {changed}, frozen, thawed or replaced since. Call `compile` again, "
                "with a new optimizer, outside of `fit`."
            )
        return plain(batches)

    def solve(self, x: Any, y: Any, sample_weight: Any = None, game: Game | None = None) -> Any:
        """The gains of a batch, without applying them or moving any state.

        Args:
            x, y, sample_weight: a batch, as for `train_on_batch`.
            game: one of `games`, where a policy chooses between alignments; the first if not given.

        Returns:
            A `Solution` s: `s[t][n]` has `.k` (weights,) and, with exact curvature, `.K` (weights,
            state), `.V_x` and `.V_xx`; `s[t]` has `.W_x` and `.W_xx`; `s.loss` is the loss with ℓ.

        Raises:
            ValueError: before the model was compiled.
        """
        if not isinstance(getattr(self, "optimizer", None), DGNOpt):
            raise ValueError("`solve` needs a compiled model. Call `model.compile` first.")
        return solve_batch(self, (x, y, sample_weight), self.game if game is None else game)

    def train_step(self, data: Any) -> dict:
        """Observes the batch, solves the game and moves the players; returns the logs."""
        return train_step(self, data)

    def compile_from_config(self, config: dict) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))

    def get_config(self) -> dict:
        plain = keras.Model(*surface.structure(self), name=self.name)
        config = {"functional": plain.get_config(), "trainable": self.trainable, **self.settings()}
        if self.alignment_policy is not None:
            config["alignment"] = keras.saving.serialize_keras_object(self.alignment_policy)
        return config

    @classmethod
    def from_config(cls, config: dict, custom_objects: Any = None) -> "GameModel":
        config = dict(config)
        if "class_name" in config["alignment"]:
            config["alignment"] = keras.saving.deserialize_keras_object(
                config["alignment"], custom_objects=custom_objects
            )
        plain = keras.Model.from_config(config.pop("functional"), custom_objects=custom_objects)
        return cls(plain.input, plain.output, name=plain.name, **config)
