"""What a solve holds goes when its result goes."""

import gc
import weakref

import keras
import pytest

import fictitious_play as fp
from tests.fictitious_play.cases import symmetric_game


class _Names(keras.callbacks.Callback):
    """Those of all variables of a training model."""

    def on_epoch_end(self, epoch, logs=None):
        model = self.model
        self.found = [each.path for each in (*model.variables, *model.optimizer.variables)]


@pytest.mark.parametrize(
    "structure", [pytest.param("open_loop", marks=pytest.mark.release), "closed_loop"]
)
def test_neither_networks_nor_graphs_outlive_a_result(structure):
    def graphs():
        gc.collect()
        return sum(type(each).__name__ == "FuncGraph" for each in gc.get_objects())

    held, policies, names = [], [], []
    for seed in range(2):
        seen = _Names()
        result = fp.DeepFictitiousPlay(
            symmetric_game(players=2, steps=2),
            hidden=(4,),
            information_structure=structure,
            seed=seed,
        ).solve(1, 1, validation_paths=16, progress=False, regret_every=None, callbacks=[seen])
        names.append(seen.found)
        policies.append(weakref.ref(result.policy))
        del result, seen
        held.append(graphs())
    # The first solve traces the drawing of noise, which every solve of its shape shares.
    assert held[0] == held[1]
    assert [each() for each in policies] == [None, None]
    # TensorFlow keeps something for every new name of a variable.
    assert names[0] == names[1]
