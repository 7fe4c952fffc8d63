"""Games do not change once they are built."""

import abc
import collections
import copy
import functools
import inspect
import json
import pickle

import keras
import numpy as np
import pytest

import fictitious_play as fp
from tests.fictitious_play.cases import asymmetric_game


class Own(fp.Game):
    """Sets parameters before and after the base class's constructor, and computes one later."""

    def __init__(self, weights, table):
        self.before = 1.0
        super().__init__(2, 1.0, 3, initial_mean=[1.0, 2.0])
        self.weights = weights
        self.table = table
        self.before = 2.0

    @functools.cached_property
    def total(self):
        return float(np.sum(self.weights))


GAMES = [
    asymmetric_game(), fp.FlockingGame(2), fp.PortfolioGame(2), fp.convoy_game(2),
    Own(np.ones(2), {"a": [np.ones(2)]}),
]  # fmt: skip


@pytest.mark.parametrize("game", GAMES, ids=lambda game: type(game).__name__)
def test_no_attribute_can_be_set_or_deleted_and_no_array_written(game):
    for name, value in list(vars(game).items()):
        with pytest.raises(AttributeError, match=rf"`{name}` of a {type(game).__name__}.*another"):
            setattr(game, name, value)
        with pytest.raises(AttributeError, match="must stay as it was built"):
            delattr(game, name)
        if isinstance(value, np.ndarray):
            with pytest.raises(ValueError, match="read-only"):
                value[...] = 0.0
    with pytest.raises(AttributeError, match="`brand_new`"):
        game.brand_new = 1


def test_what_is_computed_once_cannot_be_written_either():
    game = fp.convoy_game(2)
    assert game._B is game._B
    for array in (game._B, game._views, asymmetric_game()._diffusion):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0


def test_what_was_given_may_change_without_changing_the_game():
    weights, table = np.ones(2), {"a": [np.ones(2)]}
    game = Own(weights, table)
    weights[0], table["a"][0][0], table["b"] = 5.0, 5.0, 0
    assert game.weights[0] == 1.0
    assert game.table["a"][0][0] == 1.0
    assert list(game.table) == ["a"]
    assert game.total == 2.0
    assert game.before == 2.0


#: All that changes a list or a dictionary, with arguments that it takes.
CHANGES = {
    "__delitem__": [0], "__iadd__": [[1]], "__imul__": [2], "__ior__": [{"y": 1}],
    "__setitem__": [0, 1], "append": [1], "clear": [], "extend": [[1]], "insert": [0, 1],
    "pop": [0], "popitem": [], "remove": [1], "reverse": [], "setdefault": ["y", 1], "sort": [],
    "update": [{"y": 1}],
}  # fmt: skip


@pytest.mark.parametrize("again", [lambda game: game, copy.deepcopy, copy.copy])
def test_no_list_or_dictionary_in_a_game_can_be_changed(again):
    """All that changes a list, a dictionary or a set raises, however deep and in copies too; what
    only reads them works as before, indexing of arrays, JSON and Keras among it."""
    pair = collections.namedtuple("pair", "rates names")
    table = {"deep": ([1.0, {"x": [2.0]}], pair([3.0], {"a"})), "order": [2, 0, 1]}
    game = again(Own([1, 0], table))
    assert game.table == {**table, "deep": (table["deep"][0], ([3.0], frozenset("a")))}
    held, rates = [game.weights, game.table["deep"][0][1]["x"]], game.table["deep"][1].rates
    for container in (*held, rates, game.table, game.table["deep"][0][1]):
        kind, before = (dict if isinstance(container, dict) else list), repr(container)
        assert isinstance(container, kind)
        for name, arguments in CHANGES.items():
            if hasattr(kind, name):
                with pytest.raises(TypeError, match=r"must stay as it was built.*constructor"):
                    getattr(container, name)(*arguments)
        assert repr(container) == before
        changeable = container.copy()
        assert type(changeable) is kind
        assert kind(container) == changeable
    assert json.loads(json.dumps(game.weights)) == [1, 0]
    np.testing.assert_array_equal(np.arange(3.0)[game.table["order"]], [2.0, 0.0, 1.0])
    np.testing.assert_array_equal(np.eye(2)[game.weights], np.eye(2)[::-1])
    tensor = keras.ops.convert_to_tensor(game.weights)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(tensor), [1, 0])
    assert keras.saving.serialize_keras_object(game.weights) == [1, 0]


@pytest.mark.parametrize("game", GAMES, ids=lambda game: type(game).__name__)
@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda game: pickle.loads(pickle.dumps(game))],
    ids=["copy", "deepcopy", "pickle"],
)  # fmt: skip
def test_copies_are_as_frozen(game, again):
    twin = again(game)
    assert twin is not game
    assert twin.get_config() == game.get_config()
    np.testing.assert_array_equal(twin.initial_mean, game.initial_mean)
    assert not twin.initial_mean.flags.writeable
    with pytest.raises(AttributeError, match="`steps`"):
        twin.steps = 7


def test_a_game_made_of_a_configuration_is_frozen_and_mixes_with_abstract_classes():
    saved = keras.saving.serialize_keras_object(asymmetric_game())
    with pytest.raises(AttributeError, match="`rho`"):
        keras.saving.deserialize_keras_object(saved).rho = 0.0
    config = asymmetric_game().get_config()
    assert fp.InterBankGame.from_config({**config, "rho": 0.5}).rho == 0.5

    assert list(inspect.signature(Own).parameters) == ["weights", "table"]
    assert fp.ring_game(3, steps=4).steps == 4

    class Mixed(fp.Game, abc.ABC):
        pass

    assert Mixed(2, 1.0, 3).players == 2
