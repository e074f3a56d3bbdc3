"""Dense blocks in training: shared moments, and the same results as a block whose units look at everything anew."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_sparse as ks
from keras_sparse.gradients import hessian_gradients, loss_gradients
from keras_sparse.layers import PreactivationUnit, SparseAggregationBlock
from keras_sparse.normalization import native


class Plain(SparseAggregationBlock):
    """The block without the short cut."""

    _reads_outputs_unjoined = False


def stage(kind, pattern="all", units=4, data_format="channels_last", dtype=None, convolutions=lambda: None):
    keras.utils.set_random_seed(0)
    axis = 3 if data_format == "channels_last" else 1
    return kind(
        [
            PreactivationUnit((8, 4), (1, 3), data_format=data_format, dtype=dtype, convolutions=convolutions())
            for _ in range(units)
        ],
        pattern,
        axis=axis,
        dtype=dtype,
    )


def network(kind, size=6, **arguments):
    block = stage(kind, **arguments)
    channels_first = arguments.get("data_format") == "channels_first"
    image = keras.Input((3, size, size) if channels_first else (size, size, 3))
    x = layers.Flatten()(block(image))
    model = keras.Model(image, layers.Dense(2, dtype="float32", kernel_initializer="glorot_normal")(x))
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if variable.name in ("gamma", "beta"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


def data(model):
    rng = np.random.default_rng(2)
    return rng.normal(1, 2, size=(8, *model.input_shape[1:])).astype("float32"), rng.normal(size=(8, 2))


def after_training(kind, steps=2, **arguments):
    model = network(kind, **arguments)
    model.compile(keras.optimizers.SGD(0.01), "mse")
    loss = model.fit(*data(model), epochs=steps, batch_size=8, shuffle=False, verbose=0).history["loss"]
    return {
        "loss": np.asarray(loss),
        **{f"{i} {w.path}": ops.convert_to_numpy(w).astype("float64") for i, w in enumerate(model.weights)},
    }


def assert_equal(ours, plain, tolerance):
    assert len(ours) == len(plain)
    for (name, one), other in zip(ours.items(), plain.values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.fixture(params=["native", "stock"])
def operations(request, monkeypatch):
    """Operations in C++, where they can be had, and without."""
    if request.param == "stock":
        monkeypatch.setattr(native, "is_available", lambda x, axis: False)
    elif keras.backend.backend() != "tensorflow":
        pytest.skip("operations of TensorFlow")


@pytest.mark.usefixtures("operations")
@pytest.mark.parametrize("pattern", ["all", "exponential", "previous"])
def test_weights_and_moving_statistics_after_training(pattern):
    ours = after_training(SparseAggregationBlock, pattern=pattern)
    assert_equal(ours, after_training(Plain, pattern=pattern), 1e-4)


def test_to_rounding_in_double_precision():
    floatx = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        ours, plain = (after_training(kind, dtype="float64") for kind in (SparseAggregationBlock, Plain))
    finally:
        keras.config.set_floatx(floatx)
    # JAX computes in single precision unless told otherwise, and PyTorch's losses do.
    assert_equal(ours, plain, 1e-10 if keras.backend.backend() == "tensorflow" else 1e-4)


@pytest.mark.usefixtures("operations")
@pytest.mark.parametrize(
    "arguments",
    [
        {"size": 3},
        {"dtype": "mixed_bfloat16"},
        {"convolutions": lambda: [layers.Conv2D(8, 1, use_bias=True), layers.Conv2D(4, 3, padding="same")]},
        {
            "convolutions": lambda: [
                ks.layers.SparseConv2D(8, 1, sparsity=0.5, seed=0),
                ks.layers.SparseConv2D(4, 3, padding="same", sparsity=0.5, seed=1),
            ]
        },
    ],
    ids=["small image", "mixed precision", "bias", "masked"],
)
def test_whatever_convolves(arguments):
    tolerance = 0.05 if "dtype" in arguments else 1e-4
    ours = after_training(SparseAggregationBlock, steps=1, **arguments)
    assert_equal(ours, after_training(Plain, steps=1, **arguments), tolerance)


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="no such convolution on a CPU")
def test_channels_first():
    ours = after_training(SparseAggregationBlock, data_format="channels_first")
    assert_equal(ours, after_training(Plain, data_format="channels_first"), 1e-4)


def test_frozen_normalisation_uses_its_moving_statistics():
    results = []
    for kind in (SparseAggregationBlock, Plain):
        model = network(kind)
        model.layers[1].units[1].trainable = False
        results.append(ops.convert_to_numpy(model(data(model)[0], training=True)))
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("gradients", [loss_gradients, hessian_gradients])
def test_gradients_with_other_kernels_in_the_places_of_the_variables(gradients):
    found = []
    for kind in (SparseAggregationBlock, Plain):
        convolutions = lambda: [  # noqa: E731
            ks.layers.SparseConv2D(8, 1, sparsity=0.5, seed=0),
            ks.layers.SparseConv2D(4, 3, padding="same", sparsity=0.5, seed=1),
        ]
        model = network(kind, units=2, convolutions=convolutions)
        model.compile("sgd", "mse")
        sparse = [layer for layer in model._flatten_layers() if isinstance(layer, ks.layers.SparseConv2D)]
        found.append(gradients(model, sparse, data(model)))
    for ours, plain in zip(*found, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=2e-3, atol=2e-4 * np.abs(plain).max())


def test_moments_are_computed_once_for_each_output(monkeypatch):
    from keras_sparse.normalization import shared_moments

    seen = []
    moments = shared_moments.batch_moments
    monkeypatch.setattr(native, "is_available", lambda x, axis: False)
    monkeypatch.setattr(shared_moments, "batch_moments", lambda x, axis: seen.append(x.shape) or moments(x, axis))
    block = stage(SparseAggregationBlock, units=5)
    x = np.ones((2, 6, 6, 3), "float32")
    block(x)
    assert not seen
    block(x, training=True)
    assert [shape[-1] for shape in seen] == [3, 4, 4, 4, 4, 4]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="what is fused is TensorFlow's")
def test_second_derivatives_are_refused_or_right():
    import tensorflow as tf

    from keras_sparse.normalization import plain_operations

    block = stage(SparseAggregationBlock, units=2)
    x = tf.constant(np.random.default_rng(0).normal(size=(4, 5, 5, 3)).astype("float32"))

    def second():
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                total = tf.reduce_sum(block(x, training=True) ** 2)
            gradient = inner.gradient(total, x)
            squares = tf.reduce_sum(gradient**2)
        return outer.gradient(squares, x)

    block(x)
    with pytest.raises(NotImplementedError, match="plain_operations"):
        second()
    with plain_operations():
        assert np.isfinite(numpy_max(second()))


def numpy_max(tensor):
    return ops.convert_to_numpy(tensor).max()


@keras.saving.register_keras_serializable(package="tests")
class Halved(ks.aggregation.Concat):
    """Half of what is joined."""

    def finish(self, total, count):
        return total / 2


def test_an_operator_of_ones_own_is_asked_in_training_too():
    block = SparseAggregationBlock([PreactivationUnit(4, 3) for _ in range(3)], operator=Halved())
    x = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32"))
    outputs = block(x, training=True)
    plain = block._forward(x, apply=lambda layer, tensor: layer(tensor, training=True))
    np.testing.assert_allclose(*(ops.convert_to_numpy(y) for y in (outputs, plain)), atol=1e-5)


def test_activity_is_regularized_in_training_too():
    block = SparseAggregationBlock([PreactivationUnit(4, 3, activity_regularizer="l2") for _ in range(3)])
    block(ops.ones((2, 8, 8, 3)), training=True)
    assert len(block.losses) == 3
