"""Dense blocks by operations in C++: numbers, gradients, where they run and where they give way."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse as ks
from keras_sparse.kernels import native
from keras_sparse.layers import PreactivationUnit, SparseAggregationBlock
from keras_sparse.normalization import plain_operations
from keras_sparse.normalization.native import is_available

pytestmark = pytest.mark.skipif(native.refusal("float32") is not None, reason=str(native.refusal("float32")))


def operations():
    from keras_sparse.kernels.native import tensorflow

    return tensorflow.operations()


def drawn(rng, *shape):
    return tf.constant(rng.normal(size=shape), "float32")


def names(function, *arguments):
    """Types of the operations in the graph of a function."""
    graph = tf.function(function).get_concrete_function(*arguments).graph
    return {operation.type for operation in graph.get_operations()}


@pytest.mark.parametrize("rows", [1, 5, 700])
def test_normalisation_and_its_gradient(rows):
    rng = np.random.default_rng(rows)
    parts = [drawn(rng, rows, 2, 3, channels) for channels in (1, 7, 32)]
    mean, scale, shift = (drawn(rng, 40) for _ in range(3))
    dy, total = drawn(rng, rows, 2, 3, 40), drawn(rng, rows, 2, 3, 50)
    with tf.GradientTape() as tape:
        tape.watch([*parts, scale, shift])
        y = tf.nn.relu((tf.concat(parts, -1) - mean) * scale + shift)
    *by_parts, by_scale, by_shift = tape.gradient(y, [*parts, scale, shift], dy)
    offsets = [49, 0, 10]
    expected = total.numpy()
    for offset, gradient in zip(offsets, by_parts, strict=True):
        expected[..., offset : offset + gradient.shape[-1]] += gradient

    given = {"parts": parts, "mean": mean, "scale": scale, "shift": shift}
    np.testing.assert_allclose(operations().keras_sparse_normalization(**given), y, atol=1e-6)
    found = operations().keras_sparse_normalization_gradient(**given, dy=dy, sum=total, offsets=offsets)
    np.testing.assert_allclose(found.new_sum, expected, atol=1e-5)
    np.testing.assert_allclose(found.by_scale, by_scale, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.by_shift, by_shift, rtol=1e-4, atol=1e-3)


def test_moments_far_from_zero():
    x = drawn(np.random.default_rng(0), 64, 20, 20, 3) * [0.1, 1, 10] + [1000, -300, 5]
    mean, variance = operations().keras_sparse_moments(x=x)
    exact = x.numpy().astype("float64").reshape(-1, 3)
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(variance, exact.var(axis=0), rtol=1e-4)


def test_what_does_not_fit_is_refused():
    x, vector = tf.ones((2, 3, 3, 4)), tf.ones(4)
    given = {"parts": [x], "mean": vector, "scale": vector, "shift": vector}
    with pytest.raises(tf.errors.InvalidArgumentError, match="differ in the last axis only"):
        operations().keras_sparse_normalization(**{**given, "parts": [x, tf.ones((1, 3, 3, 4))]})
    with pytest.raises(tf.errors.InvalidArgumentError, match="one for each channel"):
        operations().keras_sparse_normalization(**{**given, "shift": tf.ones(3)})
    gradient = operations().keras_sparse_normalization_gradient
    with pytest.raises(tf.errors.InvalidArgumentError, match="shape of the result"):
        gradient(**given, dy=tf.ones((2, 3, 3, 5)), sum=x, offsets=[0])
    for offset, total in ((1, x), (-1, x), (0, tf.ones((2, 3, 4)))):
        with pytest.raises(tf.errors.InvalidArgumentError, match="`sum`"):
            gradient(**given, dy=x, sum=total, offsets=[offset])
        with pytest.raises(tf.errors.InvalidArgumentError, match="`sum`"):
            operations().keras_sparse_moments_gradient(
                x=x, mean=vector, constant=vector, slope=vector, sum=total, offset=offset
            )


def gradients(block, x, upstream):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = block(x, training=True)
    return [y, *tape.gradient(y, [x, *[v.value for v in block.trainable_variables]], upstream)]


@pytest.mark.parametrize("way", [lambda f: f, tf.function], ids=["eager", "graph"])
@pytest.mark.parametrize("pattern", ["all", "exponential", "previous"])
def test_gradients_of_a_block(pattern, way):
    rng = np.random.default_rng(0)
    block = SparseAggregationBlock([PreactivationUnit((8, 4), (1, 3)) for _ in range(5)], pattern)
    x = drawn(rng, 6, 7, 5, 3)
    upstream = drawn(rng, *block(x).shape)
    found = way(lambda: gradients(block, x, upstream))()
    with plain_operations():
        expected = gradients(block, x, upstream)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4 * np.abs(other).max())


def test_where_it_is_used_and_where_not():
    block = SparseAggregationBlock([PreactivationUnit((8, 4), (1, 3)) for _ in range(3)], "all")
    x = tf.ones((2, 5, 5, 3))
    block(x)
    assert "KerasSparseNormalization" in names(lambda: block(x, training=True))
    assert "KerasSparseNormalization" not in names(lambda: block(x))
    with plain_operations():
        assert not any("KerasSparse" in name for name in names(lambda: block(x, training=True)))
    assert is_available(x, -1)
    assert is_available(x, 3)
    assert not any(
        is_available(other, -1) for other in (tf.ones((2, 3)), tf.cast(x, "float64"), keras.Input((5, 5, 3)))
    )
    assert not is_available(x, 1)


@pytest.fixture
def folded():
    model = ks.applications.DenseNet(depth=22, growth_rate=4, bottleneck=True)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if variable.name in ("gamma", "beta", "moving_mean", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model, ks.fold_batch_norm(model)


def test_predictions_of_a_folded_network(folded):
    model, fast = folded
    x = drawn(np.random.default_rng(1), 3, 32, 32, 3)
    found = names(lambda: fast(x))
    assert "KerasSparseNormalization" in found
    np.testing.assert_allclose(fast(x), model(x), atol=1e-5)
    with plain_operations():
        assert not any("KerasSparse" in name for name in names(lambda: fast(x)))
        np.testing.assert_allclose(fast(x), model(x), atol=1e-5)


def test_an_export_holds_none_of_them(folded, tmp_path):
    ks.export(folded[1], tmp_path, "saved_model")
    assert b"KerasSparse" not in (tmp_path / "saved_model" / "saved_model.pb").read_bytes()


def test_profile_sees_the_convolutions_of_a_folded_network(folded):
    model, fast = folded
    assert ks.analysis.profile(fast).macs == pytest.approx(ks.analysis.profile(model).macs, rel=0.02)
