"""What the players expect of each other: controls of earlier stages, weighted."""

from typing import Any

import numpy as np
from keras import ops

from fictitious_play.beliefs import BeliefRule, belief_shares, check_rule


class Belief:
    """A belief Σ_k w_k α^k over α^0 and the profiles of earlier stages: which ones, and their w_k.

    - "last" and "sequential": all weight on the last profile that was announced;
    - "average": the mean of α^0, …, α^k (divisor k + 1);
    - "damped": α ← (1 - ω) α + ω α^k with ω = `damping`;
    - a function of k that gives w_0, …, w_k. A profile whose weight was zero is forgotten.

    What α^k is, and where the sum is evaluated, is the subclass's: along the noise in open-loop
    play, along the deviated path in closed-loop play.

    Args:
        players: number of players.
        rule: one of the above.
        damping: ω.

    Attributes:
        profiles: numpy weights of the profiles that still count, oldest first; under "last" and
            "sequential" an empty list stands for the one that the play holds itself.
        stages: the stages they were announced in.
        shares: the weights w_k of α^0 and of every profile.
        moved: (players,), who has announced anything yet; the others are believed to play α^0.
    """

    def __init__(self, players: int, rule: str | BeliefRule = "last", damping: float = 0.5):
        self.rule = check_rule(rule)
        self.damping = damping
        self.moved = np.zeros(players, bool)
        self.profiles: list[list[np.ndarray]] = []
        self.stages: list[int] = []
        self.shares = np.ones(1)

    def by_step(self, chunk: Any) -> dict:
        """What the training models need of the belief in the steps of a `Chunk`, on the device:
        arrays with the steps first."""
        raise NotImplementedError

    def shares_of_players(self) -> np.ndarray:
        """The weights of α^0 and of every profile, player by player:
        (1 + profiles, players)."""
        shares = self.shares[:, None] * self.moved
        shares[0, ~self.moved] = 1.0
        return shares

    def announce(self, stage: int, policy: Any, player: int | None = None) -> None:
        """The players tell each other their controls: all at the end of a stage, or one of them
        at the end of her turn."""
        self.moved[slice(None) if player is None else player] = True
        if self.rule in ("last", "sequential"):
            self.shares, self.stages, self.profiles = np.array([0.0, 1.0]), [stage], [[]]
            self._take(policy)
            return
        profile = [np.array(ops.convert_to_numpy(value)) for value in policy.profile]
        shares = belief_shares(self.rule, stage, self.damping)
        profile_of = dict(zip([*self.stages, stage], [*self.profiles, profile], strict=True))
        # With ω = 1 nothing earlier counts: "damped" is then "last".
        self.stages = [number for number in profile_of if shares[number]]
        self.profiles = [profile_of[number] for number in self.stages]
        self.shares = shares[[0, *self.stages]]
        if abs(self.shares.sum() - 1.0) > 1e-6:
            raise ValueError(
                "`belief` must not give weight to a profile that had none after an earlier stage, "
                f"since it is forgotten then. Received: {shares.tolist()} after stage {stage}"
            )
        self._hold()

    def restore(
        self, stage: int, policy: Any, profiles: dict[int, list[np.ndarray]], shares: np.ndarray
    ) -> None:
        """The belief after `stage`, from saved profiles by stage and their shares."""
        if self.rule in ("last", "sequential"):
            self.announce(stage, policy)
            return
        self.moved[:] = True
        self.stages = sorted(profiles)
        self.profiles = [profiles[number] for number in self.stages]
        self.shares = shares
        self._hold()

    def _take(self, policy: Any) -> None:
        """Holds the weights of a policy as the only profile."""
        raise NotImplementedError

    def _hold(self) -> None:
        """Holds `profiles` and `shares`, which have just changed."""
