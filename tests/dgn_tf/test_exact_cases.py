"""Exact curvature through `GameModel` against the reference cases (origin: cases/README.md)."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import dgn_tf

CASES = sorted((Path(__file__).parent / "cases").glob("*.npz"))
RTOL = 1e-8


def chain():
    inputs = keras.Input((3,))
    x1 = keras.layers.Dense(4, activation="tanh", name="D0")(inputs)
    x2 = keras.layers.Add()([x1, keras.layers.Dense(4, activation="tanh", name="D1")(x1)])
    return inputs, keras.layers.Dense(3, name="D2")(x2)


def res_late():
    inputs = keras.Input((3,))
    x1 = keras.layers.Dense(4, activation="tanh", name="D0")(inputs)
    h = keras.layers.Dense(4, activation="tanh", name="D1")(x1)
    both = [keras.layers.Dense(4, name="D2a")(h), keras.layers.Dense(4, name="D2b")(x1)]
    x3 = keras.layers.Activation("tanh")(keras.layers.Add()(both))
    return inputs, keras.layers.Dense(3, name="D3")(x3)


def to_case_order(k, shape):
    """(in, out) row-major kernel then bias → (out, in) row-major then bias, along axis 0."""
    k = np.asarray(k)
    size = shape[0] * shape[1]
    kernel = k[:size].reshape(*shape, *k.shape[1:]).swapaxes(0, 1).reshape(size, *k.shape[1:])
    return np.concatenate([kernel, k[size:]])


def set_weights(game, case):
    for player in game.players:
        flat = case[f"th_{player.stage}_{player.slot}"]
        rows, outputs = player.variables[0].shape
        player.variables[0].assign(flat[: rows * outputs].reshape(outputs, rows).T)
        player.variables[1].assign(flat[rows * outputs :])


def get_weights(player):
    kernel, bias = (variable.numpy() for variable in player.variables)
    return np.concatenate([kernel.T.ravel(), bias])


def build(path, structure):
    case = np.load(path)
    make = chain if path.stem.startswith("chain") else res_late
    model = dgn_tf.GameModel(*make(), alignment="alap")
    model.compile(
        dgn_tf.DGNOpt(
            learning_rate=1.0,
            information_structure=structure,
            curvature="exact",
            terminal="gauss_newton" if path.stem.endswith("gn") else "exact",
            weight_decay=float(case["wd"]),
            guard=None,
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    set_weights(model.game, case)
    return model, case


def close(found, expected, what):
    scale = max(np.abs(expected).max(), 1e-12)
    assert np.abs(np.asarray(found) - expected).max() <= RTOL * scale, what


def halved(odd):
    """Half of the cases with every pair of network, batch and terminal; the others at a release."""
    marks = [pytest.mark.release]
    return [
        pytest.param(path, id=path.stem, marks=[] if _parity(path) == odd else marks)
        for path in CASES
    ]


def _parity(path):
    return sum(part in path.stem for part in ("chain", "B1", "gn")) % 2


@pytest.mark.parametrize("path", halved(odd=0))
def test_feedback_gains_values_and_step(path, float64):
    model, case = build(path, "feedback")
    solution = model.game.solve(case["x0"], case["labels"])
    close(solution.loss, case["loss"], "loss")
    for player in model.game.players:
        t, n = player.stage, player.slot
        shape = player.variables[0].shape
        gain = solution[t][n]
        close(to_case_order(gain.k, shape), case[f"fne_k_{t}_{n}"], f"k {t} {n}")
        close(to_case_order(gain.K, shape), case[f"fne_K_{t}_{n}"], f"K {t} {n}")
        close(gain.V_x, case[f"fne_Vx_{t}_{n}"], f"V_x {t} {n}")
        close(gain.V_xx, case[f"fne_Vxx_{t}_{n}"], f"V_xx {t} {n}")
    model.train_on_batch(case["x0"], case["labels"])
    for player in model.game.players:
        key = f"{player.stage}_{player.slot}"
        close(get_weights(player), case[f"fne_new_{key}"], f"new {key}")
    close(model.game.solve(case["x0"], case["labels"]).loss, case["loss_fne"], "loss after")


@pytest.mark.parametrize("path", halved(odd=1))
def test_cooperative_gains_values_and_step(path, float64):
    model, case = build(path, "cooperative")
    solution = model.game.solve(case["x0"], case["labels"])
    for player in model.game.players:
        t, n = player.stage, player.slot
        shape = player.variables[0].shape
        close(to_case_order(solution[t][n].k, shape), case[f"gr_k_{t}_{n}"], f"k {t} {n}")
        close(to_case_order(solution[t][n].K, shape), case[f"gr_K_{t}_{n}"], f"K {t} {n}")
    for t in range(model.game.horizon):
        close(solution[t].W_x, case[f"gr_Wx_{t}"], f"W_x {t}")
        close(solution[t].W_xx, case[f"gr_Wxx_{t}"], f"W_xx {t}")
    model.train_on_batch(case["x0"], case["labels"])
    for player in model.game.players:
        key = f"{player.stage}_{player.slot}"
        close(get_weights(player), case[f"gr_new_{key}"], f"new {key}")
    close(model.game.solve(case["x0"], case["labels"]).loss, case["loss_gr"], "loss after")


def test_the_gradient_of_the_cases_is_the_open_loop(float64):
    path = next(p for p in CASES if p.stem == "res_late_B3_gn")
    case = np.load(path)
    model = dgn_tf.GameModel(*res_late(), alignment="alap")
    wd = float(case["wd"])
    model.compile(
        dgn_tf.DGNOpt(1.0, "open_loop", "identity", weight_decay=wd, guard=None),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    set_weights(model.game, case)
    before = {player.name: get_weights(player) for player in model.game.players}
    model.train_on_batch(tf.constant(case["x0"]), tf.constant(case["labels"]))
    for player in model.game.players:
        step = before[player.name] - get_weights(player)
        close(step, case[f"grad_{player.stage}_{player.slot}"], player.name)
