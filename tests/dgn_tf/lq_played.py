"""A linear-quadratic game as a Keras network, solved by `dgn_tf.GameModel`."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from lq_facts import EPS, Error, condition, relative


def playable(game: Any, decay: float) -> Any:
    """An `LQGame` with the costs that a network has: Q = 0 and R_n = decay I."""
    from linear_quadratic import LQGame

    R = [decay * np.eye(B.shape[1]) for B in game.B]
    return LQGame(game.A, game.B, np.zeros_like(game.Q), R, game.Q_T, game.horizon)


def build(game: Any, structure: str) -> Any:
    """The network whose layers play an `LQGame` with Q = 0 and R_n = weight decay.

    The state is (x, 1); a player is a Dense layer without bias on the entry that is one, so that
    its weights are its control; A and B_n are Dense layers that are not trained, and the loss is
    the mean square of a root of Q_T times x_T.

    Args:
        game: as `playable` makes it.
        structure: information structure of the optimizer.
    """
    import keras

    import dgn_tf

    size, players = len(game.A), range(len(game.B))

    def fixed(matrix: np.ndarray, name: str) -> Any:
        layer = keras.layers.Dense(len(matrix), use_bias=False, trainable=False, name=name)
        layer.build((None, matrix.shape[1]))
        layer.set_weights([matrix.T])
        return layer

    move = np.eye(size + 1)
    move[:size, :size] = game.A
    inputs = x = keras.Input((size + 1,))
    for t in range(game.horizon):
        one = x[:, -1:]
        terms = [fixed(move, f"A_{t}")(x)]
        for n in players:
            B = np.concatenate([game.B[n], np.zeros((1, game.B[n].shape[1]))])
            control = keras.layers.Dense(B.shape[1], use_bias=False, name=f"control_{t}_{n}")(one)
            terms.append(fixed(B, f"B_{t}_{n}")(control))
        x = keras.layers.Add(name=f"next_{t}")(terms)
    values, vectors = np.linalg.eigh(game.Q_T)
    root = (vectors * np.sqrt(np.maximum(values, 0.0) * size / 2)).T
    ends = fixed(np.concatenate([root, np.zeros((size, 1))], axis=1), "end")
    model = dgn_tf.GameModel(inputs, ends(x))
    model.compile(
        dgn_tf.DGNOpt(
            learning_rate=1.0,
            information_structure=structure,
            curvature="exact",
            terminal="exact",
            weight_decay=float(game.R[0][0, 0]),
            guard=None,
        ),
        loss="mean_squared_error",
    )
    return model


def cut_of_state(model: Any, stage: int, game: Any) -> np.ndarray:
    """The tensors alive at a cut as a matrix times (x, 1).

    A product with A runs as soon as its input exists, in the stage before, so that a cut after the
    first holds A x and the entry that is one, and the first cut x itself.
    """
    size = len(game.A)
    move = np.eye(size + 1)
    move[:size, :size] = game.A
    rows = []
    for key in model.game.stages[stage].cut:
        width = model.game.graph.shapes[key][-1]
        if width == 1:
            rows.append(np.eye(size + 1)[-1:])
        else:
            rows.append(np.eye(size + 1) if key in model.game.graph.inputs else move)
    return np.concatenate(rows)


def facts(game: Any, rng: Any) -> Iterator[Error]:
    """Gains and one training step of the network against the Riccati recursions.

    Args:
        game: as `playable` makes it.
        rng: a numpy generator.
    """
    import keras
    import linear_quadratic as lq

    precision, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        team = lq.riccati(game)
        alone = [lq.riccati(game.only(n)) for n in range(len(game.B))]
        x0 = rng.standard_normal(len(game.A))
        start = np.append(x0, 1.0)[None]
        labels = np.zeros((1, len(game.A)))
        for structure in ("feedback", "cooperative"):
            model = build(game, structure)
            solution = model.game.solve(start, labels)
            ours, exact = [], []
            for t in range(game.horizon):
                state = cut_of_state(model, t, game)
                for player in model.game.stages[t].players:
                    n = int(player.name.rsplit("_", 1)[1])
                    ours.append((solution[t][player.slot].K.numpy() @ state)[:, :-1])
                    exact.append(team.K[t][n] if structure == "cooperative" else alone[n].K[t][0])
            rounding = EPS * game.horizon * condition(game, team.P)
            yield Error(f"GameModel, {structure}: gains", relative(ours, exact), rounding)
        model.train_on_batch(start, labels)
        cost = float(model.game.solve(start, labels).loss)
        optimum = 0.5 * x0 @ team.P[0] @ x0
        yield Error("GameModel, cooperative: optimal after one step",
                    relative([cost], [optimum]), rounding)  # fmt: skip
    finally:
        keras.config.set_floatx(precision)
        keras.config.set_dtype_policy(policy)
