"""The operations in C++, from TensorFlow: numbers, gradients, where they run and where they give way."""

import functools
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse as ks
from keras_sparse.kernels import native

pytestmark = pytest.mark.skipif(native.refusal("float32") is not None, reason=str(native.refusal("float32")))

IMPLEMENTATION = {"format": "compact", "implementation": "native", "seed": 0}


def mask(rng, fan_in, fan_out, density=0.3):
    """Uneven: the first output reads everything, the last nothing."""
    connected = rng.random((fan_in, fan_out)) < density
    connected[:, 0], connected[:, -1] = True, False
    return connected


def gradients(layer, x, dy):
    """Output, gradients to the input and to the dense kernel and the bias, as float64."""
    x = tf.constant(x, layer.compute_dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    dx, dkernel, dbias = tape.gradient(
        y, [x, layer.trained_kernel.value, layer.bias.value], output_gradients=tf.constant(dy, y.dtype)
    )
    c = layer.connections
    if layer.format == "compact":
        dense = np.zeros((*layer.positions, c.fan_in, c.fan_out))
        dense[..., c.inputs, c.outputs] = np.moveaxis(dkernel.numpy(), 0, -1)
        dense = dense.reshape(layer.dense_kernel().shape)
    else:
        dense = dkernel.numpy() * layer.mask
    return [np.asarray(one, "float64") for one in (y, dx, dense, dbias)]


def compare(make, x, kernel_shape, rng):
    compact, masked = make(dtype="float32", **IMPLEMENTATION), make(dtype="float64", format="masked", seed=0)
    shape = compact.compute_output_shape(x.shape)
    dy, kernel = rng.normal(size=shape), rng.normal(size=kernel_shape)
    for layer in (compact, masked):
        layer.build(x.shape)
        layer.set_dense_kernel(kernel)
    assert compact.implementation_in_use == "native"
    for fast, plain in zip(gradients(compact, x, dy), gradients(masked, x, dy), strict=True):
        np.testing.assert_allclose(fast, plain, rtol=0, atol=1e-5 * np.abs(plain).max(initial=1))


@pytest.mark.parametrize("seed", range(12))
def test_a_convolution_agrees_with_the_masked_layer_in_float64(seed):
    rng = np.random.default_rng(seed)
    channels, filters = rng.integers(1, 40, 2)
    kernel = tuple(int(k) for k in rng.integers(1, 6, 2))
    strides = int(rng.integers(1, 4))
    dilation = 1 if strides > 1 else tuple(int(d) for d in rng.integers(1, 4, 2))
    padding = ["same", "valid"][seed % 2]
    x = rng.normal(size=(rng.integers(1, 5), *rng.integers(14, 30, 2), channels))
    topology = mask(rng, channels, filters)

    def make(**arguments):
        return ks.layers.SparseConv2D(
            int(filters),
            kernel,
            topology=topology,
            strides=strides,
            dilation_rate=dilation,
            padding=padding,
            **arguments,
        )

    compare(make, x, (*kernel, channels, filters), rng)


@pytest.mark.parametrize("seed", range(6))
def test_single_weights_of_a_convolution_agree_with_the_masked_layer_in_float64(seed):
    rng = np.random.default_rng(seed)
    channels, filters = rng.integers(1, 40, 2)
    kernel = tuple(int(k) for k in rng.integers(1, 5, 2))
    strides = int(rng.integers(1, 4))
    x = rng.normal(size=(rng.integers(1, 5), *rng.integers(14, 30, 2), channels))
    topology = mask(rng, int(np.prod(kernel)) * channels, filters)

    def make(**arguments):
        padding = ["same", "valid"][seed % 2]
        return ks.layers.MaskedConv2D(
            int(filters), kernel, topology=topology, strides=strides, padding=padding, **arguments
        )

    compare(make, x, (*kernel, channels, filters), rng)


@pytest.mark.parametrize(
    ("shape", "units"), [((1, 5), 37), ((33, 70), 37), ((128, 20), 37), ((3, 4, 17), 37), ((0, 6), 37), ((9, 200), 400)]
)
def test_a_dense_layer_agrees_with_the_masked_layer_in_float64(shape, units):
    rng = np.random.default_rng(0)
    fan_in = shape[-1]
    topology = mask(rng, fan_in, units)
    make = functools.partial(ks.layers.MaskedDense, units, topology=topology)
    compare(make, rng.normal(size=shape), (fan_in, units), rng)


@pytest.mark.parametrize(("strides", "block_size"), [(1, 2), (2, 3)])
def test_blocks_agree_with_the_masked_layer_in_float64(strides, block_size):
    rng = np.random.default_rng(0)
    topology = ks.topologies.RandomEdge(sparsity=0.6, block_size=block_size, seed=1)
    x = rng.normal(size=(3, 9, 8, 12))
    layers = [
        ks.layers.SparseConv2D(18, 3, topology=topology, strides=strides, dtype=dtype, **arguments)
        for dtype, arguments in (
            ("float32", {"format": "compact", "implementation": "native"}),
            ("float64", {"format": "compact", "implementation": "scattered"}),
        )
    ]
    for layer in layers:
        layer.build(x.shape)
        layer.set_dense_kernel(np.cos(np.arange(9 * 12 * 18)).reshape(3, 3, 12, 18))
    dy = rng.normal(size=layers[0].compute_output_shape(x.shape))
    results = []
    for layer in layers:
        one = tf.constant(x, layer.compute_dtype)
        with tf.GradientTape() as tape:
            tape.watch(one)
            y = layer(one)
        both = [one, layer.trained_kernel.value]
        results.append([y, *tape.gradient(y, both, output_gradients=tf.constant(dy, y.dtype))])
    for fast, plain in zip(*results, strict=True):
        np.testing.assert_allclose(fast, plain, atol=1e-4)


def test_channels_first():
    layers = [
        ks.layers.SparseConv2D(6, 3, sparsity=0.5, data_format=where, **IMPLEMENTATION)
        for where in ("channels_last", "channels_first")
    ]
    x = np.random.default_rng(0).normal(size=(2, 8, 9, 5)).astype("float32")
    first = np.transpose(x, (0, 3, 1, 2))
    layers[0].build(x.shape)
    layers[1].build(first.shape)
    layers[1].set_weights(layers[0].get_weights())
    np.testing.assert_allclose(np.transpose(layers[1](first), (0, 2, 3, 1)), layers[0](x), atol=1e-6)


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_whole_numbers_are_read_as_floats(dtype):
    layers = [
        ks.layers.MaskedDense(4, sparsity=0.5, kernel_initializer=keras.initializers.Constant(0.3), **arguments)
        for arguments in (IMPLEMENTATION, {"format": "masked", "seed": 0})
    ]
    x = np.arange(12).reshape(2, 6)
    np.testing.assert_allclose(layers[0](x.astype(dtype)), layers[1](x.astype("float32")), rtol=1e-6)


def test_second_derivatives_are_those_of_the_masked_layer():
    rng = np.random.default_rng(0)
    x, direction = rng.normal(size=(2, 6, 6, 4)).astype("float32"), rng.normal(size=(3, 3, 4, 5)).astype("float32")
    products = []
    for arguments in (IMPLEMENTATION, {"format": "masked", "seed": 0}):
        layer = ks.layers.SparseConv2D(5, 3, sparsity=0.5, kernel_initializer="zeros", strides=2, **arguments)
        layer.build(x.shape)
        layer.set_dense_kernel(np.sin(np.arange(180)).reshape(3, 3, 4, 5))
        along = layer.mask * direction
        if layer.format == "compact":
            c = layer.connections
            along = np.moveaxis(along[..., c.inputs, c.outputs], -1, 0)
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                loss = tf.reduce_sum(tf.exp(0.3 * layer(x)))
            gradient = inner.gradient(loss, layer.trained_kernel.value)
            slope = tf.reduce_sum(gradient * along)
        second = outer.gradient(slope, layer.trained_kernel.value)
        if layer.format == "compact":
            dense = np.zeros((3, 3, 4, 5), "float32")
            dense[..., c.inputs, c.outputs] = np.moveaxis(second.numpy(), 0, -1)
            second = dense
        products.append(np.asarray(second) * layer.mask)
    np.testing.assert_allclose(*products, rtol=1e-4, atol=1e-4)


def model(**arguments):
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            ks.layers.SparseConv2D(8, 3, sparsity=0.5, activation="relu", **arguments),
            keras.layers.Flatten(),
            ks.layers.MaskedDense(4, sparsity=0.8, **arguments),
        ]
    )


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(32, 8, 8, 3)).astype("float32"), rng.integers(0, 4, 32)


def losses(jit_compile=False, policy="float32", **arguments):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    one = model(**arguments)
    one.compile("adam", keras.losses.SparseCategoricalCrossentropy(True), jit_compile=jit_compile)
    return one.fit(*data(), batch_size=8, epochs=3, verbose=0, shuffle=False).history["loss"]


def test_fit_learns_the_same_as_with_stock_operations():
    np.testing.assert_allclose(
        losses(**IMPLEMENTATION), losses(**{**IMPLEMENTATION, "implementation": "scattered"}), rtol=1e-4
    )


def test_under_xla_the_layer_falls_back_and_says_so_once():
    with pytest.warns(UserWarning, match="XLA"):
        compiled = losses(jit_compile=True, **IMPLEMENTATION)
    np.testing.assert_allclose(compiled, losses(**IMPLEMENTATION), rtol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses(jit_compile=True, **{**IMPLEMENTATION, "implementation": "auto"})  # may choose as it likes


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_computes_in_float32(policy):
    np.testing.assert_allclose(losses(policy=policy, **IMPLEMENTATION), losses(**IMPLEMENTATION), rtol=0.05)


def test_float64_takes_another_way():
    layer = ks.layers.MaskedDense(3, sparsity=0.5, dtype="float64", **IMPLEMENTATION)
    with pytest.warns(UserWarning, match="float64"):
        layer(tf.ones((2, 4), "float64"))
    assert layer.implementation_in_use != "native"


def test_a_saved_model_runs_and_can_be_trained_further(tmp_path):
    one = model(**IMPLEMENTATION)
    x, _ = data()
    expected = one(x)
    one.export(str(tmp_path / "saved"), verbose=False)
    again = tf.saved_model.load(str(tmp_path / "saved"))
    with tf.GradientTape() as tape:
        y = again.serve(x)
    np.testing.assert_allclose(y, expected, atol=1e-6)
    assert all(gradient is not None for gradient in tape.gradient(y, again.trainable_variables))


LOAD = """
import sys
import tensorflow as tf
import keras_sparse as ks
ks.kernels.native.load()
again = tf.saved_model.load(sys.argv[1])
with tf.GradientTape() as tape:
    y = again.serve(tf.ones((2, 8, 8, 3)))
assert all(gradient is not None for gradient in tape.gradient(y, again.trainable_variables))
print(float(tf.reduce_sum(y)))
"""


def test_a_saved_model_in_another_process(tmp_path):
    one = model(**IMPLEMENTATION)
    one.export(str(tmp_path / "saved"), verbose=False)
    command = [sys.executable, "-c", LOAD, str(tmp_path / "saved")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    total = float(tf.reduce_sum(one(tf.ones((2, 8, 8, 3)))))
    np.testing.assert_allclose(float(done.stdout.split()[-1]), total, rtol=1e-4)


def test_threads_that_ask_at_once():
    script = (
        "import threading\nfrom keras_sparse.kernels import native\nfound = []\n"
        "threads = [threading.Thread(target=lambda: found.append(native.refusal('float32'))) for _ in range(4)]\n"
        "[t.start() for t in threads], [t.join() for t in threads]\nprint(found)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "[None, None, None, None]", done.stderr


@pytest.mark.parametrize(
    ("inputs", "outputs"), [([0, 4], [0, 1]), ([-1, 0], [0, 1]), ([0, 1], [0, 3]), ([0, 1], [1, 0]), ([0], [0, 1])]
)
def test_indices_outside_are_refused_by_each_operation(inputs, outputs):
    operations = pytest.importorskip("keras_sparse.kernels.native.tensorflow").operations()
    x, dy = tf.ones((1, 1, 5, 4)), tf.ones((1, 1, 5, 3))
    index = {"inputs": tf.constant(inputs), "outputs": tf.constant(outputs)}
    values = tf.ones((len(inputs), 1, 1))
    for run in (
        lambda: operations.keras_sparse_product(x=x, values=values, filters=3, **index),
        lambda: operations.keras_sparse_product_gradient_to_inputs(x_shape=(1, 1, 5, 4), dy=dy, values=values, **index),
        lambda: operations.keras_sparse_product_gradient_to_values(x=x, dy=dy, kernel_size=[1, 1], **index),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match="`inputs` and `outputs`"):
            run()


def test_connections_that_move_are_looked_at_and_ordered_again():
    # The operations keep what they know of indices as long as these are the same tensors.
    product = pytest.importorskip("keras_sparse.kernels.native.tensorflow").product
    rng = np.random.default_rng(0)
    x, dy, values = (tf.constant(rng.normal(size=s), "float32") for s in [(4, 1, 1, 6), (4, 1, 1, 5), (8, 1, 1)])
    inputs, outputs = tf.Variable([0, 1, 2, 3, 4, 5, 0, 1]), tf.Variable([0, 0, 1, 1, 2, 3, 4, 4])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch([x, values])
            y = product(x, values, inputs, outputs, filters=5)
        return y, *tape.gradient(y, [x, values], output_gradients=dy)

    def check():
        kernel = np.zeros((6, 5))
        kernel[inputs.numpy(), outputs.numpy()] = values[:, 0, 0]
        rows, errors = x[:, 0, 0].numpy(), dy[:, 0, 0].numpy()
        expected = rows @ kernel, errors @ kernel.T, (rows.T @ errors)[inputs.numpy(), outputs.numpy()]
        for result, plain in zip(step(), expected, strict=True):
            np.testing.assert_allclose(np.reshape(result, plain.shape), plain, rtol=1e-5, atol=1e-5)

    check()
    check()
    inputs.assign([5, 4, 3, 2, 1, 0, 3, 5])
    check()
    outputs.scatter_nd_update([[0], [7]], [0, 3])  # in place, as far as its reader can tell
    with pytest.raises(tf.errors.InvalidArgumentError, match="never decrease"):
        step()
    outputs.scatter_nd_update([[7]], [4])
    inputs.assign_add([0, 0, 0, 0, 0, 5, 0, 0])
    check()
    inputs.assign_add([0, 0, 0, 0, 0, 1, 0, 0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="must lie inside"):
        step()
    inputs.assign_sub([0, 0, 0, 0, 0, 1, 0, 0])
    check()


def test_the_same_result_every_time():
    layer = ks.layers.SparseConv2D(70, 3, sparsity=0.8, padding="same", **IMPLEMENTATION)
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(8, 20, 20, 48)), rng.normal(size=(8, 20, 20, 70))
    layer.build(x.shape)
    first = gradients(layer, x, dy)
    for _ in range(3):
        for one, again in zip(first, gradients(layer, x, dy), strict=True):
            np.testing.assert_array_equal(one, again)
