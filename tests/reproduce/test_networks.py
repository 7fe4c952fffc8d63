"""The paper's networks: their algebra, their players and schedules, and a step of the game."""

import itertools

import keras
import numpy as np
import pytest

import dgn_tf
from reproduce import networks
from tests.seeds import set_seed

_SHAPE = (8, 8, 1)
_SMALL = {
    "residual-dense": {"width": 6},
    "residual-conv": {"width": 4},
    "inception": {"width": 3},
    "cooperative": {"width": 4},
    "feedforward": {"width": 4},
    "resnet18": {"width": 2},
}


def small(name, shape=_SHAPE, **options):
    set_seed(7)
    return networks.build(name, shape, 3, **{**_SMALL[name], **options})


def batch(shape=_SHAPE, size=16):
    rng = np.random.default_rng(1)
    return rng.normal(size=(size, *shape)).astype("float32"), rng.integers(0, 3, size)


def relu(x):
    return np.maximum(x, 0)


def weights(model, layer):
    return model.get_layer(layer).get_weights()


def convolve(x, kernel, bias, stride=1):
    """A padded convolution by its definition; x `(B, h, w, c)`, kernel `(k, k, c, o)`."""
    size = len(kernel)
    grid = [-(-n // stride) for n in x.shape[1:3]]
    extra = [max((g - 1) * stride + size - n, 0) for g, n in zip(grid, x.shape[1:3], strict=True)]
    x = np.pad(x, ((0, 0), *((e // 2, e - e // 2) for e in extra), (0, 0)))
    out = np.zeros((len(x), *grid, kernel.shape[-1])) + bias
    for i, j in itertools.product(range(size), range(size)):
        rows = slice(i, i + (grid[0] - 1) * stride + 1, stride)
        columns = slice(j, j + (grid[1] - 1) * stride + 1, stride)
        out += x[:, rows, columns] @ kernel[i, j]
    return out


@pytest.mark.parametrize("shortcut", ["identity", "dense"])
def test_residual_dense_is_its_formula(shortcut):
    model = small("residual-dense", shortcut=shortcut)
    x, _ = batch()

    def dense(name, h):
        kernel, bias = weights(model, name)
        return h @ kernel + bias

    h = relu(dense("stem", x.reshape(len(x), -1)))
    for b in (1, 2, 3):
        skip = h if shortcut == "identity" else dense(f"block_{b}_shortcut", h)
        h = skip + dense(f"block_{b}_dense_2", relu(dense(f"block_{b}_dense_1", h)))
    np.testing.assert_allclose(model(x), dense("logits", h), atol=2e-5)


@pytest.mark.parametrize("shortcut", ["identity", "convolution"])
@pytest.mark.parametrize("pooling", ["average", "flatten"])
def test_residual_conv_is_its_formula(shortcut, pooling):
    model = small("residual-conv", shortcut=shortcut, pooling=pooling)
    x, _ = batch()
    h = relu(convolve(x, *weights(model, "stem"), stride=4))
    for b in (1, 2, 3):
        skip = h if shortcut == "identity" else convolve(h, *weights(model, f"block_{b}_shortcut"))
        inner = relu(convolve(h, *weights(model, f"block_{b}_conv_1")))
        h = relu(skip + convolve(inner, *weights(model, f"block_{b}_conv_2")))
    h = h.mean((1, 2)) if pooling == "average" else h.reshape(len(h), -1)
    kernel, bias = weights(model, "logits")
    np.testing.assert_allclose(model(x), h @ kernel + bias, atol=2e-5)


@pytest.mark.parametrize("name", ["residual-conv", "inception", "cooperative"])
@pytest.mark.parametrize("pooling", ["average", "quarters", "flatten"])
def test_logits_of_a_grid_of_seven(name, pooling):
    model = small(name, (14, 14, 1), stride=2, pooling=pooling)
    x, _ = batch((14, 14, 1), 3)
    grid = next(layer.output for layer in model.layers[::-1] if len(layer.output.shape) == 4)
    if pooling == "quarters":
        grid = model.get_layer("quarters").input
    h = np.asarray(keras.Model(model.input, grid)(x))
    assert h.shape[1:3] == (7, 7)
    halves = (slice(0, 4), slice(4, 7))
    features = {
        "average": h.mean((1, 2)),
        "quarters": np.hstack([h[:, i, j].mean((1, 2)) for i in halves for j in halves]),
        "flatten": h.reshape(3, -1),
    }[pooling]
    kernel, bias = weights(model, "logits")
    np.testing.assert_allclose(model(x), features @ kernel + bias, atol=2e-5)


@pytest.mark.parametrize("reduce", [False, True])
def test_inception_is_its_formula(reduce):
    model = small("inception", reduce=reduce, stride=2)
    x, _ = batch()
    h = relu(convolve(x, *weights(model, "stem"), stride=2))
    for b in (1, 2):
        padded = np.pad(h, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
        pooled = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2)).max((-1, -2))
        branches = [convolve(h, *weights(model, f"block_{b}_1x1"))]
        for size in ("3x3", "5x5"):
            own = h
            if reduce:
                own = relu(convolve(h, *weights(model, f"block_{b}_{size}_reduce")))
            branches.append(convolve(own, *weights(model, f"block_{b}_{size}")))
        branches.append(convolve(pooled, *weights(model, f"block_{b}_pool_1x1")))
        h = relu(np.concatenate(branches, -1))
    kernel, bias = weights(model, "logits")
    np.testing.assert_allclose(model(x), h.mean((1, 2)) @ kernel + bias, atol=2e-5)


@pytest.mark.parametrize("shape, kind", [((5,), "auto"), (_SHAPE, "dense"), (_SHAPE, "auto")])
def test_cooperative_players_share_their_input_and_their_sum(shape, kind):
    """What one player plays the other can play for her: only θ1 + θ2 matters."""
    model = small("cooperative", shape, kind=kind)
    x, _ = batch(shape)
    before = model(x)
    rng = np.random.default_rng(2)
    for block in (1, 2, 3):
        first, second = (model.get_layer(f"block_{block}_f{n}") for n in (1, 2))
        moved = [rng.normal(size=w.shape) for w in first.get_weights()]
        first.set_weights([w + m for w, m in zip(first.get_weights(), moved, strict=True)])
        second.set_weights([w - m for w, m in zip(second.get_weights(), moved, strict=True)])
    np.testing.assert_allclose(model(x), before, atol=2e-4)
    stages = dgn_tf.GameModel.from_model(model).game.stages
    assert [len(stage.players) for stage in stages] == [2, 2, 2, 1]
    for block in (1, 2, 3):
        first, second = (model.get_layer(f"block_{block}_f{n}") for n in (1, 2))
        second.set_weights([np.zeros_like(w) for w in second.get_weights()])
    assert np.abs(model(x) - before).max() > 1e-2


def test_feedforward_is_a_chain_of_four_convolutions_and_two_dense_layers():
    model = small("feedforward", (28, 28, 1))
    x, _ = batch((28, 28, 1), 3)
    h = x
    for number, stride in enumerate((2, 1, 2, 2), 1):
        h = relu(convolve(h, *weights(model, f"conv_{number}"), stride=stride))
    assert h.shape == (3, 4, 4, 8)
    for name in ("dense", "logits"):
        kernel, bias = weights(model, name)
        h = h.reshape(len(h), -1) @ kernel + bias
        h = relu(h) if name == "dense" else h
    np.testing.assert_allclose(model(x), h, atol=2e-5)
    game = dgn_tf.GameModel.from_model(model).game
    assert game.horizon == 6
    assert game.slots == 1


def test_resnet18_has_the_published_number_of_weights():
    """11,173,962 is the number known for ResNet18 with a 3 × 3 stem on CIFAR10."""
    model = networks.build("resnet18", (32, 32, 3), 10)
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == 11_173_962
    assert model.get_layer("group_4_block_2_add").output.shape == (None, 4, 4, 512)
    game = dgn_tf.GameModel.from_model(model).game
    assert len(game.players) == 21
    assert game.horizon == 18
    assert all(item.layer.name.endswith("_norm") for item in game.bystanders)


@pytest.mark.parametrize(
    "name, kind", [("residual-conv", "convolution"), ("residual-dense", "dense")]
)
def test_three_shortcuts_with_weights_have_eight_schedules(name, kind):
    model = small(name, shortcut=kind)
    game = dgn_tf.GameModel.from_model(model).game
    slack = {p.name: range(p.earliest, p.latest + 1) for p in game.players if p.slack}
    assert slack == {f"block_{b}_shortcut": range(2 * b - 1, 2 * b + 1) for b in (1, 2, 3)}
    x, _ = batch()
    seen = set()
    for stages in itertools.product(*slack.values()):
        alignment = dict(zip(slack, stages, strict=True))
        aligned = dgn_tf.GameModel.from_model(model, alignment=alignment)
        placed = {p.name: p.stage for p in aligned.game.players}
        assert placed.items() >= alignment.items()
        assert aligned.game.horizon == 8
        np.testing.assert_array_equal(aligned(x), model(x))
        seen.add(tuple(sorted(placed.items())))
    assert len(seen) == 8
    with pytest.raises(ValueError, match="within its slack, 1 to 2"):
        dgn_tf.GameModel.from_model(model, alignment={"block_1_shortcut": 3})


@pytest.mark.parametrize("name", ["residual-conv", "residual-dense"])
def test_identity_shortcuts_leave_one_schedule(name):
    game = dgn_tf.GameModel.from_model(small(name)).game
    assert all(player.slack == 0 for player in game.players)


def test_without_reductions_the_branches_of_an_inception_block_move_together():
    together = dgn_tf.GameModel.from_model(small("inception")).game
    assert [len(stage.players) for stage in together.stages] == [1, 4, 4, 1]
    reduced = dgn_tf.GameModel.from_model(small("inception", reduce=True)).game
    assert reduced.horizon == 6
    assert {p.name for p in reduced.players if p.slack} == {
        f"block_{b}_{branch}" for b in (1, 2) for branch in ("1x1", "pool_1x1")
    }


@pytest.mark.parametrize("name", networks.NAMES)
def test_a_cooperative_ekfac_step_lowers_the_loss(name):
    model = dgn_tf.GameModel.from_model(small(name))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = dgn_tf.DGNOpt(0.05, "cooperative", "ekfac")
    model.compile(optimizer, loss, run_eagerly=True)
    x, y = batch()
    before = model.train_on_batch(x, y)
    assert model.train_on_batch(x, y) < before


@pytest.mark.parametrize("name", networks.NAMES)
def test_names_of_layers_do_not_depend_on_what_was_built_before(name):
    names = [[layer.name for layer in small(name).layers] for _ in range(2)]
    assert names[0] == names[1]


def test_the_seed_of_keras_draws_the_weights():
    first, second = small("residual-conv"), small("residual-conv")
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "options", "rule"),
    [
        (("vgg", _SHAPE, 10), {}, "`name` must be one of residual-dense, .*Received: name='vgg'"),
        (("residual-conv", _SHAPE, 10), {"shortcut": "dense"}, "`shortcut` must be one of ident"),
        (("residual-conv", _SHAPE, 10), {"pooling": "max"}, "`pooling` must be one of average"),
        (("residual-dense", _SHAPE, 10), {"shortcut": "conv"}, "`shortcut` must be one of identi"),
        (("cooperative", _SHAPE, 10), {"kind": "conv"}, "`kind` must be one of auto"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_refused_in_a_sentence(arguments, options, rule):
    with pytest.raises(ValueError, match=rule):
        networks.build(*arguments, **options)
