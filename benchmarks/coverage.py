"""docs/coverage.md: every layer class of Keras in a small model, trained by three optimizers.

A row holds if the first training loss is that of plain Keras with the same seeds, if three steps of
each optimizer are finite, and if the step of the cooperative structure with M = I at a small rate
is that of SGD.
"""

import argparse
import inspect
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import dgn_tf

PAGE = Path(__file__).parent.parent / "docs" / "coverage.md"
BATCH, RATE = 4, 2e-5
WORKS, DIAGONAL, REFUSED, NOT_BUILT = "works", "diagonal block", "refused", "not built"

SERIES, IMAGE, VOLUME, FLAT = (6, 4), (8, 8, 3), (4, 4, 4, 2), (4,)
WORDS = ["red", "green", "blue"]
Make = Callable[[Any], Any]


def _twice(name: str, **settings: Any) -> Make:
    return lambda h: getattr(layers, name)(**settings)([h, h])


def _image(name: str, *args: Any, **settings: Any) -> tuple[tuple, Make]:
    return IMAGE, lambda h: getattr(layers, name)(*args, **settings)(h)


def _cell(name: str, states: int) -> tuple[tuple, Make]:
    def make(h: Any) -> Any:
        state = [layers.Dense(3, name=f"state{i}")(h) for i in range(states)]
        return getattr(layers, name)(3)(h, state)[0]

    return FLAT, make


def _stacked(h: Any) -> Any:
    cells = layers.StackedRNNCells([layers.SimpleRNNCell(3), layers.SimpleRNNCell(2)])
    return layers.RNN(cells)(h)


def _reversible(ids: Any) -> Any:
    embedding = layers.ReversibleEmbedding(5, 3)
    h = layers.Dense(3, name="between")(embedding(ids))
    return embedding(h, reverse=True)


RANGE = {"value_range": (0, 1)}
RECIPES: dict[str, tuple[tuple, Make]] = {
    "Activation": (FLAT, lambda h: layers.Activation("tanh")(h)),
    "ActivityRegularization": (FLAT, lambda h: layers.ActivityRegularization(l2=1e-3)(h)),
    "Bidirectional": (SERIES, lambda h: layers.Bidirectional(layers.LSTM(3))(h)),
    "CenterCrop": _image("CenterCrop", 4, 4),
    "ConvLSTM1D": ((3, 6, 2), lambda h: layers.ConvLSTM1D(2, 3)(h)),
    "ConvLSTM2D": ((3, 6, 6, 2), lambda h: layers.ConvLSTM2D(2, 3)(h)),
    "ConvLSTM3D": ((2, 4, 4, 4, 2), lambda h: layers.ConvLSTM3D(2, 2)(h)),
    "Dense": (FLAT, lambda h: layers.Dense(3)(h)),
    "Discretization": (FLAT, lambda h: layers.Discretization([0.4], output_mode="one_hot")(h)),
    "Dot": (SERIES, _twice("Dot", axes=-1)),
    "EinsumDense": (SERIES, lambda h: layers.EinsumDense("abc,cd->abd", (6, 3))(h)),
    "GRUCell": _cell("GRUCell", 1),
    "GroupNormalization": (SERIES, lambda h: layers.GroupNormalization(2)(h)),
    "GroupQueryAttention": (SERIES, lambda h: layers.GroupQueryAttention(4, 2, 1)(h, h)),
    "LSTMCell": _cell("LSTMCell", 2),
    "Lambda": (FLAT, lambda h: layers.Lambda(lambda z: 2.0 * z)(h)),
    "MelSpectrogram": ((256,), lambda h: layers.MelSpectrogram(
        fft_length=64, sequence_stride=32, sequence_length=64, sampling_rate=1000, num_mel_bins=4,
        max_freq=500)(h)),
    "MultiHeadAttention": (SERIES, lambda h: layers.MultiHeadAttention(2, 3)(h, h)),
    "Normalization": (FLAT, lambda h: layers.Normalization(mean=0.5, variance=2.0)(h)),
    "Permute": (SERIES, lambda h: layers.Permute((2, 1))(h)),
    "Pipeline": (IMAGE, lambda h: layers.Pipeline([layers.Rescaling(2.0), layers.RandomFlip()])(h)),
    "RNN": (SERIES, lambda h: layers.RNN(layers.LSTMCell(3))(h)),
    "RepeatVector": (FLAT, lambda h: layers.RepeatVector(2)(h)),
    "Rescaling": (FLAT, lambda h: layers.Rescaling(0.5)(h)),
    "Reshape": (SERIES, lambda h: layers.Reshape((3, 8))(h)),
    "Resizing": _image("Resizing", 4, 4),
    "STFTSpectrogram": ((256,), lambda h: layers.STFTSpectrogram(
        frame_length=32, frame_step=32, fft_length=32)(layers.Reshape((256, 1))(h))),
    "SimpleRNNCell": _cell("SimpleRNNCell", 1),
    "SpectralNormalization": (FLAT, lambda h: layers.SpectralNormalization(layers.Dense(3))(h)),
    "StackedRNNCells": (SERIES, _stacked),
    "TimeDistributed": (SERIES, lambda h: layers.TimeDistributed(layers.Dense(3))(h)),
    **{name: (SERIES, _twice(name)) for name in
       ("Add", "AdditiveAttention", "Attention", "Average", "Concatenate", "Maximum", "Minimum",
        "Multiply", "Subtract")},
    **{name: _image(name, 0.2) for name in
       ("RandomContrast", "RandomRotation", "RandomZoom")},
    "RandomBrightness": _image("RandomBrightness", 0.2, value_range=(0, 1)),
    "RandomTranslation": _image("RandomTranslation", 0.2, 0.2),
    "RandomShear": _image("RandomShear", 0.2, 0.2),
    "RandomCrop": _image("RandomCrop", 4, 4),
    "RandomColorJitter": _image("RandomColorJitter", **RANGE, brightness_factor=0.2),
    "RandomPosterization": _image("RandomPosterization", 4, **RANGE),
    **{name: _image(name, 0.2, **RANGE) for name in
       ("RandomColorDegeneration", "RandomHue", "RandomSaturation", "RandomSharpness")},
    **{name: _image(name, **RANGE) for name in
       ("AugMix", "AutoContrast", "Equalization", "RandAugment", "RandomErasing", "RandomInvert",
        "Solarization", "RandomElasticTransform", "RandomGaussianBlur",
        "ContrastLimitedAdaptiveHistogramEqualization")},
}  # fmt: skip
FROM_DATA: dict[str, tuple[Any, Make]] = {
    "CategoryEncoding": ("int32", lambda x: layers.CategoryEncoding(5, output_mode="one_hot")(x)),
    "Embedding": ("int32", lambda x: layers.Embedding(5, 3)(x)),
    "HashedCrossing": ("int32", lambda x: layers.HashedCrossing(4)((x[:, :1], x[:, 1:2]))),
    "Hashing": ("int32", lambda x: layers.Hashing(4)(x)),
    "IntegerLookup": ("int32", lambda x: layers.IntegerLookup(vocabulary=[1, 2, 3])(x)),
    "Masking": ("float32", lambda x: layers.LSTM(3)(layers.Masking()(layers.Reshape((2, 2))(x)))),
    "ReversibleEmbedding": ("int32", _reversible),
    "StringLookup": ("string", lambda x: layers.StringLookup(vocabulary=WORDS)(x)),
    "TextVectorization": ("string", lambda x: layers.TextVectorization(
        vocabulary=WORDS, output_sequence_length=3)(x[:, 0])),
}  # fmt: skip
"""Layers that read the data: dtype of a (4,) input, and what is made of it."""
APART = {
    "FlaxLayer": "wraps a Flax module",
    "InputLayer": "is the input, made by `keras.Input`",
    "JaxLayer": "wraps a JAX function",
    "Layer": "is the base class",
    "MaxNumBoundingBoxes": "takes boxes, which no loss is of",
    "TFSMLayer": "wraps a SavedModel, whose weights Keras does not train",
    "TorchModuleWrapper": "wraps a PyTorch module",
    "Wrapper": "is the base class of wrappers",
}


def layer_classes() -> dict[str, list[str]]:
    """Every layer class of Keras by name, with its other names."""
    public: dict[type, list[str]] = {}
    for name, value in vars(keras.layers).items():
        if inspect.isclass(value) and issubclass(value, keras.Layer):
            public.setdefault(value, []).append(name)
    named = {kind.__name__: sorted(names) for kind, names in public.items()}
    return {
        name if name in names else names[0]: [n for n in names if n != name]
        for name, names in sorted(named.items())
    }


def network(name: str) -> tuple[Any, Any]:
    """Inputs and outputs of a small model with the layer in it, the same weights every time."""
    keras.utils.set_random_seed(1)
    if name in FROM_DATA:
        dtype, make = FROM_DATA[name]
        inputs = keras.Input((4,), dtype=dtype)
        made = keras.ops.cast(make(inputs), "float32")
    else:
        shape, make = RECIPES.get(name) or _plain(name)
        inputs = keras.Input(shape)
        made = make(layers.Dense(shape[-1], activation="sigmoid", name="before")(inputs))
    h = layers.Flatten()(made) if len(made.shape) > 1 else layers.Reshape((1,))(made)
    return inputs, layers.Dense(2, name="after")(layers.Dense(3, name="middle")(h))


def _plain(name: str) -> tuple[tuple, Make]:
    """Shape and layer by the habits of Keras's names and constructors."""
    kind = getattr(layers, name)
    by_rank = {"1D": SERIES, "2D": IMAGE, "3D": VOLUME}
    shape: tuple = next((s for rank, s in by_rank.items() if rank in name), SERIES)
    if name.startswith("Random") or name in ("MixUp", "CutMix"):
        shape = IMAGE
    known = {"filters": 3, "kernel_size": 2, "pool_size": 2, "units": 3, "output_size": 2,
             "rate": 0.3, "stddev": 0.1, "factor": 0.3}  # fmt: skip
    wanted = inspect.signature(kind).parameters.values()
    settings = {p.name: known[p.name] for p in wanted if p.name in known and p.default is p.empty}
    return shape, lambda h: kind(**settings)(h)


def batch(inputs: Any) -> tuple[Any, np.ndarray]:
    """Four samples for an input."""
    rng = np.random.default_rng(0)
    shape = (BATCH, *inputs.shape[1:])
    y = rng.normal(size=(BATCH, 2)).astype("float32")
    if inputs.dtype == "string":
        return tf.constant(rng.choice(WORDS, size=shape)), y
    if inputs.dtype == "int32":
        return rng.integers(0, 5, shape).astype("int32"), y
    return rng.normal(size=shape).astype("float32"), y


def optimizers() -> dict[str, Any]:
    """The three that each row is trained by."""
    return {
        "EKFAC": dgn_tf.EKFAC(1e-3),
        "feedback": dgn_tf.DGNOpt(1e-3, "feedback", "rmsprop", form="feedback_only"),
        "cooperative": dgn_tf.DGNOpt(1e-3),
    }


def row(name: str) -> tuple[str, str]:
    """What becomes of a layer class, and a sentence about it."""
    if name in APART:
        return NOT_BUILT, APART[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            plain = keras.Model(*network(name))
            x, y = batch(plain.inputs[0])
            plain.compile(keras.optimizers.SGD(RATE), "mse", run_eagerly=True)
            start = _weights(plain)
            loss = plain.train_on_batch(x, y)
        except (ImportError, ValueError, TypeError, NotImplementedError) as error:
            sentence = _one_line(error).split(". ")[0].split(" Arguments received")[0][:160]
            return NOT_BUILT, f"Keras does not train it here: {sentence}"
        try:
            model = dgn_tf.GameModel(*network(name))
            model.compile(dgn_tf.DGNOpt(RATE, curvature="identity"), "mse", run_eagerly=True)
            game_loss = model.train_on_batch(x, y)[0]
        except ValueError as error:
            open_loop = dgn_tf.GameModel(*network(name))
            open_loop.compile(optimizers()["EKFAC"], "mse", run_eagerly=True)
            assert np.isfinite(open_loop.train_on_batch(x, y)[0]), name
            received = _one_line(error).split("Received: ")[1].split(". ")[0]
            return REFUSED, f"in closed loops: {received}"
        np.testing.assert_allclose(game_loss, loss, rtol=1e-5)
        step, sgd = start - _weights(model), start - _weights(plain)
        assert np.linalg.norm(step - sgd) <= 0.03 * np.linalg.norm(sgd), (name, "is not SGD")
        for title, optimizer in optimizers().items():
            model = dgn_tf.GameModel(*network(name))
            model.compile(optimizer, "mse", run_eagerly=title != "cooperative")
            losses = [float(model.train_on_batch(x, y)[0]) for _ in range(3)]
            assert np.isfinite(losses).all(), (name, title, losses)
            np.testing.assert_allclose(losses[0], loss, rtol=1e-5)
    around = ("before", "after", "middle", "between", "state")
    blocks = [b for b in model.game.bystanders if not b.name.startswith(around)]
    if blocks:
        return DIAGONAL, blocks[0].reason
    players = [p for p in model.game.players if not p.name.startswith(around)]
    return WORKS, "a player" if players else "no trainable weights"


def _weights(model: Any) -> np.ndarray:
    return np.concatenate([v.numpy().ravel() for v in model.trainable_variables]).astype(float)


def _one_line(error: Exception) -> str:
    text = re.sub(r", name=keras_tensor\w*", "", " ".join(str(error).split()))
    return re.sub(r"_\d+'", "'", text)


def page(rows: dict[str, tuple[str, str]]) -> str:
    """The table as Markdown."""
    others = layer_classes()
    lines = [
        "# Layers of Keras",
        "",
        "Every layer class of Keras in a small model between Dense layers, trained three steps by",
        "EKFAC, by feedback and by the cooperative structure. In every row that is not refused the",
        "first training loss is plain Keras's, and the step with M = I at a small rate is SGD's.",
        '"Works": the layer is a player, or has no trainable weights. "Diagonal block": its',
        "weights are led by the tape's gradient through a diagonal preconditioner, as",
        "`model.game.summary()` says. Made by `./run bench coverage`; a test holds it against the",
        "installed Keras.",
        "",
        f"Keras {'.'.join(keras.__version__.split('.')[:2])}: "
        + ", ".join(
            f"{sum(given == kind for given, _ in rows.values())} {kind}"
            for kind in (WORKS, DIAGONAL, REFUSED, NOT_BUILT)
        )
        + ".",
        "",
        "| layer | | why |",
        "|---|---|---|",
    ]
    for name, (kind, sentence) in rows.items():
        names = ", ".join(f"`{n}`" for n in [name, *others[name]])
        lines.append(f"| {names} | {kind} | {sentence.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog=sys.argv[0], description=__doc__)
    parser.add_argument("names", nargs="*", help="layer classes; all, and the page, when none")
    names = parser.parse_args().names
    rows = {}
    for name in names or layer_classes():
        rows[name] = row(name)
        print(f"{name}: {rows[name][0]}: {rows[name][1]}", flush=True)
        keras.backend.clear_session()
    if not names:
        PAGE.write_text(page(rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
