import keras
import numpy as np
import pytest
from keras import ops

from keras_sparse.layers import MaskedDense
from keras_sparse.topologies import Expander, RandomEdge
from tensors import numpy

# JAX is slow uncompiled; TensorFlow takes longer to compile than these tests to run.
COMPILED = keras.backend.backend() == "jax"
OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.05),
}


def data(*shape, outputs=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=shape).astype("float32"), rng.normal(size=(*shape[:-1], outputs)).astype("float32")


def trained(layers, x, y, optimizer, steps=5):
    """The losses of `steps` updates."""
    model = keras.Sequential([keras.Input(x.shape[1:]), *layers])
    model.compile(optimizer, "mse", jit_compile=COMPILED)
    return [float(model.train_on_batch(x, y)) for _ in range(steps)]


def test_shape_mask_and_the_example_of_the_documentation():
    layer = MaskedDense(300, sparsity=0.9, topology="expander", activation="relu", seed=0)
    assert layer(ops.ones((2, 784))).shape == (2, 300)
    assert layer.mask.shape == (784, 300)
    assert layer.mask.dtype == bool
    assert layer.mask.sum() == 23520
    np.testing.assert_array_equal(layer.mask, Expander(sparsity=0.9, seed=0)(784, 300))


@pytest.mark.parametrize("format", ["masked", "compact"])
def test_the_product_by_hand(format):
    mask = [[1, 0, 1], [0, 1, 1]]
    layer = MaskedDense(3, topology=mask, format=format, kernel_initializer="ones", bias_initializer="ones")
    np.testing.assert_array_equal(numpy(layer(ops.convert_to_tensor([[1.0, 10.0]]))), [[2.0, 11.0, 12.0]])
    layer.set_dense_kernel([[2, 3, 4], [5, 6, 7]])
    np.testing.assert_array_equal(layer.dense_kernel(), [[2, 0, 4], [0, 6, 7]])
    np.testing.assert_array_equal(numpy(layer(ops.convert_to_tensor([[1.0, 10.0]]))), [[3.0, 61.0, 75.0]])


@pytest.mark.parametrize("format", ["masked", "compact"])
def test_nothing_connected_leaves_the_bias(format):
    layer = MaskedDense(3, topology=np.zeros((4, 3)), format=format, bias_initializer="ones")
    np.testing.assert_array_equal(numpy(layer(ops.ones((2, 4)))), np.ones((2, 3)))


@pytest.mark.parametrize(("optimizer", "shape"), [("adam", (16, 7)), ("momentum", (5, 4, 7))])
def test_fully_connected_it_trains_as_keras_dense(optimizer, shape):
    x, y = data(*shape)
    results = []
    for kind, arguments in ((MaskedDense, {"sparsity": 0, "seed": 0}), (keras.layers.Dense, {})):
        keras.utils.set_random_seed(1)
        layer, head = kind(9, activation="tanh", **arguments), keras.layers.Dense(3)
        losses = trained([layer, head], x, y, OPTIMIZERS[optimizer]())
        results.append([losses, *(numpy(v) for one in (layer, head) for v in one.trainable_variables)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert results[0][0][-1] < results[0][0][0]


def test_fully_connected_it_starts_and_answers_as_keras_dense():
    answers = []
    for kind, arguments in ((MaskedDense, {"sparsity": 0, "seed": 0}), (keras.layers.Dense, {})):
        keras.utils.set_random_seed(1)
        layer = kind(9, **arguments, activation="softmax", bias_initializer="random_normal")
        answers.append(numpy(layer(data(16, 7)[0])))
    np.testing.assert_array_equal(*answers)


@pytest.mark.parametrize("case", range(5))
def test_compact_equals_masked_forward_and_backward(case):
    rng = np.random.default_rng(case)
    block_size = int(rng.choice([1, 1, 2, 3]))
    fan_in, units = (int(n) * block_size for n in rng.integers(2, 8, size=2))
    leading = [(6,), (4, 3)][case // 2 % 2]
    if case % 2:
        topology = RandomEdge(sparsity=0.6, block_size=block_size, seed=case)  # uneven, empty rows and columns too
    else:
        topology = Expander(sparsity=0.5, block_size=block_size, seed=case)
    x, y = data(*leading, fan_in, outputs=units)
    arguments = {"activation": "tanh", "use_bias": case % 3 > 0, "kernel_initializer": "zeros"}
    one, other = (MaskedDense(units, topology=topology, format=format, **arguments) for format in ("masked", "compact"))
    # Side by side in one model, which is compiled once.
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, [one(inputs), other(inputs)])
    start = rng.normal(size=(fan_in, units)).astype("float32")
    one.set_dense_kernel(start)
    other.set_dense_kernel(start)
    np.testing.assert_array_equal(one.mask, other.mask)
    np.testing.assert_array_equal(one.dense_kernel(), start * one.mask)
    np.testing.assert_array_equal(other.dense_kernel(), start * one.mask)
    np.testing.assert_allclose(*map(numpy, model(x)), rtol=1e-5, atol=1e-6)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), ["mse", "mse"], jit_compile=COMPILED)
    for _ in range(5):
        losses = model.train_on_batch(x, [y, y])
    np.testing.assert_allclose(losses[1], losses[2], rtol=1e-5)
    np.testing.assert_allclose(one.dense_kernel(), other.dense_kernel(), rtol=1e-4, atol=1e-5)
    if one.use_bias:
        np.testing.assert_allclose(numpy(one.bias), numpy(other.bias), rtol=1e-4, atol=1e-5)
    assert other.kernel.shape[0] == len(topology.connections(fan_in, units))
    assert not np.allclose(one.dense_kernel(), start * one.mask)


@pytest.mark.parametrize("format", ["masked", "compact"])
def test_any_number_of_leading_axes_of_any_size(format):
    layer = MaskedDense(4, sparsity=0.5, format=format, seed=0)
    model = keras.Sequential([keras.Input((None, None, 6)), layer])
    assert model.output_shape == (None, None, None, 4)
    x = data(2, 3, 5, 6)[0]
    np.testing.assert_allclose(numpy(model(x)), x @ layer.dense_kernel(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(numpy(model(x[:1, :2])), x[:1, :2] @ layer.dense_kernel(), rtol=1e-5, atol=1e-6)


def test_a_compact_layer_stores_one_value_for_each_connection():
    layer = MaskedDense(1000, topology="random_fan_in", sparsity=0.99, format="compact", seed=0)
    layer.build((None, 1000))
    assert layer.values is layer.kernel
    assert layer.values.shape == (10_000,)
    assert sum(np.prod(v.shape) for v in layer.trainable_variables) == 10_000 + 1000
    blocked = MaskedDense(8, sparsity=0.5, format="compact", block_size=2)
    blocked.build((None, 12))
    assert blocked.values.shape == (12, 2, 2)


# Quantization


def quantizable():
    layer = MaskedDense(7, sparsity=0.6, topology="random_edge", seed=1, activation="tanh", name="sparse")
    return keras.Sequential([keras.Input((150,)), layer, keras.layers.Dense(3, name="head")])


def products(layer):
    """The kernel in effect: what each input by itself adds to each unit."""
    zero = numpy(layer(np.zeros((1, layer.mask.shape[0]), "float32")))
    return numpy(layer(np.eye(layer.mask.shape[0], dtype="float32"))) - zero


@pytest.mark.parametrize(("mode", "tolerance"), [("int8", 0.02), ("int4", 0.2)])
def test_a_quantized_model_stays_close_and_its_zeros_stay(mode, tolerance, tmp_path):
    model = quantizable()
    x = data(20, 150)[0]
    exact, mask = numpy(model(x)), model.get_layer("sparse").mask
    model.quantize(mode)
    layer = model.get_layer("sparse")
    assert layer.quantization_mode == mode
    assert np.abs(numpy(model(x)) - exact).max() < tolerance * np.abs(exact).max()
    np.testing.assert_array_equal(layer.mask, mask)
    assert np.all(products(layer)[~mask] == 0)
    assert np.count_nonzero(products(layer)) > mask.sum() / 2
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(numpy(again(x)), numpy(model(x)), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(again.get_layer("sparse").mask, mask)
    assert np.all(products(again.get_layer("sparse"))[~mask] == 0)


@pytest.mark.parametrize(
    ("format", "mode"), [("masked", "float8"), ("masked", "gptq"), ("masked", "awq"), ("compact", "int8")]
)
def test_other_modes_are_refused_with_the_reason(format, mode):
    layer = MaskedDense(4, sparsity=0.5, format=format, name="few")
    layer.build((None, 6))
    configurations = {"gptq": keras.quantizers.GPTQConfig, "awq": keras.quantizers.AWQConfig}
    config = configurations[mode](dataset=None, tokenizer=None) if mode in configurations else None
    with pytest.raises(NotImplementedError) as caught:
        layer.quantize(mode, config=config)
    assert f"Received: mode={mode!r}, format={format!r}" in str(caught.value)
    assert "`mode` of quantize must be 'int8' or 'int4'" in str(caught.value)
    assert 'MaskedDense "few"' in str(caught.value)
    assert "Use `strip(model)` first" in str(caught.value)


def test_a_model_that_cannot_be_quantized_throughout_says_so_and_still_works():
    model = keras.Sequential([keras.Input((6,)), MaskedDense(4, sparsity=0.5, format="compact"), keras.layers.Dense(2)])
    x = data(3, 6)[0]
    exact = numpy(model(x))
    with pytest.warns(UserWarning, match="values without a dense kernel"):
        model.quantize("int8")
    np.testing.assert_allclose(numpy(model(x)), exact, atol=0.05 * np.abs(exact).max())


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_lora_and_quantization_exclude_each_other(mode, tmp_path):
    layer = MaskedDense(4, sparsity=0.5, seed=1)
    model = keras.Sequential([keras.Input((6,)), layer])
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.ones((2, 4)))
    with pytest.raises(NotImplementedError, match=r"which has LoRA enabled.*Save the weights, which merges LoRA"):
        layer.quantize(mode)
    # What the message advises.
    model.save_weights(tmp_path / "merged.weights.h5")
    plain = keras.Sequential([keras.Input((6,)), MaskedDense(4, sparsity=0.5)])
    plain.load_weights(tmp_path / "merged.weights.h5")
    np.testing.assert_allclose(plain.layers[0].dense_kernel(), layer.dense_kernel(), rtol=1e-6)
    plain.layers[0].quantize(mode)
    assert np.all(products(plain.layers[0])[~layer.mask] == 0)
    with pytest.raises(ValueError, match=f"`rank` of MaskedDense .* quantized to '{mode}'"):
        plain.layers[0].enable_lora(2)


# Errors


@pytest.mark.parametrize(
    ("make", "message"),
    [
        # An activation where Keras has it.
        (lambda: MaskedDense(10, "softmax"), "must be a number in [0, 1). Received: sparsity='softmax'"),
        (lambda: MaskedDense(0), "Received: units=0"),
        (lambda: MaskedDense(4, activaton="relu"), "activaton"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError) as caught:
        make()
    assert message in str(caught.value)
