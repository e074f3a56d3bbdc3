"""On what `Prune` works: kinds of layers and models, and what it leaves alone."""

import math
import warnings

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse.callbacks import Prune
from keras_sparse.layers import MaskedConv2D, MaskedDense, SparseConv2D
from keras_sparse.schedules import OneShot
from pruned_models import (
    COMPILED,
    CROSSENTROPY,
    IMAGES,
    LABELS,
    SCHEDULE,
    Watch,
    X,
    Y,
    cut,
    fit,
    images_model,
    model,
    numpy,
    sparse_of,
)


def test_sparse_convolutions_lose_connections_between_channels():
    network = images_model(SparseConv2D, sparsity=0.0, topology="random_edge", seed=1)
    fit(network, Prune(OneShot(0.5, step=1)), x=IMAGES, y=LABELS)
    layer = network.layers[0]
    assert layer.mask.shape == (3, 8)
    assert layer.mask.sum() == 12
    assert (numpy(layer.kernel)[:, :, ~layer.mask] == 0).all()
    assert (numpy(layer.kernel)[:, :, layer.mask] != 0).all()


def test_a_sparse_layer_keeps_what_it_has_cut():
    keras.utils.set_random_seed(1)
    network = keras.Sequential([keras.Input((6,)), MaskedDense(8, sparsity=0.5, seed=0), layers.Dense(3)])
    network.compile("sgd", "mse", jit_compile=COMPILED, run_eagerly=not COMPILED)
    before = network.layers[0].mask
    for sparsity, expected in ((0.3, 24), (0.75, 12)):
        fit(network, Prune(OneShot(sparsity)), epochs=1)
        assert network.layers[0].mask.sum() == expected
        assert (network.layers[0].mask <= before).all()


def test_frozen_layers_are_untouched():
    network = images_model()
    network.layers[1].trainable = False
    network.compile("adam", CROSSENTROPY, jit_compile=COMPILED, run_eagerly=not COMPILED)
    kernel = numpy(network.layers[1].kernel)
    fit(network, Prune(OneShot(0.5), exclude=["first"]), x=IMAGES, y=LABELS, epochs=1)
    assert type(network.layers[0]) is layers.Conv2D
    np.testing.assert_array_equal(numpy(network.layers[1].kernel), kernel)
    assert network.layers[3].mask.sum() == 16


class Derived(layers.Dense):
    pass


def test_what_stays_dense_is_told_once():
    def network():
        inner = [layers.DepthwiseConv2D(3, use_bias=False), layers.Conv2DTranspose(2, 1, use_bias=False)]
        head = [layers.Flatten(), Derived(4, use_bias=False, name="mine"), layers.Dense(4, use_bias=False)]
        sequential = keras.Sequential([keras.Input((6, 6, 3)), *inner, *head])
        sequential.compile("sgd", CROSSENTROPY, jit_compile=COMPILED, run_eagerly=not COMPILED)
        return sequential

    def told(network, callback, x=IMAGES, y=LABELS):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit(network, callback, x=x, y=y, epochs=2)
        return [str(one.message) for one in caught if "leaves dense" in str(one.message)]

    (message,) = told(network(), Prune(OneShot(0.5)))
    # 128, 27 and 6 of 177 parameters.
    assert "trained parameters: Derived (72.3%), DepthwiseConv2D (15.3%), Conv2DTranspose (3.4%). It" in message
    assert "exclude=['depthwise_conv2d', 'conv2d_transpose', 'mine']" in message
    assert not told(network(), Prune(OneShot(0.5), exclude=["depthwise*", "*transpose*", "mine"]))
    with_lora = model(eager=not COMPILED)
    with_lora.get_layer("out").enable_lora(2)
    with_lora.compile("sgd", "mse", jit_compile=COMPILED, run_eagerly=not COMPILED)
    (message,) = told(with_lora, Prune(OneShot(0.5)), x=X, y=Y)
    assert "Dense with LoRA" in message
    assert not told(model(eager=not COMPILED), Prune(OneShot(0.5), exclude="last"), x=X, y=Y)


@pytest.mark.parametrize("exclude", ["last", "out", ["o*"], "the layer"])
def test_excluded_layers_are_untouched(exclude):
    network = model(eager=not COMPILED)
    exclude = network.get_layer("out") if exclude == "the layer" else exclude
    fit(network, Prune(OneShot(0.5), exclude=exclude), epochs=1)
    assert type(network.get_layer("out")) is layers.Dense
    assert network.get_layer("hidden").mask.sum() == 24


@pytest.mark.parametrize("exclude", ["last", "few"])
def test_excluded_sparse_layers_are_untouched(exclude):
    network = keras.Sequential([keras.Input((6,)), layers.Dense(8), MaskedDense(3, sparsity=0.5, seed=0, name="few")])
    network.compile("sgd", "mse", jit_compile=COMPILED, run_eagerly=not COMPILED)
    before = network.layers[1].mask
    fit(network, Prune(OneShot(0.75), exclude=exclude), epochs=1)
    assert network.layers[0].mask.sum() == 12
    np.testing.assert_array_equal(network.layers[1].mask, before)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = layers.Dense(8), layers.Dense(3)

    def call(self, inputs):
        return self.out(self.hidden(inputs))


@pytest.mark.parametrize("kind", ["sequential", "subclassed"])
def test_a_model_that_is_not_built(kind):
    network = Subclassed() if kind != "sequential" else keras.Sequential([layers.Dense(8), layers.Dense(3)])
    network.compile("sgd", "mse", jit_compile=COMPILED, run_eagerly=not COMPILED)
    if keras.backend.backend() == "tensorflow":  # the others build it before callbacks come
        with pytest.raises(ValueError, match=r"must be built before `fit`.*Call the model on one batch"):
            fit(network, Prune(OneShot(0.5), exclude="last"))
        network.build((None, 6))  # which builds nothing in a subclassed one
        if kind == "subclassed":
            with pytest.raises(ValueError, match="`model` of Prune must be built before `fit`"):
                fit(network, Prune(OneShot(0.5)))
            network(X)
    fit(network, Prune(OneShot(0.5)), epochs=1)
    assert cut(network) == [24, 12]


def test_a_model_of_keras_applications():
    network = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, weights=None, classes=4, classifier_activation=None
    )
    network.compile("adam", CROSSENTROPY, jit_compile=COMPILED, run_eagerly=not COMPILED)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 32, 32, 3)).astype("float32"), rng.integers(0, 4, 4)
    names = [layer.name for layer in network.layers]
    fit(network, Prune(OneShot(0.9, step=1), exclude=["first", "last"]), x=x, y=y, epochs=1, batch_size=4)
    assert [layer.name for layer in network.layers] == names
    convolutions = [layer for layer in network.layers if type(layer) is MaskedConv2D]
    assert len(convolutions) == 34
    for layer in convolutions:
        assert (~layer.mask).sum() == math.floor(0.9 * layer.mask.size)
        assert (numpy(layer.kernel)[~layer.mask] == 0).all()
    assert type(network.layers[1]) is layers.Conv2D
    assert type(network.layers[-1]) is layers.Dense


def test_jit_compiled():
    network, watch = model(jit_compile=True), Watch()
    fit(network, Prune(SCHEDULE), watch)
    assert watch.seen[5] == [math.floor(SCHEDULE(5) * n) for n in (48, 24)]
    assert cut(network) == [40, 20]
    for layer in sparse_of(network):
        assert (numpy(layer.kernel)[~layer.mask] == 0).all()


def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    network, watch = model(), Watch()
    fit(network, Prune(SCHEDULE, "saliency", data=(X, Y)), watch)
    assert type(network.optimizer).__name__ == "LossScaleOptimizer"
    assert cut(network) == [40, 20]
    assert watch.seen[5] == [math.floor(SCHEDULE(5) * n) for n in (48, 24)]
    for layer in sparse_of(network):
        assert layer.kernel.dtype == "float32"
        kernel = numpy(layer.kernel)
        assert (kernel[~layer.mask] == 0).all()
        assert (kernel[layer.mask] != 0).all()
    slots = [v for v in network.optimizer.inner_optimizer.variables if tuple(v.shape) == (6, 8)]
    assert len(slots) == 2
    for slot in slots:
        assert (numpy(slot)[~sparse_of(network)[0].mask] == 0).all()
