"""How a solve ends, and what it says about it: reasons, interruption, callbacks, summary."""

import functools
import json

import keras
import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from fictitious_play.solver.checkpoint import SolveFolder
from fictitious_play.solver.evaluation import CostMeter
from fictitious_play.solver.play import Play
from fictitious_play.solver.regret import RegretMeter
from fictitious_play.solver.samples import validation_sample
from fictitious_play.solver.scale import cost_scale
from tests.fictitious_play.cases import Sound, symmetric_game

QUICK = {"stages": 3, "steps_per_stage": 3, "validation_paths": 64, "progress": False,
         "regret_every": None}  # fmt: skip


def solver(**changes):
    game = symmetric_game(players=2, steps=2)
    return fp.DeepFictitiousPlay(game, hidden=(4,), batch_normalization=False, **changes)


def test_reasons_are_strings():
    assert fp.StopReason.ALL_STAGES == "max_stages"
    assert json.loads(json.dumps({"reason": fp.StopReason.INTERRUPTED})) == {
        "reason": "interrupted"
    }
    assert f"{fp.StopReason.NON_FINITE}" == "non_finite"


def test_the_learning_rate_of_a_stage_is_that_of_its_last_step():
    result = solver(learning_rate=0.1, final_rate_ratio=0.5).solve(**QUICK)
    schedule = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=9, alpha=0.5)
    expected = [float(ops.convert_to_numpy(schedule(step))) for step in (2, 5, 8)]
    found = [record.learning_rate for record in result.history]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


class _Interrupt(fp.SolveCallback):
    """Raises in the second stage, at one of three moments."""

    def __init__(self, moment, monkeypatch):
        self.moment = moment
        if moment == "training":
            train = Play._train

            def interrupted(play, trainer, stage, first, count, steps):
                if (stage, first) == (2, 1):
                    raise KeyboardInterrupt
                return train(play, trainer, stage, first, count, steps)

            monkeypatch.setattr("fictitious_play.solver.play.CHUNK_SECONDS", 0.0)
            monkeypatch.setattr(Play, "_train", interrupted)

    def on_stage_begin(self, stage, last):
        if self.moment == "before" and stage == 2:
            raise KeyboardInterrupt

    def on_stage_end(self, record):
        if self.moment == "after" and record.stage == 2:
            raise KeyboardInterrupt


@functools.cache
def uninterrupted(stages):
    """A solve of so many stages whose learning rate does not know how many there are."""
    return solver(final_rate_ratio=1.0).solve(**{**QUICK, "stages": stages})


@pytest.mark.parametrize(("moment", "kept"), [("before", 1), ("training", 1), ("after", 2)])
def test_an_interrupted_solve_gives_the_last_good_stage(moment, kept, monkeypatch, tmp_path):
    hook = _Interrupt(moment, monkeypatch)
    folder = tmp_path / "solve"
    result = solver(final_rate_ratio=1.0).solve(
        **QUICK, callbacks=[hook], on_interrupt="result", folder=folder
    )
    assert result.reason == fp.StopReason.INTERRUPTED
    assert not result.converged
    assert [record.stage for record in result.history] == list(range(1, kept + 1))
    assert f"those after stage {kept}" in result.message
    # The networks are those after the last good stage, and the folder goes on from there.
    monkeypatch.undo()
    resumed = solver(final_rate_ratio=1.0).solve(**QUICK, folder=folder)
    np.testing.assert_array_equal(resumed.cost, uninterrupted(QUICK["stages"]).cost)
    np.testing.assert_array_equal(result.cost, uninterrupted(kept).cost)
    assert len(uninterrupted(kept).history) == kept


def interrupting(monkeypatch, *places):
    """Raises at the next call of each of these, one after another."""
    left = list(places)

    def interrupted(place, original):
        def call(*arguments, **named):
            if left and left[0] == place:
                left.pop(0)
                raise KeyboardInterrupt
            return original(*arguments, **named)

        return call

    for kind, name in dict.fromkeys(places):
        monkeypatch.setattr(kind, name, interrupted((kind, name), getattr(kind, name)))
    return left


TRAINING, RESTORED, SAVED = (Play, "_train"), (Play, "restore"), (SolveFolder, "save")
MEASURED, REGRET = (CostMeter, "__call__"), (RegretMeter, "__call__")


def test_ctrl_c_in_the_first_stage_gives_the_untrained_networks(monkeypatch, tmp_path):
    interrupting(monkeypatch, TRAINING)
    result = solver(final_rate_ratio=1.0).solve(
        **QUICK, on_interrupt="result", folder=tmp_path / "solve"
    )
    assert result.reason == fp.StopReason.INTERRUPTED
    assert result.history == ()
    assert result.to_records() == []
    assert "Interrupted in stage 1; the networks are those that nobody has trained" in (
        result.summary()
    )
    nobody = solver(learning_rate=1e-30).solve(**QUICK)
    np.testing.assert_allclose(result.cost, nobody.cost, rtol=1e-6)
    result.save(tmp_path / "result.npz")
    np.testing.assert_array_equal(fp.load(tmp_path / "result.npz").cost, result.cost)
    result.plot()
    monkeypatch.undo()
    resumed = solver(final_rate_ratio=1.0).solve(**QUICK, folder=tmp_path / "solve")
    np.testing.assert_array_equal(resumed.cost, uninterrupted(QUICK["stages"]).cost)


@pytest.mark.parametrize(
    ("places", "kept", "paths", "estimated"),
    [
        ((TRAINING, RESTORED), 0, 64, True),  # while the networks are put back
        ((SAVED, SAVED, SAVED), 1, 64, True),  # while the last good stage is saved
        ((TRAINING, MEASURED), 0, 32, False),
        ((TRAINING, REGRET), 0, 64, False),
        ((TRAINING, MEASURED, MEASURED), 0, 32, False),
    ],
)
def test_ctrl_c_again_gives_what_there_is(places, kept, paths, estimated, monkeypatch, tmp_path):
    left = interrupting(monkeypatch, *places)
    settings = {**QUICK, "regret_every": 5, "stage_paths": 32, "folder": tmp_path}
    result = solver(final_rate_ratio=1.0).solve(**settings, on_interrupt="result")
    assert not left
    assert result.reason == fp.StopReason.INTERRUPTED
    assert len(result.history) == kept
    assert (result.regret is not None) == estimated
    assert estimated or not result.converged
    assert ("Interrupted while it was measured" in result.message) != estimated
    monkeypatch.undo()
    whole = CostMeter(
        result.game, validation_sample(result.game, 0, 64, "float32").part(0, paths),
        fp.lq.nash(result.game),
    )  # fmt: skip
    np.testing.assert_array_equal(result.cost, whole(result.policy).mean)
    if kept:
        resumed = solver(final_rate_ratio=1.0).solve(**settings)
        np.testing.assert_array_equal(resumed.cost, uninterrupted(QUICK["stages"]).cost)


def test_ctrl_c_while_a_finished_solve_is_measured(monkeypatch):
    def interrupted(meter, policy, of=CostMeter.__call__):
        if meter.sample.paths == QUICK["validation_paths"]:
            raise KeyboardInterrupt
        return of(meter, policy)

    monkeypatch.setattr(CostMeter, "__call__", interrupted)
    once = {**QUICK, "stages": 1, "stage_paths": 32}
    with pytest.raises(KeyboardInterrupt):
        solver().solve(**once)
    result = solver().solve(**once, on_interrupt="result")
    assert result.reason == fp.StopReason.INTERRUPTED
    assert result.message == "All 1 stages were played. Interrupted while it was measured."
    np.testing.assert_array_equal(result.cost, result.history[0].cost)
    assert not result.converged


def test_ctrl_c_is_raised_unless_a_result_is_asked_for(monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        solver().solve(**QUICK, callbacks=[_Interrupt("before", monkeypatch)])
    with pytest.raises(ValueError, match="`on_interrupt` must be one of 'raise', 'result'"):
        solver().solve(**QUICK, on_interrupt="ignore")


class _Recorder(fp.SolveCallback):
    def __init__(self, last=99):
        self.seen, self.last = [], last

    def on_solve_begin(self, settings):
        self.seen.append(("solve", settings["stages"]))

    def on_stage_begin(self, stage, last):
        self.seen.append(("begin", stage, last and last.stage))

    def on_stage_end(self, record):
        self.seen.append(("end", record.stage))
        self.stop = record.stage >= self.last

    def on_solve_end(self, result):
        self.seen.append(("result", result.reason))


def test_callbacks_see_every_stage_and_may_end_the_solve():
    hook = _Recorder(last=2)
    result = solver().solve(**QUICK, callbacks=[hook])
    assert hook.seen == [
        ("solve", 3), ("begin", 1, None), ("end", 1), ("begin", 2, 1), ("end", 2),
        ("result", "interrupted"),
    ]  # fmt: skip
    assert "callback ended the solve after stage 2" in result.message
    again = solver().solve(**{**QUICK, "stages": 1}, callbacks=[hook])
    assert again.reason == fp.StopReason.ALL_STAGES


def test_callbacks_of_keras_take_a_stage_for_an_epoch():
    logs = []

    class Collect(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, values=None):
            logs.append((epoch, values))
            self.model.stop_training = epoch == 1

    result = solver().solve(**QUICK, callbacks=[Collect()])
    assert [epoch for epoch, _ in logs] == [0, 1]
    assert logs[1][1]["cost"] == pytest.approx(result.history[1].cost.mean())
    assert logs[1][1]["change"] == result.history[1].change
    assert result.reason == fp.StopReason.INTERRUPTED


def test_a_logger_of_keras_writes_the_stages(tmp_path):
    result = solver().solve(**QUICK, callbacks=[keras.callbacks.CSVLogger(tmp_path / "log.csv")])
    table = np.genfromtxt(tmp_path / "log.csv", delimiter=",", names=True)
    np.testing.assert_array_equal(table["epoch"], [0, 1, 2])
    rates = [record.learning_rate for record in result.history]
    np.testing.assert_allclose(table["learning_rate"], rates, rtol=1e-6)


@pytest.mark.parametrize("wrong", [[print], "none", 3, [fp.SolveCallback]])
def test_what_is_no_callback_is_refused(wrong):
    with pytest.raises(TypeError, match="`callbacks` must"):
        solver().solve(**QUICK, callbacks=wrong)


def test_summary_and_records_say_what_happened():
    result = solver().solve(**QUICK)
    text = result.summary()
    assert "max_stages after stage 3" in text
    assert f"{result.cost[1]:.6g}" in text
    records = result.to_records()
    json.dumps(records)
    assert [record["stage"] for record in records] == [1, 2, 3]
    assert records[-1]["loss"] == result.history[-1].loss[-1]


def test_the_scale_of_a_cost():
    cost = np.array([2.0, -2.0, 0.05, 1e-32, np.nan, 0.0])
    spread = np.array([1.0, 1.0, 1.0, 1e-32, 1.0, 3.0])
    scale, kinds = cost_scale(cost, spread)
    np.testing.assert_array_equal(scale, [2.0, 2.0, 1.0, np.nan, np.nan, 3.0])
    assert kinds == ("cost", "cost", "spread", "none", "none", "spread")
    assert cost_scale(1e-20 * cost, 1e-20 * spread)[1] == kinds  # in another unit
    scale, kinds = cost_scale(cost, spread, 5.0)
    assert np.all(scale == 5.0)
    assert set(kinds) == {"given"}
    with pytest.raises(ValueError, match="`scale` must be greater than 0"):
        cost_scale(cost, spread, 0.0)


@keras.saving.register_keras_serializable(package="tests")
class Zero(Sound):
    """A symmetric zero-sum game: its value is 0 whatever both play alike."""

    def __init__(self):
        super().__init__(initial_std=0.3)

    def get_config(self):
        return {}

    def running_cost(self, time, states, controls):
        cost = ops.square(controls[..., 0])
        difference = cost[..., :1] - cost[..., 1:]
        return ops.concatenate([difference, -difference], axis=-1)

    def terminal_cost(self, states):
        return self.running_cost(0.0, states, 2**0.5 * ops.expand_dims(states, -1))


def test_a_game_of_value_zero_settles():
    """Relative to |J| = 0 every change is large for ever."""
    result = fp.DeepFictitiousPlay(Zero(), hidden=(8,), skip=True).solve(
        stages=8, steps_per_stage=20, tolerance=1e-2, validation_paths=512, progress=False
    )
    assert result.reason == fp.StopReason.COSTS_SETTLED
    assert np.all(np.abs(result.cost) < 0.1 * result.cost_spread)
    exact = type("Value", (), {"cost": np.zeros(2)})
    np.testing.assert_allclose(
        result.relative_error(exact), result.cost / result.cost_spread, rtol=1e-12
    )
    np.testing.assert_allclose(result.relative_error(exact, scale=2.0), result.cost / 2.0)


class NaNFarOut(Zero):
    """A cost that is NaN in states that few paths reach."""

    def terminal_cost(self, states):
        return ops.where(states[..., :1] > 1.85, float("nan"), super().terminal_cost(states))


@pytest.mark.filterwarnings("ignore:`NaNFarOut.terminal_cost` must be finite")
def test_paths_without_a_finite_cost_are_counted_and_said():
    """NaN on one path of the validation sample in 256, which no stage sample holds."""
    game = NaNFarOut()
    with pytest.warns(RuntimeWarning, match="The cost of some of 1024 paths is NaN"):
        result = fp.DeepFictitiousPlay(game, hidden=(4,), learning_rate=1e-6, batch_size=2).solve(
            stages=1, steps_per_stage=1, validation_paths=1024, stage_paths=16, progress=False
        )
    assert result.reason == fp.StopReason.NON_FINITE
    assert not result.converged
    assert np.all(result.non_finite == result.non_finite[0])
    assert 0 < result.non_finite[0] < 30
    assert np.all(np.isnan(result.cost))
    assert f"player 0: {result.non_finite[0]}" in result.message
    assert "without a finite cost" in result.summary()
