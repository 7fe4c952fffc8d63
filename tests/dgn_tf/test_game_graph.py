"""Reading a Keras graph: fidelity of the forward pass, stages, cuts, slack, and what is refused."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import dgn_tf
from dgn_tf.game import keras_surface
from dgn_tf.game.game import Game
from dgn_tf.game.passes import FirstPass
from tests.seeds import set_seed


def residual(width=4):
    inputs = keras.Input((3,), name="x")
    x1 = keras.layers.Dense(width, activation="tanh", name="D0")(inputs)
    h = keras.layers.Dense(width, activation="tanh", name="D1")(x1)
    a = keras.layers.Dense(width, name="D2a")(h)
    b = keras.layers.Dense(width, use_bias=False, name="D2b")(x1)
    x3 = keras.layers.Activation("tanh")(keras.layers.Add()([a, b]))
    return keras.Model(inputs, keras.layers.Dense(3, name="D3")(x3))


def place(game):
    return {player.name: (player.stage, player.slot, player.slack) for player in game.players}


def test_the_private_keras_surfaces_are_those_of_the_installed_version():
    assert ".".join(keras.__version__.split(".")[:2]) in keras_surface.TESTED_KERAS


def test_the_private_keras_surfaces_are_touched_in_one_file_only():
    """Every `_name` that the package reads off an object other than self is its own."""
    package = Path(dgn_tf.__file__).parent
    for path in package.rglob("*.py"):
        if path.name == "keras_surface.py":
            continue
        text = path.read_text(encoding="utf-8")
        assert "keras.src" not in text, path
        private = set(re.findall(r"\.(_[a-z]\w*)|getattr\([^)]*\"(_[a-z]\w*)\"", text))
        names = {name for pair in private for name in pair if name}
        own = set(re.findall(r"(?:def |self\.|cls\.|^    )(_[a-z]\w*)(?:\(| =|: )", text, re.M))
        assert names <= own, (path, names - own)
        for name in names:
            for base in (keras.Model, keras.optimizers.Optimizer, keras.losses.Loss):
                assert not hasattr(base, name), (path, name)


def test_the_private_keras_surfaces_are_there():
    model = residual()
    flat = keras_surface.standardize_inputs(model, np.zeros((2, 3), "float32"))
    assert [tuple(tensor.shape) for tensor in flat] == [(2, 3)]
    assert keras_surface.pack_outputs(model, ["only"]) == "only"
    inputs, outputs = keras_surface.structure(model)
    same = keras.Model(inputs, outputs)
    np.testing.assert_array_equal(same(np.ones((2, 3))), model(np.ones((2, 3))))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=2)
    settings = keras_surface.loss_arguments(loss)
    assert settings["from_logits"] is True
    assert settings["ignore_class"] == 2
    optimizer = keras.optimizers.SGD(weight_decay=0.1)
    kernel, bias = model.layers[1].kernel, model.layers[1].bias
    optimizer.exclude_from_weight_decay(var_list=[bias])
    optimizer.build([kernel, bias])
    assert keras_surface.uses_weight_decay(optimizer, kernel)
    assert not keras_surface.uses_weight_decay(optimizer, bias)
    assert keras_surface.functional_of(model) is model
    names = [node.operation.name for node in keras_surface.nodes_in_order(model)]
    assert (names[0], names[-1]) == ("D0", "D3")
    chosen = tf.function(lambda yes: keras_surface.cond(yes, lambda: 1, lambda: 2))
    assert [int(chosen(tf.constant(yes))) for yes in (True, False)] == [1, 2]
    operations = chosen.get_concrete_function(tf.constant(True)).graph.get_operations()
    (branch,) = [operation for operation in operations if operation.type.endswith("If")]
    assert not branch.get_attr("_lower_using_switch_merge")


def test_compile_reads_the_game_again_only_where_the_model_has_changed():
    model = dgn_tf.GameModel.from_model(residual())
    read = model.game
    model.compile(dgn_tf.DGNOpt(), "mse")
    assert model.game is read
    model = dgn_tf.GameModel.from_model(residual())
    model.get_layer("D1").trainable = False
    model.compile(dgn_tf.DGNOpt(), "mse")
    assert "D1" not in place(model.game)
    # What it does not look at, such as an attribute of a layer, a second `compile` sees.
    read = model.game
    model.compile(dgn_tf.DGNOpt(), "mse")
    assert model.game is not read


def test_stages_slots_and_slack_of_a_residual_block():
    early, late = Game(residual(), "asap"), Game(residual(), "alap")
    assert place(early) == {
        "D0": (0, 0, 0), "D1": (1, 0, 0), "D2a": (2, 0, 0), "D2b": (1, 1, 1), "D3": (3, 0, 0),
    }  # fmt: skip
    assert place(late)["D2b"] == (2, 1, 1)
    assert place(Game(residual(), {"D2b": 2})) == place(late)
    assert early.horizon == late.horizon == 4
    assert [stage.index for stage in early.stages] == [0, 1, 2, 3]


def test_a_cut_holds_what_is_alive_newest_first():
    game = Game(residual(), "alap")
    made_by = {key: call.name for call in game.graph.calls for key in call.outputs}
    names = [[made_by.get(key, "input") for key in stage.cut] for stage in game.stages]
    assert names[:3] == [["input"], ["D0"], ["D1", "D0"]]
    assert len(names[3]) == 1
    assert game.graph.shapes[game.stages[2].cut[1]] == (None, 4)


def test_slots_follow_the_layers_unless_given():
    swapped = Game(residual(), "alap", slots={"D2b": 0, "D2a": 1})
    assert place(swapped)["D2b"][1] == 0
    assert [player.name for player in swapped.stages[2].players] == ["D2b", "D2a"]
    with pytest.raises(ValueError, match="different non-negative"):
        Game(residual(), "alap", slots={"D2b": 0, "D2a": 0})
    with pytest.raises(ValueError, match=r"integers\. Received: \[True\]"):
        Game(residual(), "alap", slots={"D2b": True})
    with pytest.raises(ValueError, match="name players"):
        Game(residual(), slots={"nobody": 0})


@pytest.mark.parametrize(
    ("alignment", "error", "message"),
    [
        ({"D2b": 0}, ValueError, "slack, 1 to 2"),
        ({"D2b": 3}, ValueError, "slack, 1 to 2"),
        ({"D2b": True}, ValueError, "an integer within its slack"),
        ({"nobody": 1}, ValueError, "name players"),
        ("early", ValueError, '"asap", "alap"'),
        (3, TypeError, "string or a dictionary"),
    ],
)
def test_alignments_outside_the_slack_are_refused(alignment, error, message):
    with pytest.raises(error, match=message):
        Game(residual(), alignment)


def test_models_without_a_game_are_refused():
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    inputs = keras.Input((4,))
    frozen = keras.Sequential([inputs, keras.layers.Dense(2, trainable=False)])
    lora = keras.layers.Dense(2, name="adapted")
    adapted = keras.Model(inputs, lora(inputs))
    lora.enable_lora(1)
    grouped = keras.Sequential(
        [keras.Input((8, 8, 4)), keras.layers.Conv2D(4, 3, groups=2, name="split"),
         keras.layers.Flatten(), keras.layers.Dense(2)]
    )  # fmt: skip
    for model, message in [
        (Subclassed(), "Subclassed without a graph"),
        (keras.Sequential([keras.layers.Dense(2)]), "without a graph"),
        (frozen, "at least one trainable"),
        (adapted, "LoRA layer 'adapted'"),
    ]:
        with pytest.raises(ValueError, match=message):
            Game(model)
    with pytest.raises(TypeError, match="Keras model"):
        Game("resnet")
    with pytest.raises(ValueError, match=r"'split'.*grouped"):
        Game(grouped, strict=True)
    assert [b.name for b in Game(grouped).bystanders] == ["split"]
    assert "(split)" in Game(grouped).summary("kfac", print_fn=None)


def test_nested_and_shared_layers():
    inner_in = keras.Input((4,))
    shared = keras.layers.Dense(4, activation="tanh", name="shared")
    inner = keras.Model(inner_in, shared(shared(inner_in)), name="inner")
    inputs = keras.Input((4,))
    outer = keras.Model(inputs, keras.layers.Dense(2, name="head")(inner(inputs)))
    game = Game(outer)
    assert [(p.name, len(p.call_indices)) for p in game.players] == [("shared", 2), ("head", 1)]
    x = tf.constant(np.random.default_rng(0).normal(size=(3, 4)), tf.float32)
    np.testing.assert_array_equal(FirstPass(game).run([x], False)[0], outer(x))


def test_nested_models_that_repeat_names_and_sequential_models():
    def part():
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="inner")])

    model = keras.Sequential([keras.Input((4,)), part(), keras.layers.Dense(2, name="head")])
    inputs = keras.Input((4,))
    both = keras.Model(inputs, model(part()(inputs)))
    game = Game(both, {"inner/2": 1})
    assert [player.name for player in game.players] == ["inner", "inner/2", "head"]
    assert len({id(player.variables[0]) for player in game.players}) == 3
    assert dgn_tf.GameModel.from_model(model).game.horizon == 2


@pytest.mark.parametrize(
    ("application", "size"),
    [
        pytest.param("ResNet50", 32, marks=pytest.mark.release),
        ("MobileNetV2", 32),
        pytest.param("InceptionV3", 75, marks=pytest.mark.release),
        pytest.param("DenseNet121", 32, marks=pytest.mark.release),
    ],
)
def test_the_forward_pass_of_large_networks_is_reproduced_exactly(application, size):
    set_seed(0)
    build = getattr(keras.applications, application)
    model = build(weights=None, input_shape=(size, size, 3), classes=5)
    x = tf.constant(np.random.default_rng(0).normal(size=(1, size, size, 3)), tf.float32)
    outputs = FirstPass(Game(model, "alap")).run([x], False)
    np.testing.assert_array_equal(outputs[0], model(x, training=False))
