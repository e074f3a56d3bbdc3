import keras
import numpy as np
import pytest
from keras import ops

from keras_sparse.layers import SparseConv2D
from keras_sparse.topologies import Expander, RandomEdge, RandomFanIn
from tensors import numpy

# JAX is slow uncompiled; TensorFlow takes longer to compile than these tests to run.
COMPILED = keras.backend.backend() == "jax"
OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.05),
}


def images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def trained(layer, x, optimizer, steps=5):
    """The losses of `steps` updates towards an image."""
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    y = np.random.default_rng(1).normal(size=numpy(model(x)).shape)
    model.compile(optimizer, "mse", jit_compile=COMPILED)
    return [float(model.train_on_batch(x, y)) for _ in range(steps)]


def test_shape_mask_and_the_example_of_the_documentation():
    layer = SparseConv2D(64, 3, sparsity=0.9, padding="same", seed=0)
    assert layer(ops.ones((1, 8, 8, 32))).shape == (1, 8, 8, 64)
    assert layer.mask.shape == (32, 64)
    assert set(layer.mask.sum(axis=0)) == {4}
    np.testing.assert_array_equal(layer.mask, RandomFanIn(sparsity=0.9, seed=0)(32, 64))
    # The same pattern at every position.
    np.testing.assert_array_equal(layer.dense_kernel() != 0, np.broadcast_to(layer.mask, (3, 3, 32, 64)))


@pytest.mark.parametrize("format", ["masked", "compact"])
def test_each_filter_sees_its_channels_only(format):
    x = images(1, 4, 4, 3)
    mask = np.array([[1, 0], [0, 1], [1, 0]])
    layer = SparseConv2D(2, 1, topology=mask, format=format, kernel_initializer="ones", bias_initializer="ones")
    expected = np.stack([x[..., 0] + x[..., 2] + 1, x[..., 1] + 1], axis=-1)
    np.testing.assert_allclose(numpy(layer(x)), expected, rtol=1e-6)


@pytest.mark.parametrize("format", ["masked", "compact"])
def test_nothing_connected_leaves_the_bias(format):
    layer = SparseConv2D(3, 2, topology=np.zeros((4, 3)), format=format, bias_initializer="ones")
    np.testing.assert_array_equal(numpy(layer(ops.ones((2, 5, 5, 4)))), np.ones((2, 4, 4, 3)))


def test_groups_are_a_block_diagonal_mask():
    x = images(2, 5, 5, 6)
    grouped = keras.layers.Conv2D(4, 3, groups=2)
    answer = numpy(grouped(x))
    layer = SparseConv2D(4, 3, topology=np.kron(np.eye(2), np.ones((3, 2))))
    layer.build(x.shape)
    kernel = np.zeros((3, 3, 6, 4))
    kernel[:, :, :3, :2], kernel[:, :, 3:, 2:] = numpy(grouped.kernel)[..., :2], numpy(grouped.kernel)[..., 2:]
    layer.set_dense_kernel(kernel)
    np.testing.assert_allclose(numpy(layer(x)), answer, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_fully_connected_it_trains_as_keras_conv2d(optimizer):
    x = images(4, 7, 7, 3)
    arguments = {"strides": 2, "padding": "same", "activation": "tanh"}
    results = []
    for kind, own in ((SparseConv2D, {"sparsity": 0, "seed": 0}), (keras.layers.Conv2D, {})):
        keras.utils.set_random_seed(1)
        layer = kind(5, 3, **arguments, **own)
        losses = trained(layer, x, OPTIMIZERS[optimizer]())
        results.append([losses, *map(numpy, layer.trainable_variables)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert results[0][0][-1] < results[0][0][0]


def test_fully_connected_it_starts_and_answers_as_keras_conv2d():
    answers = []
    for kind, own in ((SparseConv2D, {"sparsity": 0, "seed": 0}), (keras.layers.Conv2D, {})):
        keras.utils.set_random_seed(1)
        layer = kind(5, (3, 2), dilation_rate=2, bias_initializer="random_normal", activation="relu", **own)
        answers.append(numpy(layer(images(2, 9, 8, 3))))
    np.testing.assert_array_equal(*answers)


# Kernel size, block size, and the arguments that both formats get.
CASES = [
    (3, 1, {"padding": "same"}),
    ((2, 3), 1, {"strides": 2, "padding": "same", "use_bias": False}),
    (3, 1, {"strides": (2, 1), "padding": "same"}),
    (2, 1, {"dilation_rate": (2, 1), "padding": "same", "activation": "tanh"}),
    (3, 2, {"strides": (2, 3), "padding": "same"}),
    (3, 2, {"dilation_rate": 2}),
    ((3, 2), 3, {"padding": "same", "dilation_rate": (1, 2)}),
    (1, 2, {"strides": 2, "activation": "tanh"}),
]


@pytest.mark.parametrize(("kernel_size", "block_size", "arguments"), CASES, ids=str)
def test_compact_equals_masked_forward_and_backward(kernel_size, block_size, arguments):
    uneven = RandomEdge(sparsity=0.6, block_size=block_size, seed=3)
    x = images(2, 8, 7, 4 * block_size)
    one, other = (
        SparseConv2D(
            3 * block_size, kernel_size, topology=uneven, format=format, kernel_initializer="zeros", **arguments
        )
        for format in ("masked", "compact")
    )
    # Side by side in one model, which is compiled once.
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, [one(inputs), other(inputs)])
    start = images(*one.kernel.shape)
    one.set_dense_kernel(start)
    other.set_dense_kernel(start)
    np.testing.assert_array_equal(one.mask, other.mask)
    np.testing.assert_array_equal(one.dense_kernel(), start * one.mask)
    np.testing.assert_array_equal(other.dense_kernel(), start * one.mask)
    answers = [numpy(answer) for answer in model(x)]
    np.testing.assert_allclose(*answers, rtol=1e-4, atol=1e-5)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), ["mse", "mse"], jit_compile=COMPILED)
    y = np.random.default_rng(1).normal(size=answers[0].shape)
    for _ in range(3):
        losses = model.train_on_batch(x, [y, y])
    np.testing.assert_allclose(losses[1], losses[2], rtol=1e-4)
    np.testing.assert_allclose(one.dense_kernel(), other.dense_kernel(), rtol=1e-4, atol=1e-5)
    assert not np.allclose(one.dense_kernel(), start * one.mask)
    assert np.all(other.dense_kernel()[:, :, ~other.mask] == 0)
    if one.use_bias:
        np.testing.assert_allclose(numpy(one.bias), numpy(other.bias), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("block_size", [1, 2])
def test_images_of_any_size(block_size):
    topology = Expander(sparsity=0.5, block_size=block_size, seed=0)
    model = keras.Sequential(
        [keras.Input((None, None, 4)), SparseConv2D(4, 3, topology=topology, padding="same", format="compact")]
    )
    assert model.output_shape == (None, None, None, 4)
    for size in (7, 9):
        x = images(2, size, 6, 4)
        expected = ops.conv(x, model.layers[0].dense_kernel(), padding="same")
        np.testing.assert_allclose(numpy(model(x)), numpy(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("block_size", [1, 2])
def test_channels_first_is_channels_last_transposed(block_size):
    arguments = {"padding": "same", "strides": 2, "topology": Expander(sparsity=0.5, block_size=block_size, seed=0)}
    x = images(2, 7, 8, 4)
    last = SparseConv2D(6, 3, **arguments, bias_initializer="ones")
    expected = numpy(last(x))
    for format in ("masked", "compact"):
        first = SparseConv2D(6, 3, **arguments, format=format, data_format="channels_first", bias_initializer="ones")
        first.build((None, 4, 7, 8))
        first.set_dense_kernel(last.dense_kernel())
        answer = numpy(first(np.transpose(x, (0, 3, 1, 2))))
        assert first.compute_output_shape((2, 4, 7, 8)) == answer.shape == (2, 6, 4, 4)
        np.testing.assert_allclose(np.transpose(answer, (0, 2, 3, 1)), expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(first.mask, last.mask)


def test_channels_first_trains_compact():
    x = images(2, 4, 6, 6)
    layer = SparseConv2D(3, 3, sparsity=0.5, format="compact", data_format="channels_first")
    losses = trained(layer, x, keras.optimizers.SGD(0.1))
    assert losses[-1] < losses[0]


def test_a_compact_layer_stores_one_value_for_each_connection_and_position():
    layer = SparseConv2D(64, (3, 2), sparsity=0.75, format="compact", use_bias=False)
    layer.build((None, 8, 8, 32))
    assert layer.values.shape == (8 * 64, 3, 2)
    assert layer.trainable_variables == [layer.values]
    blocked = SparseConv2D(64, 3, sparsity=0.75, format="compact", block_size=4)
    blocked.build((None, 8, 8, 32))
    assert blocked.values.shape == (2 * 16, 3, 3, 4, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SparseConv2D(4, 3, groups=2), "`groups` of SparseConv2D"),
        (lambda: SparseConv2D(4, 3, groups=2), "must be 1. Received: groups=2. Pass the groups as connections"),
        # The strides where Keras has them.
        (lambda: SparseConv2D(4, 3, 2), "`sparsity` of SparseConv2D"),
        (lambda: SparseConv2D(4, 3, "relu"), "must be a number in [0, 1). Received: sparsity='relu'"),
        (lambda: SparseConv2D(4, 0), "kernel_size"),
        (lambda: SparseConv2D(4, 3, strides=2, dilation_rate=2), "dilation_rate"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError) as caught:
        make()
    assert message in str(caught.value)


@pytest.mark.parametrize("format", ["masked", "compact"])
def test_an_image_smaller_than_the_kernel(format):
    with pytest.raises(ValueError, match="output"):
        SparseConv2D(4, 5, format=format)(ops.ones((1, 3, 3, 8)))


def test_quantization_is_refused_as_for_keras_conv2d():
    layer = SparseConv2D(4, 3)
    layer.build((None, 8, 8, 16))
    with pytest.raises(NotImplementedError, match="does not have a `quantize` method"):
        layer.quantize("int8")
