"""A stage after which costs have exploded is taken back, told, and no obstacle to the next."""

import keras
import numpy as np
import pytest

import fictitious_play as fp
from fictitious_play.solver.evaluation import Cost
from fictitious_play.solver.play import Play
from fictitious_play.solver.record import StageRecord
from fictitious_play.solver.stages import _exploded
from tests.fictitious_play.cases import symmetric_game

QUICK = {"steps_per_stage": 4, "validation_paths": 64, "progress": False, "regret_every": None}


@pytest.fixture(scope="module")
def spoiled():
    """The second player's controls are 1e6 too large at the end of stage 2."""
    steps = Play._steps

    def taken(play, trainer, stage, *arguments):
        costs = steps(play, trainer, stage, *arguments)
        if stage == 2:
            bias = trainer.model.policy.output_bias
            bias.assign(bias + 1e6 * np.arange(2)[-bias.shape[1] :, None])
        return costs

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Play, "_steps", taken)
        yield


class Taken(keras.callbacks.Callback):
    """The number of training steps that the optimizer has counted after every stage."""

    def on_train_begin(self, logs=None):
        self.steps = []

    def on_epoch_end(self, epoch, logs=None):
        self.steps.append(int(self.model.optimizer.iterations))


def solved(belief, structure, stages=3, folder=None):
    game = symmetric_game(players=2, steps=2)
    settings = {"belief": belief, "information_structure": structure, "final_rate_ratio": 1.0}
    solver = fp.DeepFictitiousPlay(game, hidden=(4,), batch_normalization=False, **settings)
    taken = Taken()
    result = solver.solve(stages=stages, folder=folder, callbacks=[taken], **QUICK)
    # The learning rate falls in spite of what is taken back.
    assert taken.steps == list(range(4, 4 * stages + 1, 4))[-len(taken.steps) :]
    return result


@pytest.fixture(scope="module")
def whole(spoiled):
    """A solve of three stages, the second one taken back."""
    with pytest.warns(RuntimeWarning, match="Stage 2 took the cost of player . to"):
        return solved("last", "open_loop")


def check(result):
    first, second, third = result.history
    np.testing.assert_array_equal(second.cost, first.cost)
    assert second.taken_back.max() > 1e9
    assert np.isnan(second.change)
    assert third.taken_back is None
    # Nobody was told of the controls that were taken back.
    assert np.all(np.abs(third.loss) < 10.0 * np.abs(first.loss[0]))
    assert np.all(np.abs(third.cost) < 10.0 * np.abs(first.cost))
    assert "Taken back, since costs exploded: stage 2." in result.summary()


def test_a_stage_that_explodes_is_taken_back(whole):
    check(whole)


@pytest.mark.parametrize(
    ("belief", "structure"), [("sequential", "open_loop"), ("average", "closed_loop")]
)
def test_so_it_is_whatever_players_believe(belief, structure, spoiled):
    with pytest.warns(RuntimeWarning, match="Stage 2 took"):
        check(solved(belief, structure))


def test_a_solve_goes_on_from_a_stage_that_was_taken_back(whole, tmp_path):
    with pytest.warns(RuntimeWarning, match="Stage 2 took"):
        short = solved("last", "open_loop", 2, tmp_path)
    assert not short.settled
    resumed = solved("last", "open_loop", 3, tmp_path)
    np.testing.assert_array_equal(resumed.cost, whole.cost)
    np.testing.assert_array_equal(resumed.history[1].taken_back, whole.history[1].taken_back)
    assert resumed.message == whole.message


def record(*cost, error=0.0):
    error = np.full(len(cost), error)
    return StageRecord(1, np.array(cost), error, np.nan, np.zeros(1), 0.1, 0.0, 0.0)


def measured(*cost, non_finite=(0, 0)):
    nothing = np.zeros(2)
    return Cost(np.array(cost), nothing, nothing, np.array(non_finite), 64)


def test_what_counts_as_an_explosion():
    usual = [record(50.0, 0.0), record(-1.0, 0.1), record(-1.1, 0.2)]
    assert _exploded([], measured(1e20, 0.0)).tolist() == [False, False]
    # Beside the cost of the stage before, and the usual size of the largest of all.
    assert _exploded(usual, measured(900.0, -1e20)).tolist() == [False, False]
    assert _exploded(usual, measured(1200.0, 1200.0)).tolist() == [True, True]
    # What a sample may make of a game of value zero is none.
    noisy = [record(1e-4, -1e-4, error=0.1)]
    assert _exploded(noisy, measured(5.0, -5.0)).tolist() == [False, False]
    # A cost that is not finite here and there is said by its own reason.
    rare, half = (
        measured(np.nan, 0.2, non_finite=(32, 0)),
        measured(np.nan, 0.2, non_finite=(33, 0)),
    )
    assert not _exploded(usual, rare).any()
    assert _exploded(usual, half).tolist() == [True, False]
    assert not _exploded([record(np.nan, 1.0)], half).any()
