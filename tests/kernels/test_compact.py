"""The products of the compact format beside those of `keras.ops` with a dense kernel."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sparse.kernels import compact
from keras_sparse.topologies import Connections, RandomEdge


def numpy(tensor):
    return np.array(ops.convert_to_numpy(tensor))


def kernel(connections, positions=(), seed=0):
    """Random values, and the dense kernel that they stand for, entry by entry."""
    b = connections.block_size
    blocks = () if b == 1 else (b, b)
    shape = (len(connections), *positions, *blocks)
    values = np.random.default_rng(seed).normal(size=shape).astype("float32")
    dense = np.zeros((*positions, connections.fan_in, connections.fan_out), "float32")
    for value, i, o in zip(values.reshape(-1, *positions, b, b), connections.inputs, connections.outputs, strict=True):
        dense[..., i * b : (i + 1) * b, o * b : (o + 1) * b] = value
    return values, dense


def indices(connections):
    return ops.convert_to_tensor(connections.inputs), ops.convert_to_tensor(connections.outputs)


@pytest.mark.parametrize(("block_size", "leading"), [(1, (5,)), (1, (1, 2, 2)), (2, (2, 3)), (3, (5,))])
def test_dense(block_size, leading):
    connections = RandomEdge(sparsity=0.6, block_size=block_size, seed=1).connections(6, 12)
    values, matrix = kernel(connections)
    x = np.random.default_rng(2).normal(size=(*leading, 6)).astype("float32")
    answer = compact.dense(ops.convert_to_tensor(x), ops.convert_to_tensor(values), *indices(connections), 12)
    assert answer.shape == (*leading, 12)
    np.testing.assert_allclose(numpy(answer), x @ matrix, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("block_size", [1, 2])
def test_outputs_that_nothing_reaches_are_zero(block_size):
    mask = np.kron([[1, 0, 1, 0], [1, 0, 0, 0]], np.ones((block_size, block_size)))
    connections = Connections.from_mask(mask, block_size)
    values, matrix = kernel(connections)
    x = np.ones((3, 2 * block_size), "float32")
    arguments = (ops.convert_to_tensor(values), *indices(connections), 4 * block_size)
    answer = numpy(compact.dense(ops.convert_to_tensor(x), *arguments))
    np.testing.assert_allclose(answer, x @ matrix, rtol=1e-5)
    assert np.all(answer[:, ~mask.any(axis=0)] == 0)


@pytest.mark.parametrize(
    ("block_size", "kernel_size", "strides", "padding", "dilation_rate", "data_format"),
    [
        (1, (3, 3), (1, 1), "valid", (1, 1), "channels_last"),
        (1, (3, 2), (2, 2), "same", (1, 1), "channels_first"),
        (1, (2, 3), (1, 2), "same", (1, 1), "channels_last"),
        (1, (3, 3), (3, 1), "valid", (1, 1), "channels_first"),
        (1, (2, 3), (1, 1), "same", (2, 1), "channels_last"),
        (2, (3, 3), (1, 1), "valid", (1, 1), "channels_first"),
        (2, (3, 2), (2, 2), "same", (1, 1), "channels_last"),
        (2, (2, 3), (1, 1), "same", (2, 1), "channels_last"),
        (2, (5, 1), (4, 3), "same", (1, 1), "channels_last"),
    ],
)
def test_convolution(block_size, kernel_size, strides, padding, dilation_rate, data_format):
    connections = RandomEdge(sparsity=0.5, block_size=block_size, seed=1).connections(4, 6)
    values, dense = kernel(connections, kernel_size)
    x = np.random.default_rng(2).normal(size=(2, 9, 7, 4)).astype("float32")
    expected = numpy(ops.conv(x, dense, strides, padding, "channels_last", dilation_rate))
    last = data_format == "channels_last"
    answer = compact.convolution(
        ops.convert_to_tensor(x if last else x.transpose(0, 3, 1, 2)),
        ops.convert_to_tensor(values),
        *indices(connections),
        6,
        strides,
        padding,
        dilation_rate,
        data_format,
    )
    answer = numpy(answer) if last else numpy(answer).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_low_precision_stays_low(dtype):
    connections = RandomEdge(sparsity=0.5, seed=1).connections(4, 6)
    values, matrix = kernel(connections)
    x = np.random.default_rng(2).normal(size=(3, 4)).astype("float32")
    tensors = (ops.cast(ops.convert_to_tensor(each), dtype) for each in (x, values))
    answer = compact.dense(*tensors, *indices(connections), 6)
    assert keras.backend.standardize_dtype(answer.dtype) == dtype
    np.testing.assert_allclose(numpy(ops.cast(answer, "float32")), x @ matrix, atol=0.1)
