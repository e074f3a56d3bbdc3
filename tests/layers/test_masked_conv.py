"""Convolutions in which each weight is a connection of its own."""

import math

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_sparse.layers import MaskedConv1D, MaskedConv2D, MaskedConv3D, SparseConv2D
from tensors import numpy

COMPILED = keras.backend.backend() == "jax"
SIZES = {1: (9,), 2: (7, 6), 3: (4, 5, 4)}
KINDS = {1: (MaskedConv1D, layers.Conv1D), 2: (MaskedConv2D, layers.Conv2D), 3: (MaskedConv3D, layers.Conv3D)}
# Dimensions and arguments: what Keras's layers can be asked for.
CASES = {
    "1D": (1, {"padding": "same", "activation": "tanh"}),
    "1D causal": (1, {"padding": "causal"}),
    "1D causal, dilated": (1, {"padding": "causal", "dilation_rate": 2}),
    "1D causal, strided": (1, {"padding": "causal", "strides": 2, "use_bias": False}),
    "1D grouped": (1, {"groups": 2}),
    "2D": (2, {"kernel_size": (3, 2), "activation": "tanh", "bias_initializer": "random_normal"}),
    "2D strided": (2, {"strides": (2, 1), "padding": "same"}),
    "2D dilated": (2, {"dilation_rate": 2}),
    "2D grouped": (2, {"groups": 2, "use_bias": False}),
    "3D": (3, {"kernel_size": 2, "strides": 2}),
    "3D same": (3, {"kernel_size": (1, 2, 3), "padding": "same"}),
}


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def pair(case, **own):
    rank, arguments = CASES[case]
    arguments = {"filters": 6, "kernel_size": 3, **arguments}
    result = []
    for kind, extra in zip(KINDS[rank], (own, {}), strict=True):
        keras.utils.set_random_seed(1)
        result.append(kind(**arguments, **extra))
    return *result, normal(2, *SIZES[rank], 4)


@pytest.mark.parametrize("case", CASES)
def test_all_connected_it_equals_the_layer_of_keras(case):
    layer, stock, x = pair(case, sparsity=0)
    answers = [numpy(one(x)) for one in (layer, stock)]
    np.testing.assert_array_equal(*answers)
    assert layer.mask.shape == tuple(stock.kernel.shape)
    assert layer.compute_output_shape(x.shape) == answers[0].shape


@pytest.mark.parametrize("case", CASES)
def test_it_equals_the_layer_of_keras_with_zeros_in_its_kernel(case):
    layer, stock, x = pair(case, sparsity=0.6, seed=0)
    layer(x), stock(x)
    kernel = numpy(stock.kernel)
    assert layer.mask.shape == kernel.shape
    assert 0.5 < 1 - layer.mask.mean() < 0.7
    layer.set_dense_kernel(kernel)
    np.testing.assert_array_equal(layer.dense_kernel(), kernel * layer.mask)
    assert layer.connected_weights == layer.mask.sum()
    assert layer.dense_weights == kernel.size
    stock.kernel.assign(kernel * layer.mask)
    if stock.bias is not None:
        stock.bias.assign(numpy(layer.bias))
    np.testing.assert_array_equal(numpy(layer(x)), numpy(stock(x)))


# The compact product needs no convolution; TensorFlow convolves channels_last only on a CPU.
@pytest.mark.parametrize("format", ["compact"] if keras.backend.backend() == "tensorflow" else ["masked", "compact"])
def test_channels_first(format):
    x = normal(2, 4, 7, 6)
    layer = MaskedConv2D(6, 3, sparsity=0.5, seed=0, data_format="channels_first", format=format)
    last = layers.Conv2D(6, 3, data_format="channels_last")
    answer = numpy(layer(x))
    last.build((2, 7, 6, 4))
    last.set_weights([layer.dense_kernel(), numpy(layer.bias)])
    np.testing.assert_allclose(answer, numpy(last(x.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2), rtol=1e-4, atol=1e-5)


def test_channels_first_has_its_mask():
    layer = MaskedConv2D(6, 3, sparsity=0.5, seed=0, data_format="channels_first")
    layer.build((None, 4, 7, 6))
    assert layer.mask.shape == (3, 3, 4, 6)


@pytest.mark.parametrize("case", ["1D causal", "1D grouped", "2D grouped", "3D"])
def test_cut_weights_stay_exactly_zero(case):
    layer, _, x = pair(case, sparsity=0.6, seed=0)
    network = keras.Sequential([keras.Input(x.shape[1:]), layer])
    network.compile(keras.optimizers.AdamW(0.1, weight_decay=0.1), "mse", jit_compile=COMPILED)
    y = normal(*numpy(network(x)).shape)
    before, mask = layer.dense_kernel(), layer.mask
    for _ in range(3):
        network.train_on_batch(x, y)
    kernel = numpy(layer.trained_kernel)
    assert (kernel[~mask] == 0).all()
    assert (kernel[mask] != before[mask]).all()
    moved = mask.copy().ravel()[::-1].reshape(mask.shape)
    layer.set_mask(moved)
    assert (numpy(layer.trained_kernel)[moved & ~mask] == 0).all()
    for _ in range(2):
        network.train_on_batch(x, y)
    kernel = numpy(layer.trained_kernel)
    assert (kernel[~moved] == 0).all()  # although there is momentum
    assert (kernel[moved] != 0).all()


@pytest.mark.parametrize("case", ["2D", "2D strided", "2D dilated"])
def test_compact_equals_masked_forward_and_backward(case):
    one, _, x = pair(case, sparsity=0.7, seed=3)
    other, _, _ = pair(case, sparsity=0.7, seed=3, format="compact")
    inputs = keras.Input(x.shape[1:])
    network = keras.Model(inputs, [one(inputs), other(inputs)])
    np.testing.assert_array_equal(one.mask, other.mask)
    assert tuple(other.values.shape) == (one.mask.sum(),)
    other.set_dense_kernel(one.dense_kernel())
    np.testing.assert_array_equal(one.dense_kernel(), other.dense_kernel())
    other.bias.assign(numpy(one.bias))  # a buffer of its own, on JAX
    answers = [numpy(answer) for answer in network(x)]
    np.testing.assert_allclose(*answers, rtol=1e-4, atol=1e-5)
    assert answers[0].std() > 0.1
    start = one.dense_kernel()
    network.compile(keras.optimizers.SGD(0.5, momentum=0.9), ["mse", "mse"], jit_compile=COMPILED)
    y = normal(*answers[0].shape)
    for _ in range(3):
        results = network.train_on_batch(x, [y, y])
    np.testing.assert_allclose(results[1], results[2], rtol=1e-5)
    np.testing.assert_allclose(one.dense_kernel(), other.dense_kernel(), rtol=1e-3, atol=1e-5)
    assert np.abs(one.dense_kernel() - start).max() > 0.01


@pytest.mark.parametrize(("kernel_size", "implementation"), [(1, "gather"), (1, "scattered"), (3, "gather")])
def test_compact_by_name_equals_masked(kernel_size, implementation):
    arguments = {"kernel_size": kernel_size, "sparsity": 0.6, "strides": 2, "padding": "same", "seed": 0}
    masked = MaskedConv2D(5, **arguments)
    compact = MaskedConv2D(5, format="compact", implementation=implementation, **arguments)
    x = np.random.default_rng(0).normal(size=(2, 7, 8, 4)).astype("float32")
    masked.build(x.shape)
    compact.build(x.shape)
    compact.set_dense_kernel(masked.dense_kernel())
    np.testing.assert_allclose(numpy(compact(x)), numpy(masked(x)), rtol=1e-4, atol=1e-5)


def test_compact_with_blocks_and_moved_connections():
    layer = MaskedConv2D(6, 2, sparsity=0.5, seed=0, format="compact", block_size=2)
    x = normal(2, 5, 5, 4)
    before = numpy(layer(x))
    dense = layers.Conv2D(6, 2)
    dense.build(x.shape)
    dense.set_weights([layer.dense_kernel(), numpy(layer.bias)])
    np.testing.assert_allclose(before, numpy(dense(x)), rtol=1e-4, atol=1e-5)
    mask = layer.mask.reshape(8, 2, 3, 2)[::-1].reshape(2, 2, 4, 6)
    kernel = layer.dense_kernel()
    layer.set_mask(mask)
    np.testing.assert_array_equal(layer.mask, mask)
    np.testing.assert_array_equal(layer.dense_kernel(), kernel * mask)


@pytest.mark.parametrize("case", ["1D causal", "2D grouped", "3D same"])
@pytest.mark.parametrize("format", ["masked", "compact"])
def test_save_and_load(case, format, tmp_path):
    case = "2D dilated" if format == "compact" else case
    layer, _, x = pair(case, sparsity=0.6, format=format, name="it")
    network = keras.Sequential([keras.Input(x.shape[1:]), layer])
    layer.set_mask(layer.mask.ravel()[::-1].reshape(layer.mask.shape))
    layer.set_dense_kernel(normal(*layer.mask.shape))
    network.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert type(again.get_layer("it")) is type(layer)
    np.testing.assert_array_equal(again.get_layer("it").mask, layer.mask)
    np.testing.assert_array_equal(numpy(again(x)), numpy(network(x)))


@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize("format", ["masked", "compact"])
def test_the_variance_follows_the_connected_fan(mode, format):
    """Half of the filters see a tenth of their inputs, the others all: outputs vary alike."""
    mask = np.random.default_rng(0).random((3 * 3 * 40, 60)) < 0.1
    mask[:, 30:] = True
    if mode == "fan_out":
        mask = np.zeros((9, 40, 60), dtype=bool)
        mask[:, :20] = np.random.default_rng(0).random((9, 20, 60)) < 0.1
        mask[:, 20:] = True
        mask = mask.reshape(360, 60)
    initializer = keras.initializers.VarianceScaling(2.0, mode=mode, distribution="untruncated_normal", seed=1)
    layer = MaskedConv2D(60, 3, topology=mask, kernel_initializer=initializer, format=format)
    layer.build((None, 8, 8, 40))
    mask, kernel = layer.mask, layer.dense_kernel()
    assert (kernel[~mask] == 0).all()
    if mode == "fan_in":
        halves = [(mask[..., :30], kernel[..., :30]), (mask[..., 30:], kernel[..., 30:])]
        fans = [half.reshape(-1, 30).sum(axis=0).mean() for half, _ in halves]
    else:
        halves = [(mask[:, :, :20], kernel[:, :, :20]), (mask[:, :, 20:], kernel[:, :, 20:])]
        # Each input of a channel is read at each position of the window by its own connections.
        fans = [9 * half.sum(axis=-1).mean() for half, _ in halves]
    assert fans[0] == pytest.approx(0.1 * fans[1], rel=0.1)
    for (half, weights), fan in zip(halves, fans, strict=True):
        assert weights[half].var() * fan == pytest.approx(2.0, rel=0.12)


def test_other_initializers_are_left_as_they_are():
    layer = MaskedConv1D(4, 3, sparsity=0.5, seed=0, kernel_initializer="ones")
    layer.build((None, 9, 4))
    np.testing.assert_array_equal(numpy(layer.kernel), layer.mask)


def test_a_weight_is_a_connection_and_not_a_pair_of_channels():
    layer = MaskedConv2D(64, 3, sparsity=0.9, seed=0)
    layer(ops.ones((1, 8, 8, 32)))
    assert layer.mask.shape == (3, 3, 32, 64)
    assert layer.mask.sum() == pytest.approx(0.1 * 3 * 3 * 32 * 64, rel=0.05)
    positions = layer.mask.reshape(9, -1).sum(axis=0)
    assert len(set(positions)) > 2
    assert layer.connections.fan_in == math.prod((3, 3, 32))
    channels = SparseConv2D(64, 3, sparsity=0.9, seed=0)
    channels(ops.ones((1, 8, 8, 32)))
    assert channels.mask.shape == (32, 64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MaskedConv1D(4, 3, format="compact"), "`format` of MaskedConv1D"),
        (lambda: MaskedConv1D(4, 3, format="compact"), "'masked', except for MaskedConv2D with groups=1"),
        (lambda: MaskedConv3D(4, 3, format="compact"), "Received: format='compact'"),
        (lambda: MaskedConv2D(4, 3, groups=2, format="compact"), "Received besides: groups=2"),
        (
            lambda: MaskedConv2D(4, 3, format="compact", block_size=2, implementation="native"),
            "'auto', 'blocked' or 'scattered' with block_size > 1",
        ),
        (lambda: MaskedConv2D(4, 3, format="dense"), "must be one of 'masked', 'compact'"),
        (lambda: MaskedConv2D(4, 3, sparsity=1.0), "must be a number in [0, 1)"),
        (lambda: MaskedConv2D(4, 3, padding="causal"), "causal"),
        (lambda: MaskedConv2D(4, 3).build((None, 2, 2, 3)), "Computed output size would be zero or negative"),
        (lambda: MaskedConv2D(4, 3, topology=np.ones((9, 4))).build((None, 5, 5, 3)), "(fan_in, fan_out) = (27, 4)"),
        (lambda: MaskedConv2D(4, 3, groups=2).build((None, 5, 5, 3)), "groups"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def test_a_mask_of_another_shape_is_refused():
    layer = MaskedConv2D(4, 3, sparsity=0.5)
    layer.build((None, 5, 5, 3))
    with pytest.raises(ValueError, match=r"`mask` of MaskedConv2D .* must be of shape \(3, 3, 3, 4\)"):
        layer.set_mask(np.ones((3, 4), dtype=bool))
