"""The one function of belief weights, against the rules written as recursions."""

import numpy as np
import pytest

from fictitious_play.beliefs import RULES, belief_shares


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("damping", [0.3, 1.0])
def test_shares_move_by_the_newest_profile_alone(rule, damping):
    shares = belief_shares(rule, 0, damping)
    np.testing.assert_array_equal(shares, [1.0])
    for stage in range(1, 7):
        newest = {"average": 1.0 / (stage + 1), "damped": damping}.get(rule, 1.0)
        shares = np.append((1.0 - newest) * shares, newest)
        found = belief_shares(rule, stage, damping)
        np.testing.assert_allclose(found, shares, rtol=1e-14)
        assert found.sum() == pytest.approx(1.0, rel=1e-14)


def test_unknown_rules_and_stages():
    with pytest.raises(ValueError, match="must be one of"):
        belief_shares("first", 1)
    with pytest.raises(ValueError, match="`stage` must be at least 0"):
        belief_shares("last", -1)
