"""All ways to compute a product from values and indices, forward and both gradients, beside plain NumPy in float64."""

import itertools
import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_sparse.gradients import _differentiate
from keras_sparse.kernels import compact, connected_product, gather
from keras_sparse.topologies import Connections

BACKEND = keras.backend.backend()


def numpy(tensor):
    return np.array(ops.convert_to_numpy(ops.cast(tensor, "float64")))


def ways(block_size):
    return ["scattered", "gather" if block_size == 1 else "blocked"]


def connections(fan_in, fan_out, block_size, degrees, rng):
    """Random pairs: `degrees` is one for all outputs, or "uneven", some of them unconnected, or "none"."""
    rows, columns = fan_in // block_size, fan_out // block_size
    mask = np.zeros((rows, columns), bool)
    for o in range(columns):
        degree = {"uneven": rng.integers(0, rows + 1), "none": 0}.get(degrees, degrees)
        mask[rng.permutation(rows)[:degree], o] = True
    return Connections.from_mask(mask.repeat(block_size, 0).repeat(block_size, 1), block_size)


def kernel(values, pairs):
    """The dense kernel that values stand for, entry by entry."""
    b = pairs.block_size
    positions = values.shape[1:] if b == 1 else values.shape[1:-2]
    dense = np.zeros((*positions, pairs.fan_in, pairs.fan_out))
    for value, i, o in zip(values.reshape(-1, *positions, b, b), pairs.inputs, pairs.outputs, strict=True):
        dense[..., i * b : (i + 1) * b, o * b : (o + 1) * b] = value
    return dense


def of_values(dense, pairs):
    """What stands in a dense kernel in the places of the values."""
    b = pairs.block_size
    taken = [
        dense[..., i * b : (i + 1) * b, o * b : (o + 1) * b] for i, o in zip(pairs.inputs, pairs.outputs, strict=True)
    ]
    shape = (len(pairs), *dense.shape[:-2], *(() if b == 1 else (b, b)))
    return np.reshape(taken, shape)


def draw(pairs, positions, rng):
    b = pairs.block_size
    return rng.normal(size=(len(pairs), *positions, *(() if b == 1 else (b, b))))


def results(function, upstream, *tensors, dtype="float32"):
    """The value of a function, and its gradients."""
    tensors = [ops.convert_to_tensor(each.astype(dtype)) for each in tensors]
    upstream = ops.convert_to_tensor(upstream.astype(dtype))

    def both(tensors):
        gradients = _differentiate(lambda tensors: ops.sum(function(*tensors) * upstream), tensors)
        return function(*tensors), *gradients

    return [numpy(each) for each in compiled(both)(tensors)]


def compiled(function):
    """On JAX, where a compilation of the whole is also quicker than one for each operation."""
    if BACKEND != "jax":
        return function
    import jax

    return jax.jit(function)


def close(found, expected, **tolerances):
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, **{"rtol": 1e-4, "atol": 1e-4, **tolerances})


def dense(pairs, way, fan_out):
    indices = ops.convert_to_tensor(pairs.inputs), ops.convert_to_tensor(pairs.outputs)
    return lambda x, values: compact.dense(x, values, *indices, fan_out, implementation=way)


def dense_case(block_size, degrees, leading=(5,), seed=0, sizes=(6, 4)):
    """Connections, the arguments of `results` for a product, and what is expected of it."""
    rng = np.random.default_rng(seed)
    pairs = connections(sizes[0] * block_size, sizes[1] * block_size, block_size, degrees, rng)
    values, x = draw(pairs, (), rng), rng.normal(size=(*leading, pairs.fan_in))
    matrix, upstream = kernel(values, pairs), rng.normal(size=(*leading, pairs.fan_out))
    weights = x.reshape(-1, pairs.fan_in).T @ upstream.reshape(-1, pairs.fan_out)
    return pairs, (upstream, x, values), (x @ matrix, upstream @ matrix.T, of_values(weights, pairs))


@pytest.mark.parametrize("degrees", ["uneven", "none", 1, 3, 6])
@pytest.mark.parametrize(("block_size", "leading"), [(1, (5,)), (1, (1, 2, 3)), (2, (2, 3)), (3, (5,)), (8, (4,))])
def test_dense(block_size, leading, degrees):
    pairs, arguments, expected = dense_case(block_size, degrees, leading)
    for way in ways(block_size):
        close(results(dense(pairs, way, pairs.fan_out), *arguments), expected)


@pytest.mark.parametrize("block_size", [1, 4])
def test_dense_with_many_uneven_connections(block_size):
    """Enough of them for groups of several, of which some are half empty."""
    pairs, arguments, expected = dense_case(block_size, "uneven", sizes=(60, 11))
    for way in ways(block_size):
        close(results(dense(pairs, way, pairs.fan_out), *arguments), expected)


@pytest.mark.parametrize("degrees", ["uneven", 4])
@pytest.mark.parametrize("block_size", [1, 2])
def test_in_parts(block_size, degrees, monkeypatch):
    monkeypatch.setattr(connected_product, "PART", 40)
    pairs, arguments, expected = dense_case(block_size, degrees, sizes=(12, 8))
    close(results(dense(pairs, ways(block_size)[1], pairs.fan_out), *arguments), expected)


def windows(size, kernel_size, stride, dilation, padding):
    """By pencil, for one axis: padding in front, and for each output and position of the kernel what it reads."""
    reach = (kernel_size - 1) * dilation
    count = math.ceil(size / stride) if padding == "same" else (size - reach - 1) // stride + 1
    front = max((count - 1) * stride + reach + 1 - size, 0) // 2 if padding == "same" else 0
    return [[o * stride + k * dilation - front for k in range(kernel_size)] for o in range(count)]


def convolved(x, weights, upstream, strides, padding, dilation_rate):
    """Convolution with channels last, and its gradients to `x` and the weights, pixel by pixel."""
    reads = [windows(*axis, padding) for axis in zip(x.shape[1:3], weights.shape, strides, dilation_rate, strict=False)]
    y = np.zeros((len(x), *map(len, reads), weights.shape[-1]))
    upstream = upstream(y.shape)
    to_x, to_weights = np.zeros(x.shape), np.zeros(weights.shape)
    for (i, rows), (j, columns) in itertools.product(*map(enumerate, reads)):
        for (p, row), (q, column) in itertools.product(enumerate(rows), enumerate(columns)):
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                y[:, i, j] += x[:, row, column] @ weights[p, q]
                to_x[:, row, column] += upstream[:, i, j] @ weights[p, q].T
                to_weights[p, q] += x[:, row, column].T @ upstream[:, i, j]
    return upstream, y, to_x, to_weights


CONVOLUTIONS = [
    (1, 2, (3, 3), (1, 1), "valid", (1, 1), "channels_last"),
    (1, "uneven", (3, 3), (1, 1), "same", (1, 1), "channels_last"),
    (1, "uneven", (3, 2), (2, 2), "same", (1, 1), "channels_first"),
    (1, 3, (2, 3), (1, 2), "same", (1, 1), "channels_last"),
    (1, "uneven", (3, 3), (3, 1), "valid", (1, 1), "channels_first"),
    (1, "uneven", (2, 3), (1, 1), "same", (2, 1), "channels_last"),
    (1, "none", (3, 3), (1, 1), "same", (1, 1), "channels_last"),
    (1, "uneven", (1, 1), (1, 1), "valid", (1, 1), "channels_last"),
    (1, 2, (1, 1), (2, 2), "same", (1, 1), "channels_last"),
    (2, "uneven", (3, 3), (1, 1), "valid", (1, 1), "channels_first"),
    (2, 3, (3, 2), (2, 2), "same", (1, 1), "channels_last"),
    (2, "uneven", (2, 3), (1, 1), "same", (2, 1), "channels_last"),
    (2, 2, (2, 3), (1, 1), "valid", (2, 2), "channels_last"),
    (2, "none", (2, 2), (2, 2), "valid", (1, 1), "channels_last"),
    (3, "uneven", (5, 1), (4, 3), "same", (1, 1), "channels_last"),
]


@pytest.mark.parametrize(
    ("case", "few"),
    [(case, few) for case in CONVOLUTIONS for few in ((0, gather.FEW) if case[0] == 1 else (0,))],
    ids=lambda part: "-".join(map(str, part)).replace(" ", "") if isinstance(part, tuple) else None,
)
def test_convolution(case, few, monkeypatch):
    block_size, degrees, kernel_size, strides, padding, dilation_rate, data_format = case
    rng = np.random.default_rng(0)
    pairs = connections(4 * block_size, 3 * block_size, block_size, degrees, rng)
    values = draw(pairs, kernel_size, rng)
    x = rng.normal(size=(2, 9, 7, pairs.fan_in))
    options = strides, padding, dilation_rate
    upstream, *expected = convolved(x, kernel(values, pairs), lambda shape: rng.normal(size=shape), *options)
    expected[2] = of_values(expected[2], pairs)
    if data_format == "channels_first":
        x, upstream, *expected[:2] = (each.transpose(0, 3, 1, 2) for each in (x, upstream, *expected[:2]))
    indices = ops.convert_to_tensor(pairs.inputs), ops.convert_to_tensor(pairs.outputs)
    monkeypatch.setattr(gather, "FEW", few)
    for way in ways(block_size):

        def function(x, values, way=way):
            arguments = (x, values, *indices, pairs.fan_out, *options, data_format)
            return compact.convolution(*arguments, implementation=way)

        close(results(function, upstream, x, values), expected)


# On PyTorch `keras.ops.matmul` itself makes float32 of float64; JAX has none unless asked.
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", *(["float64"] if BACKEND == "tensorflow" else [])])
@pytest.mark.parametrize("block_size", [1, 2])
def test_data_types(block_size, dtype):
    pairs, arguments, expected = dense_case(block_size, "uneven", seed=1)
    tensors = [ops.cast(ops.convert_to_tensor(each.astype("float32")), dtype) for each in arguments[1:]]
    for way in ways(block_size):
        function = dense(pairs, way, pairs.fan_out)
        gradients = _differentiate(lambda tensors, f=function: ops.sum(ops.cast(f(*tensors), "float32") ** 2), tensors)
        for each in (function(*tensors), *gradients):
            assert keras.backend.standardize_dtype(each.dtype) == dtype
        close([numpy(function(*tensors))], expected[:1], atol={"float64": 1e-5}.get(dtype, 0.3))


@pytest.mark.parametrize("degrees", ["uneven", 3])
@pytest.mark.parametrize("block_size", [1, 2])
def test_second_derivatives(block_size, degrees):
    """The gradient of a squared gradient, which is zero where an implementation forgets what it depends on."""
    pairs, (upstream, *arguments), _ = dense_case(block_size, degrees, sizes=(6, 3))
    upstream = ops.convert_to_tensor(upstream.astype("float32"))

    def twice(function, tensors):
        def squares(tensors):
            gradients = _differentiate(lambda tensors: ops.sum((function(*tensors) * upstream) ** 2), tensors)
            return sum(ops.sum(gradient**2) for gradient in gradients)

        return [numpy(each) for each in compiled(lambda tensors: _differentiate(squares, tensors))(tensors)]

    def stock(x, values):
        matrix = 0
        for k, (i, o) in enumerate(zip(pairs.inputs, pairs.outputs, strict=True)):
            at = np.zeros((pairs.fan_in // block_size, pairs.fan_out // block_size), "float32")
            at[i, o] = 1
            matrix += ops.kron(ops.convert_to_tensor(at), ops.reshape(values[k], (block_size, block_size)))
        return ops.matmul(x, matrix)

    tensors = [ops.convert_to_tensor(each.astype("float32")) for each in arguments]
    expected = twice(stock, tensors)
    for way in ways(block_size):
        close(twice(dense(pairs, way, pairs.fan_out), tensors), expected, rtol=1e-3, atol=1e-2)


def test_names_that_do_not_fit():
    pairs, (_, x, values), _ = dense_case(1, 2)
    with pytest.raises(ValueError, match=r"'native', 'gather', 'scattered'.* Received: implementation='blocked'"):
        dense(pairs, "blocked", pairs.fan_out)(x, values)
    with pytest.raises(ValueError, match="one of 'native', 'gather', 'scattered'"):
        dense(pairs, "fast", pairs.fan_out)(x, values)


if BACKEND == "tensorflow":

    @pytest.mark.parametrize("jit_compile", [False, True])
    @pytest.mark.parametrize("block_size", [1, 2])
    def test_connections_that_move_in_a_compiled_step(block_size, jit_compile):
        import tensorflow as tf

        first = dense_case(block_size, 4, sizes=(12, 8))
        rng = np.random.default_rng(3)
        moved = rng.permutation(12 * 8)[: len(first[0])]  # as many, uneven
        mask = np.isin(np.arange(12 * 8), moved).reshape(12, 8)
        pairs = Connections.from_mask(mask.repeat(block_size, 0).repeat(block_size, 1), block_size)
        x, values, upstream = first[1][1], first[1][2], first[1][0]
        matrix = kernel(values, pairs)
        weights = of_values(x.T @ upstream, pairs)
        cases = [(first[0], first[2]), (pairs, (x @ matrix, upstream @ matrix.T, weights))]
        indices = [tf.Variable(first[0].inputs), tf.Variable(first[0].outputs)]
        tensors = [tf.constant(each.astype("float32")) for each in (x, values, upstream)]
        for way in ways(block_size):

            @tf.function(jit_compile=jit_compile)
            def step(x, values, upstream, way=way):
                with tf.GradientTape() as tape:
                    tape.watch((x, values))
                    now = [tf.convert_to_tensor(index) for index in indices]
                    y = compact.dense(x, values, *now, 8 * block_size, implementation=way)
                return y, *tape.gradient(y, (x, values), output_gradients=upstream)

            for where, expected in cases:
                for index, value in zip(indices, (where.inputs, where.outputs), strict=True):
                    index.assign(value)
                close(map(numpy, step(*tensors)), expected)
            assert step.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    ("data_format", "precision"), [("channels_last", "float32"), ("channels_first", "mixed_bfloat16")]
)
def test_batch_and_image_of_any_size(data_format, precision):
    from keras_sparse.layers import MaskedDense, SparseConv2D

    keras.config.set_dtype_policy(precision)
    last = data_format == "channels_last"
    x = keras.Input((None, None, 4) if last else (4, None, None))
    options = {"sparsity": 0.5, "format": "compact", "seed": 0}
    y = SparseConv2D(6, 3, padding="same", data_format=data_format, **options)(x)
    y = SparseConv2D(8, (2, 3), strides=(2, 1), block_size=2, data_format=data_format, **options)(y)
    y = keras.layers.GlobalAveragePooling2D(data_format=data_format)(y)
    model = keras.Model(x, MaskedDense(4, block_size=2, **options)(y))
    model.compile("sgd", "mse", jit_compile=BACKEND == "jax")
    for batch, size in ((3, 6), (2, 9)):
        shape = (batch, size, size, 4) if last else (batch, 4, size, size)
        images = np.random.default_rng(0).normal(size=shape).astype("float32")
        assert np.isfinite(model.train_on_batch(images, np.ones((batch, 4), "float32")))
        assert model(images).shape == (batch, 4)
