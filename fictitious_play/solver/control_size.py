"""Whether controls are of the size that networks learn in."""

from typing import Any

import numpy as np

from fictitious_play.solver.evaluation import policy_controls
from fictitious_play.solver.samples import Sample

#: Controls of more units than that, or of a smaller share of one, are learned slowly or roughly;
#: small ones after so many training steps, since networks begin at zero.
_FAR, _STEPS = 30.0, 200


def size_notice(policy: Any, sample: Sample, steps: int) -> tuple[str, ...]:
    """A sentence where a player's controls without bounds are of another size than the game's
    `control_unit`: the way out of a solve that has not converged.

    Args:
        policy: the profile.
        sample: paths to measure its controls on.
        steps: number of training steps it has had.
    """
    game = policy.game
    if game.control_bounds is not None:
        return ()
    controls = policy_controls(policy, sample).astype(np.float64)
    size = np.sqrt(np.mean(controls**2, axis=(0, 1, 3)))
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.abs(np.log(size / game.control_unit))
    small = size < game.control_unit
    far = np.where(np.isfinite(far) & ~(small & (steps < _STEPS)), far, 0.0)
    player = int(np.argmax(far))
    if far[player] <= np.log(_FAR):
        return ()
    return (
        f"The controls of player {player} are of size {size[player]:.2g}, and networks learn in "
        f"units of {game.control_unit[player]:g}. If they should be so large, tell the game's "
        f"constructor: control_unit={10.0 ** np.rint(np.log10(size[player])):g}, or one number per "
        "player",
    )
