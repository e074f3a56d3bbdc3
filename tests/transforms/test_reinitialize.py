"""New weights on the connections that training has found."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse import compact, mask_in_place, reinitialize, sparsify
from keras_sparse.callbacks import Prune
from keras_sparse.layers import MaskedConv2D, MaskedDense, PreactivationUnit, SparseConv2D
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.schedules import OneShot
from tensors import numpy

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 6)).astype("float32")
Y = RNG.normal(size=(16, 3)).astype("float32")
EAGER = keras.backend.backend() != "jax"


def network():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="tanh", bias_initializer="ones"),
            layers.BatchNormalization(),
            layers.Dense(3),
        ]
    )
    model.compile(keras.optimizers.Adam(0.05), "mse", run_eagerly=EAGER)
    return model


def pruned():
    model = network()
    model.fit(X, Y, batch_size=4, epochs=1, verbose=0, callbacks=[Prune(OneShot(0.5, step=2))])
    return model


def sparse_of(model):
    return [layer for layer in model._flatten_layers() if isinstance(layer, SparseKernel)]


ELSEWHERE = """
import json, sys
import numpy as np
import keras
import keras_sparse
keras.utils.set_random_seed(99)
np.random.random(5)
model = keras.saving.load_model(sys.argv[1])
keras_sparse.reinitialize(model, seed=5)
print(json.dumps([np.asarray(w).astype("float64").tolist() for w in model.get_weights()]))
"""


def test_same_seed_same_weights_in_another_process_too(tmp_path):
    model = pruned()
    model.save(tmp_path / "model.keras")
    other = subprocess.Popen(
        [sys.executable, "-c", ELSEWHERE, str(tmp_path / "model.keras")],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    keras.utils.set_random_seed(3)
    assert reinitialize(model, seed=5) == 5
    weights = model.get_weights()
    model.fit(X, Y, batch_size=4, epochs=1, verbose=0)
    reinitialize(model, seed=5)
    for again, first in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(again, first)
    reinitialize(model, seed=6)
    for layer in sparse_of(model):
        kernels = [numpy(layer.kernel), weights[[v.path for v in model.weights].index(layer.kernel.path)]]
        assert (kernels[0] != kernels[1])[layer.mask].all()
    printed, _ = other.communicate()
    for there, here in zip(json.loads(printed), weights, strict=True):
        np.testing.assert_array_equal(np.float32(there), np.float32(here))


def test_without_a_seed_one_is_drawn_and_returned():
    model = pruned()
    seed = reinitialize(model)
    weights = model.get_weights()
    assert reinitialize(model) != seed
    assert any((one != other).any() for one, other in zip(model.get_weights(), weights, strict=True))
    assert reinitialize(model, seed=seed) == seed
    for again, first in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(again, first)


def test_connections_stay_and_training_is_forgotten():
    model = pruned()
    model.fit(X, Y, batch_size=4, epochs=1, verbose=0)
    masks = [layer.mask for layer in sparse_of(model)]
    norm = model.layers[1]
    assert numpy(norm.moving_mean).any()
    model.optimizer.learning_rate = 0.25
    reinitialize(model, seed=0)
    for layer, mask in zip(sparse_of(model), masks, strict=True):
        np.testing.assert_array_equal(layer.mask, mask)
        np.testing.assert_array_equal(numpy(layer.kernel) != 0, mask)
        assert (numpy(layer.mask_step) == [-1, 0]).all()
    np.testing.assert_array_equal(numpy(model.layers[0].bias), np.ones(8))
    np.testing.assert_array_equal(numpy(model.layers[2].bias), np.zeros(3))
    for variable, start in zip(norm.weights, (1, 0, 0, 1), strict=True):  # gamma, beta, mean, variance
        np.testing.assert_array_equal(numpy(variable), np.full(8, start))
    assert [v.path for v in model.optimizer.variables if numpy(v).any()] == [model.optimizer.learning_rate.path]
    assert float(numpy(model.optimizer.learning_rate)) == 0.25
    # And it trains, with what is cut still cut.
    before = numpy(model.layers[0].kernel)
    model.fit(X, Y, batch_size=4, epochs=1, verbose=0)
    assert (numpy(model.layers[0].kernel) != before)[masks[0]].mean() > 0.5  # some units may have no way out
    assert not numpy(model.layers[0].kernel)[~masks[0]].any()


@pytest.mark.parametrize("made", ["drawn", "cut in place"])
def test_variance_follows_the_connections_of_now(made):
    """Half of the outputs have 300 inputs, half 30: He's variance is 2 over the in-degree of each."""
    mask = np.zeros((400, 200), dtype=bool)
    mask[:300, :100] = mask[100:130, 100:] = True
    given = {"kernel_initializer": "he_normal", "name": "one"}
    kind = layers.Dense(200, **given) if made == "cut in place" else MaskedDense(200, sparsity=0.9, seed=0, **given)
    model = keras.Sequential([keras.Input((400,)), kind])
    mask_in_place(model)
    layer = model.layers[0]
    layer.set_mask(mask, trained=False)
    reinitialize(model, seed=0)
    kernel = numpy(layer.kernel)
    assert not kernel[~mask].any()
    assert kernel[:300, :100].std() == pytest.approx((2 / 300) ** 0.5, rel=0.03)
    assert kernel[100:130, 100:].std() == pytest.approx((2 / 30) ** 0.5, rel=0.06)


def test_variance_of_convolutions():
    """Nine positions times 10 of 20 channels; or, weight by weight, 45 of 180."""
    images = keras.Input((6, 6, 20))
    given = {"kernel_initializer": "he_normal", "padding": "same"}
    channelwise = SparseConv2D(40, 3, sparsity=0.9, seed=0, **given)
    weightwise = MaskedConv2D(40, 3, sparsity=0.75, topology="random_fan_in", seed=0, **given)
    model = keras.Model(images, [channelwise(images), weightwise(images)])
    mask = np.zeros((20, 40), dtype=bool)
    mask[:10] = True
    channelwise.set_mask(mask, trained=False)
    assert (weightwise.mask.sum(axis=(0, 1, 2)) == 45).all()
    reinitialize(model, seed=1)
    assert numpy(channelwise.kernel)[:, :, :10].std() == pytest.approx((2 / 90) ** 0.5, rel=0.05)
    assert not numpy(channelwise.kernel)[:, :, 10:].any()
    assert numpy(weightwise.kernel)[weightwise.mask].std() == pytest.approx((2 / 45) ** 0.5, rel=0.05)


@pytest.mark.parametrize("block_size", [1, 4])
def test_compact_layers(block_size):
    keras.utils.set_random_seed(0)
    dense = keras.Sequential([keras.Input((200,)), layers.Dense(400, kernel_initializer="he_normal"), layers.Dense(4)])
    masked = sparsify(dense, 0.8, seed=0, block_size=block_size)
    small = compact(masked)
    before = small.layers[0].dense_kernel()
    masks = [layer.mask for layer in small.layers]
    reinitialize(small, seed=2)
    for layer, mask in zip(small.layers, masks, strict=True):
        np.testing.assert_array_equal(layer.mask, mask)
        np.testing.assert_array_equal(layer.dense_kernel() != 0, mask)
    kernel = small.layers[0].dense_kernel()
    assert (kernel != before)[masks[0]].all()
    # He's variance: each column by itself, since units without a way out have none.
    scaled = kernel * np.sqrt(masks[0].sum(axis=0) / 2)
    assert scaled[masks[0]].std() == pytest.approx(1, rel=0.03)
    reinitialize(small, seed=2)
    np.testing.assert_array_equal(small.layers[0].dense_kernel(), kernel)


@keras.saving.register_keras_serializable(package="test_reinitialize")
class Subclassed(keras.Model):
    """Layers that no configuration shows."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(8)
        self.rest = [layers.LayerNormalization(), layers.Dense(3)]

    def call(self, inputs):
        x = self.hidden(inputs)
        for layer in self.rest:
            x = layer(x)
        return x


def words():
    tokens = keras.Input((5,), dtype="int32")
    x = layers.Embedding(11, 6)(tokens)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    x = layers.LayerNormalization()(x)
    x = layers.GRU(4)(x)
    return keras.Model(tokens, layers.Dense(3)(x))


def images():
    pixels = keras.Input((8, 8, 3))
    unit = PreactivationUnit((8, 4), (1, 3), name="unit")
    x = layers.SeparableConv2D(4, 3)(layers.DepthwiseConv2D(3)(unit(pixels)))
    inner = keras.Sequential([keras.Input((4, 4, 4)), layers.Conv2D(4, 3), layers.BatchNormalization()], name="inner")
    return keras.Model(pixels, layers.Dense(3)(layers.Flatten()(inner(x))))


def subclassed():
    model = Subclassed()
    model(X)
    return model


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("make", [words, images, subclassed])
def test_every_layer_is_drawn_anew(make, sparse):
    keras.utils.set_random_seed(1)
    model = make()
    fresh = {v.path: numpy(v) for v in model.weights}
    masks = mask_in_place(model) if sparse else []
    for layer in masks:
        mask = np.ones(layer.mask.shape, dtype=bool)
        mask.flat[::3] = False
        layer.set_mask(mask, trained=False)
    for variable in model.weights:  # as if it had been trained
        if numpy(variable).dtype == np.float32:
            variable.assign(numpy(variable) + 7.0)
    reinitialize(model, seed=3)
    drawn = {v.path: numpy(v) for v in model.weights if v.path in fresh}
    assert len(drawn) == len(fresh)
    cut = {layer.kernel.path: layer.mask for layer in masks}
    for path, now in drawn.items():
        then = fresh[path]
        assert np.abs(now).max() < 5, path
        if then.std() == 0 or "bias" in path:  # these, batch statistics and scales are as they begin
            np.testing.assert_array_equal(now, then, err_msg=path)
        elif path in cut:
            np.testing.assert_array_equal(now != 0, cut[path], err_msg=path)
        elif then.size > 8:
            assert now.std() == pytest.approx(then.std(), rel=0.6), path
            assert (now != then).mean() > 0.5, path
    again = [numpy(v) for v in model.weights]
    reinitialize(model, seed=3)
    for variable, first in zip(model.weights, again, strict=True):
        np.testing.assert_array_equal(numpy(variable), first, err_msg=variable.path)


def test_two_equal_layers_are_drawn_differently_and_a_shared_one_once():
    inputs = keras.Input((6,))
    shared, twin = layers.Dense(6, name="shared"), layers.Dense(6, name="twin")
    model = keras.Model(inputs, twin(shared(shared(inputs))))
    reinitialize(model, seed=0)
    assert (numpy(shared.kernel) != numpy(twin.kernel)).all()
    # An initializer with a seed of its own is drawn anew, too.
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(seed=1))]
    )
    before = numpy(model.layers[0].kernel)
    reinitialize(model, seed=0)
    assert (numpy(model.layers[0].kernel) != before).all()


class Stubborn(layers.Layer):
    """Its constructor needs what its configuration does not say."""

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.scale = self.add_weight(shape=(size,), name="scale")

    def call(self, inputs):
        return inputs * self.scale

    def get_config(self):
        return {"name": self.name}


def test_a_layer_that_cannot_be_made_again():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(6), Stubborn(6, name="mule")])
    with pytest.raises(ValueError) as caught:
        reinitialize(model, seed=0)
    message = str(caught.value)
    assert "`model` of reinitialize must have layers that can be made again from their configuration" in message
    assert "the layer 'mule' of class Stubborn" in message
    assert "Give it `get_config` and `build`." in message


def test_an_error_leaves_the_model_as_it_was():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(6), Stubborn(6, name="mule")])
    before = model.get_weights()
    with pytest.raises(ValueError, match="mule"):
        reinitialize(model, seed=0)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("seed", [-1, 0.5, True, "one"])
def test_other_errors(seed):
    with pytest.raises(ValueError, match=r"`seed` of reinitialize must be an integer >= 0"):
        reinitialize(network(), seed=seed)


def test_a_model_that_is_not_built():
    with pytest.raises(ValueError, match=r"`model` of reinitialize must be built"):
        reinitialize(keras.Sequential([layers.Dense(3)]))
