import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_sparse.layers import MaskedEinsumDense
from tensors import numpy

COMPILED = keras.backend.backend() == "jax"
# Equation, output shape, other arguments, input shape, kernel shape.
CASES = {
    "dense": ("ab,bc->ac", 5, {"bias_axes": "c"}, (3, 4), (4, 5)),
    "query": ("abc,cde->abde", (None, 2, 5), {"bias_axes": "de"}, (3, 6, 4), (4, 2, 5)),
    "output": ("abcd,cde->abe", (None, 5), {"activation": "tanh"}, (3, 6, 2, 4), (2, 4, 5)),
    "mixing": ("abc,bd->adc", (5, None), {"bias_axes": "d"}, (3, 6, 4), (6, 5)),
    "ellipsis": ("...x,xy->...y", 5, {"bias_axes": "y"}, (3, 6, 4), (4, 5)),
}


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def pair(case, **own):
    equation, shape, arguments, inputs, kernel = CASES[case]
    made = []
    for kind, extra in ((MaskedEinsumDense, own), (layers.EinsumDense, {})):
        keras.utils.set_random_seed(1)
        made.append(kind(equation, shape, **arguments, **extra))
    return *made, normal(*inputs), kernel


def test_the_example_of_the_documentation():
    layer = MaskedEinsumDense("abc,cde->abde", (None, 2, 8), sparsity=0.5, seed=0)
    assert layer(ops.ones((1, 3, 4))).shape == (1, 3, 2, 8)
    assert layer.mask.shape == (4, 2, 8)


@pytest.mark.parametrize("case", CASES)
def test_all_connected_it_equals_the_layer_of_keras(case):
    layer, stock, x, kernel = pair(case, sparsity=0)
    ours, theirs = numpy(layer(x)), numpy(stock(x))
    assert layer.mask.shape == kernel
    assert layer.mask.all()
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("case", CASES)
def test_it_equals_the_layer_of_keras_with_zeros_in_its_kernel(case):
    layer, stock, x, shape = pair(case, sparsity=0.6, seed=0)
    layer(x), stock(x)
    kernel = normal(*shape)
    layer.set_dense_kernel(kernel)
    stock.kernel.assign(kernel * layer.mask)
    assert 0.4 < 1 - layer.mask.mean() < 0.8
    assert layer.connected_weights == layer.mask.sum()
    np.testing.assert_array_equal(layer.dense_kernel(), kernel * layer.mask)
    np.testing.assert_array_equal(numpy(layer(x)), numpy(stock(x)))


@pytest.mark.parametrize("case", ["query", "mixing"])
def test_cut_weights_stay_exactly_zero(case):
    layer, _, x, _ = pair(case, sparsity=0.6, seed=0)
    network = keras.Sequential([keras.Input(x.shape[1:]), layer])
    network.compile(keras.optimizers.AdamW(0.1, weight_decay=0.1), "mse", jit_compile=COMPILED)
    y = normal(*numpy(network(x)).shape)
    for mask in (layer.mask, layer.mask.ravel()[::-1].reshape(layer.mask.shape)):
        layer.set_mask(mask)
        for _ in range(2):
            network.train_on_batch(x, y)
        kernel = numpy(layer.trained_kernel)
        assert (kernel[~mask] == 0).all()
        assert (kernel[mask] != 0).all()


def test_save_and_load(tmp_path):
    layer, _, x, _ = pair("output", sparsity=0.6, name="it")
    network = keras.Sequential([keras.Input(x.shape[1:]), layer])
    layer.set_mask(layer.mask.ravel()[::-1].reshape(layer.mask.shape))
    layer.set_dense_kernel(normal(*layer.mask.shape))
    network.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert type(again.get_layer("it")) is MaskedEinsumDense
    np.testing.assert_array_equal(again.get_layer("it").mask, layer.mask)
    np.testing.assert_array_equal(numpy(again(x)), numpy(network(x)))


def test_the_variance_follows_the_connected_fan():
    mask = np.ones((100, 60), dtype=bool)
    mask[:, :30] = np.random.default_rng(0).random((100, 30)) < 0.2
    initializer = keras.initializers.VarianceScaling(1.0, mode="fan_in", distribution="untruncated_normal", seed=1)
    layer = MaskedEinsumDense("ab,bc->ac", 60, topology=mask, kernel_initializer=initializer)
    layer.build((None, 100))
    kernel = layer.dense_kernel()
    for part in (slice(0, 30), slice(30, 60)):
        own = mask[:, part]
        assert kernel[:, part][own].var() * own.sum(axis=0).mean() == pytest.approx(1.0, rel=0.15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MaskedEinsumDense("ab,bc->ac", 5, format="compact"), "`format` of MaskedEinsumDense"),
        (lambda: MaskedEinsumDense("ab,bc->ac", 5, format="compact"), "must be 'masked'. Received: format='compact'"),
        (lambda: MaskedEinsumDense("ab,bc->ac", 5, sparsity=-0.1), "must be a number in [0, 1)"),
        (lambda: MaskedEinsumDense("ab,bc", 5).build((None, 4)), "ab,bc"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)
