"""A weighted sum of several profiles of feedback controls, evaluated at once."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play.layers.saturation import Saturation
from fictitious_play.networks.feedback_policy import FeedbackPolicy
from fictitious_play.networks.unit_change import changed_weights
from fictitious_play.networks.units import Units


@keras.saving.register_keras_serializable(package="fictitious_play")
class FeedbackMixture(FeedbackPolicy):
    """Σ_k w_k α^k(t, X_t): constant controls α^0(t) and the feedback of several profiles, with a
    weight w_k for every player.

    The profiles' networks lie side by side on the players' axis, (networks, slots · players, …),
    so a layer of all of them is one batched product. All read the state in the units of the newest
    one; the weights of the others are moved so that they stay the functions they are. A slot that
    holds nothing has weight zero.

    Nothing of it is saved with a model that contains it: who fills it keeps the profiles.

    Args:
        game: the `Game`.
        slots: number of profiles that it can hold.
        others: as in `FeedbackPolicy`; the profiles' own form.

    Attributes:
        constant: (steps, players, control_size), α^0.
        constant_share: (players,), its weights.
        shares: (slots, players), the profiles' weights.
    """

    def __init__(self, game: Any, slots: int = 1, **kwargs: Any):
        super().__init__(game, **kwargs)
        self.slots = slots
        self.players = slots * self.game.players

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        game, players = self.game, self.game.players
        self.saturation = Saturation.of(game, copies=self.slots, unit=self.control_unit)
        frozen = {"initializer": "zeros", "trainable": False}
        shape = (game.steps, players, game.control_size)
        self.constant = self.add_weight(shape=shape, name="constant", **frozen)
        self.constant_share = self.add_weight(
            shape=(players,), initializer="ones", trainable=False, name="constant_share"
        )
        self.shares = self.add_weight(shape=(self.slots, players), name="shares", **frozen)

    def hold(self, profiles: Sequence[Sequence], shares: np.ndarray) -> None:
        """Fills the slots.

        Args:
            profiles: `FeedbackPolicy.profile` of every profile, as arrays or variables.
            shares: (1 + profiles, players), the weights of α^0 and of every profile.
        """
        newest = Units(*(ops.convert_to_numpy(each) for each in profiles[-1][-2:]))
        moved = [changed_weights(self, profile, newest) for profile in profiles[:-1]]
        moved.append([ops.convert_to_numpy(each) for each in profiles[-1][:-2]])
        for number, variable in enumerate(self.stacked_weights):
            values = np.array(ops.convert_to_numpy(variable))
            slots = np.split(values, self.slots, axis=1)
            for slot, profile in zip(slots, moved, strict=False):
                slot[...] = profile[number]
            variable.assign(values)
        self.set_units(newest)
        filled = np.zeros(self.shares.shape)
        filled[: len(profiles)] = shares[1:]
        self.constant_share.assign(shares[0])
        self.shares.assign(filled)

    def by_step(self) -> dict[str, Any]:
        return {**super().by_step(), "constant": ops.convert_to_tensor(self.constant)}

    def feedback(self, now: Any, rows: Any, statistics: list | None = None) -> Any:
        """The weighted controls, (players, control_size, batch); arguments as in
        `FeedbackPolicy`."""
        game = self.game
        now = now if isinstance(now, dict) else self.at(now)
        answers = super().feedback(now, rows, statistics)
        answers = ops.reshape(answers, (self.slots, game.players, game.control_size, -1))
        shares = ops.reshape(self.shares, (self.slots, game.players, 1, 1))
        constant = ops.expand_dims(self.constant_share, -1) * now["constant"]
        return ops.sum(shares * answers, axis=0) + ops.expand_dims(constant, -1)

    def save_own_variables(self, store: Any) -> None:
        """Keeps nothing."""

    def load_own_variables(self, store: Any) -> None:
        """Takes nothing."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "slots": self.slots}
