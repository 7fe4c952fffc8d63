"""Products in full single precision where TF32 rounds the operands, emulated on a CPU."""

import ast
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dgn_tf import precise
from dgn_tf.curvature.base import shared
from dgn_tf.recursion import sample_space

RNG = np.random.default_rng(0)
A = RNG.standard_normal((40, 60)).astype("float32")
B = RNG.standard_normal((60, 30)).astype("float32")


def tf32(x):
    """The nearest number of 10 bits of mantissa, ties to even, by NumPy's own arithmetic."""
    mantissa, exponent = np.frexp(np.asarray(x, "float64"))
    return np.ldexp(np.round(mantissa * 2.0**11) / 2.0**11, exponent)


@pytest.fixture
def tensor_cores(monkeypatch):
    """A machine whose products round their operands to TF32 and sum in single precision."""
    plain_matmul, plain_einsum = tf.matmul, tf.einsum

    def rounded(x):
        return tf.constant(tf32(x), x.dtype) if x.dtype == tf.float32 else x

    monkeypatch.setattr(precise, "rounds", lambda dtype: dtype == tf.float32)
    monkeypatch.setattr(
        precise.tf, "matmul", lambda a, b, **kw: plain_matmul(rounded(a), rounded(b), **kw)
    )
    monkeypatch.setattr(
        precise.tf, "einsum", lambda eq, a, b: plain_einsum(eq, rounded(a), rounded(b))
    )


def error(got, a, b):
    exact = a.astype("float64") @ b.astype("float64")
    return np.abs(got - exact).max() / np.abs(exact).max()


def test_parts_are_exact():
    x = np.concatenate([A.ravel(), [0.0, -0.0, 1.0, 3e38, 1e-30, 2.0 - 2.0**-23]])
    high, low = (part.numpy() for part in precise.split(tf.constant(x, tf.float32)))
    x = x.astype("float32")
    np.testing.assert_array_equal(tf32(high), high)
    np.testing.assert_array_equal(high.astype("float64") + low.astype("float64"), x)
    assert (np.abs(low) <= np.abs(x) * 2.0**-11).all()
    assert not np.isfinite(precise.split(tf.constant([np.nan, np.inf]))[1]).any()


def test_products_are_those_of_float32(tensor_cores):
    a, b = tf.constant(A), tf.constant(B)
    assert error(tf.matmul(a, b), A, B) > 1e-4  # what the switch would do to the second order
    for got in (
        precise.matmul(a, b),
        precise.matmul(tf.transpose(a), b, transpose_a=True),
        precise.matmul(a, tf.transpose(b), transpose_b=True),
        precise.einsum("ij,jk->ik", a, b),
        tf.stack([precise.matvec(a, b[:, k]) for k in range(3)], 1),
        tf.stack([precise.matvec(tf.transpose(a), b[:, 0], transpose_a=True)], 1),
    ):
        columns = got.shape[1]
        assert error(got, A, B[:, :columns]) < 5e-7
    doubled = precise.matmul(tf.cast(a, tf.float64), tf.cast(b, tf.float64))
    np.testing.assert_allclose(doubled, A.astype("float64") @ B.astype("float64"), rtol=1e-13)


def test_without_tensor_cores_it_is_one_product():
    assert not precise.rounds(tf.float64)
    if not tf.config.list_logical_devices("GPU"):
        assert not precise.rounds(tf.float32)
    traced = tf.function(precise.matmul).get_concrete_function(tf.constant(A), tf.constant(B))
    products = [op for op in traced.graph.get_operations() if op.type == "MatMul"]
    assert len(products) == (3 if precise.rounds(tf.float32) else 1)


def test_a_shared_graph_is_one_a_setting_of_the_switch():
    """A graph keeps the products that it was traced with."""
    config = tf.config.experimental
    before = config.tensor_float_32_execution_enabled()
    seen = shared(lambda x: x + float(config.tensor_float_32_execution_enabled()))
    try:
        for setting in (True, False, True):
            config.enable_tensor_float_32_execution(setting)
            assert tf.function(lambda: seen(tf.constant(0.0)))() == float(setting)
    finally:
        config.enable_tensor_float_32_execution(before)


def test_second_order_algebra_uses_no_other_product():
    """By construction: no product of TensorFlow's own in the rooms of the second order."""
    package = Path(precise.__file__).parent
    files = [
        *package.glob("curvature/*.py"),
        *package.glob("recursion/*.py"),
        package / "linalg.py",
    ]
    files += [package / name for name in ("linalg.py", "game/capture.py", "step/dense_gains.py")]
    products = {"matmul", "matvec", "einsum", "tensordot", "pinv"}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            assert not isinstance(getattr(node, "op", None), ast.MatMult), path.name
            if isinstance(node, ast.Attribute) and node.attr in products:
                owner = ast.unparse(node.value)
                assert not owner.startswith("tf"), f"{path.name}: {owner}.{node.attr}"


def test_value_function_under_the_switch(tensor_cores):
    """The recursion in sample space, in single precision, with products rounded to TF32."""
    n, stages = 24, 6
    rng = np.random.default_rng(2)
    U = rng.standard_normal((stages, n, n))
    kernels, v, C = U @ U.transpose(0, 2, 1), rng.standard_normal(n), rng.uniform(0.1, 1.0, n)

    def solve(dtype):
        values = sample_space.solve(
            tf.constant(v, dtype), tf.constant(C, dtype),
            [[tf.constant(kernel, dtype)] for kernel in kernels], None, 0.3, float(n),
        )  # fmt: skip
        s = tf.constant(np.ones(n), dtype)
        return np.stack([value[0].weights(s).numpy() for value in values])

    exact = solve("float64")
    assert np.abs(solve("float32") - exact).max() < 2e-5 * np.abs(exact).max()
