"""Names of before are taken, with a warning that says the new one."""

import numpy as np
import pytest

import fictitious_play as fp
from tests.fictitious_play.cases import symmetric_game


def test_information_is_the_information_structure():
    game = symmetric_game(players=2, steps=2)
    new = fp.lq.nash(game, information_structure="closed_loop")
    with pytest.warns(DeprecationWarning, match="`information` is now `information_structure`"):
        old = fp.lq.nash(game, information="closed_loop")
    np.testing.assert_array_equal(old.gains, new.gains)
    with pytest.warns(DeprecationWarning, match="`information_structure`") as told:
        assert old.information == "closed_loop"
    assert told[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="`information_structure`"):
        solver = fp.DeepFictitiousPlay(game, information="closed_loop")
    assert solver.information_structure == "closed_loop"
    with pytest.raises(TypeError, match="unexpected keyword argument 'information'"):
        fp.lq.nash(game, information="open_loop", information_structure="open_loop")
