"""Whether controls are of the size that networks learn in."""

from typing import Any

import numpy as np

from fictitious_play.networks.units import control_units
from fictitious_play.solver.evaluation import policy_controls
from fictitious_play.solver.samples import Sample

#: Controls of more units than that, or of a smaller share of one, are learned slowly or roughly;
#: small ones after so many training steps, since networks begin at zero.
_FAR, _STEPS = 30.0, 200


def size_notice(policy: Any, sample: Sample, steps: int) -> tuple[str, ...]:
    """A sentence where a player's controls without bounds are of another size than the unit that
    they were learned in: the way out of a solve that has not converged.

    Args:
        policy: the profile.
        sample: paths to measure its controls on.
        steps: number of training steps it has had.
    """
    game = policy.game
    if game.control_bounds is not None:
        return ()
    controls = policy_controls(policy, sample).astype(np.float64)
    size = np.sqrt(np.mean(controls**2, axis=(0, 1)))
    unit = control_units(game, policy.control_unit)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.abs(np.log(size / unit))
    far = np.where(np.isfinite(far) & ~((size < unit) & (steps < _STEPS)), far, 0.0)
    worst = np.unravel_index(np.argmax(far), far.shape)
    if far[worst] <= np.log(_FAR):
        return ()
    return (
        f"The controls of player {worst[0]} are of size {size[worst]:.2g}, and networks learn in "
        f"units of {unit[worst]:g}. If they should be so large, tell the game's "
        f"constructor: control_unit={10.0 ** np.rint(np.log10(size[worst])):g}, or one number per "
        "player",
    )
