"""Sparse twins of models of all kinds."""

import math

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse as ks
from keras_sparse.layers import SparseConv2D
from sparsified import sequential, sparse_layers
from tensors import numpy


@pytest.mark.parametrize(
    ("constructor", "sparsity"),
    [
        (keras.applications.ResNet50, 0.9),
        (keras.applications.DenseNet121, 0.99),
        (keras.applications.MobileNetV2, 0.997),
    ],
)
def test_keras_applications(constructor, sparsity):
    model = constructor(weights=None, input_shape=(32, 32, 3))
    sparse = ks.sparsify(model, sparsity, exclude="last", seed=0)
    assert [layer.name for layer in sparse._flatten_layers()] == [layer.name for layer in model._flatten_layers()]
    assert ks.analysis.is_path_connected(sparse)
    twins = sparse_layers(sparse)
    convolutions = [layer for layer in model.layers if type(layer) is layers.Conv2D]
    assert set(twins) == {layer.name for layer in convolutions}
    for layer in convolutions:
        twin, kernel = twins[layer.name], numpy(layer.kernel)
        # The rule of the paper, ceil(alpha * n) channels for each filter, to the last connection.
        degree = math.ceil((1 - sparsity) * kernel.shape[2] - 1e-9)
        assert twin.connections.count == degree * layer.filters
        np.testing.assert_array_equal(twin.dense_kernel(), np.where(twin.mask, kernel, 0))
    for old, new in zip(model.get_layer("predictions").get_weights(), sparse.layers[-1].get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("alpha", "parameters", "macs"),
    [(0.003, 111_488, 65), (0.1, 2_202_848, 600)],
)
def test_inception_v3_has_the_counts_of_the_rule(alpha, parameters, macs):
    sparse = ks.sparsify(keras.applications.InceptionV3(weights=None), 1 - alpha, exclude="last", seed=1)
    profile = ks.analysis.profile(sparse)
    assert sum(layer.connected_weights for layer in sparse_layers(sparse).values()) == parameters
    assert round(sum(row.macs for row in profile.rows if row.kind == "SparseConv2D") / 1e6) == macs
    assert profile.dense_macs == 5_713_216_096
    assert profile.connected_parameters == parameters + profile.dense_parameters - 21_751_136
    assert ks.analysis.is_path_connected(sparse)


class Pair(keras.Model):
    """Subclassed, with a configuration that does not show its layers."""

    def __init__(self, units=8, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(units, activation="relu")
        self.rest = [layers.Dense(units), layers.Dense(3)]
        self.units = units

    def get_config(self):
        return {**super().get_config(), "units": self.units}

    def call(self, x):
        x = self.first(x)
        for layer in self.rest:
            x = layer(x)
        return x


def test_subclassed():
    model = Pair(16)
    x = np.random.default_rng(0).normal(size=(4, 10)).astype("float32")
    model(x)
    sparse = ks.sparsify(model, 0.6, seed=0)
    assert type(sparse) is Pair
    assert [type(layer).__name__ for layer in (sparse.first, *sparse.rest)] == ["MaskedDense"] * 3
    assert ks.analysis.is_path_connected(sparse)
    expected = np.maximum(x @ (numpy(model.first.kernel) * sparse.first.mask), 0)
    for old, new in zip(model.rest, sparse.rest, strict=True):
        expected = expected @ (numpy(old.kernel) * new.mask)
    np.testing.assert_allclose(numpy(sparse(x)), expected, rtol=1e-4, atol=1e-5)
    assert [layer.name for layer in sparse._flatten_layers()][1:] == [x.name for x in model._flatten_layers()][1:]


class Forgetful(Pair):
    def get_config(self):
        return {"name": self.name}


def test_subclassed_with_half_a_configuration():
    model = Forgetful(16)
    model(np.ones((2, 10)))
    with pytest.raises(ValueError, match=r"which came back different in .* Give its class a `get_config`"):
        ks.sparsify(model, 0.6, exclude="first")


def test_subclassed_weights_go_into_a_model_sparsified_alike(tmp_path):
    model = Pair(16)
    x = np.ones((2, 10), "float32")
    model(x)
    one, other = ks.sparsify(model, 0.6, seed=0), ks.sparsify(model, 0.6, seed=1)
    one.save_weights(tmp_path / "a.weights.h5")
    other.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(numpy(one(x)), numpy(other(x)))


def nested():
    shared = layers.Dense(8, activation="relu", name="shared")
    inner_inputs = keras.Input((8,))
    inner = keras.Model(inner_inputs, layers.Dense(8, name="inner_dense")(inner_inputs), name="inner")
    stack = keras.Sequential([keras.Input((8,)), layers.Dense(8, name="stacked"), layers.BatchNormalization()])
    inputs = keras.Input((8,))
    x = layers.Add()([inner(shared(shared(inputs))), stack(inputs)])
    return keras.Model(inputs, layers.Dense(4, name="top")(x))


def test_nested_models_and_shared_layers():
    model = nested()
    sparse = ks.sparsify(model, 0.7, seed=0)
    assert set(sparse_layers(sparse)) == {"shared", "inner_dense", "stacked", "top"}
    assert len(sparse.trainable_variables) == len(model.trainable_variables)
    assert len(sparse.get_layer("shared")._inbound_nodes) == 2
    assert ks.analysis.is_path_connected(sparse)
    full = ks.sparsify(model, None, allocation={"top": 0.01, "shared": 0.01}, topology="rotating", seed=0)
    x = np.random.default_rng(0).normal(size=(3, 8)).astype("float32")
    np.testing.assert_allclose(numpy(full(x)), numpy(model(x)), rtol=1e-5, atol=1e-6)  # ceil keeps all of 8


def test_save_and_load_and_train(tmp_path):
    sparse = ks.sparsify(ks.applications.ResNet(20, 4, input_shape=(16, 16, 3)), 0.8, exclude="last", seed=0)
    sparse.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    x = np.random.default_rng(0).normal(size=(8, 16, 16, 3)).astype("float32")
    sparse.fit(x, np.arange(8), verbose=0)
    sparse.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(numpy(again(x)), numpy(sparse(x)))
    for name, layer in sparse_layers(sparse).items():
        np.testing.assert_array_equal(sparse_layers(again)[name].mask, layer.mask)
        assert (layer.dense_kernel()[..., ~layer.mask] == 0).all()


def test_what_is_left_alone():
    inputs = keras.Input((8, 8, 4))
    x = layers.DepthwiseConv2D(3)(inputs)
    x = layers.Conv2D(8, 1, groups=2, name="grouped")(x)
    x = layers.Conv2D(8, 1, name="plain", kernel_regularizer="l2", dtype="float32")(x)
    sparse = ks.sparsify(keras.Model(inputs, x), 0.5)
    assert type(sparse.get_layer("grouped")) is layers.Conv2D
    assert type(sparse.get_layer("plain")) is SparseConv2D
    assert sparse.get_layer("plain").kernel_regularizer.get_config() == {"l2": pytest.approx(0.01)}


def test_time_distributed():
    model = keras.Sequential(
        [keras.Input((7, 6)), layers.TimeDistributed(layers.Dense(5, name="each")), layers.LSTM(3)]
    )
    sparse = ks.sparsify(model, 0.5, seed=0)
    assert set(sparse_layers(sparse)) == {"each"}
    assert ks.analysis.is_path_connected(sparse)
    assert sparse(np.ones((2, 7, 6))).shape == (2, 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: sequential((28, 28, 1), layers.Flatten(), layers.Dense(32), layers.Dense(3)),
        lambda: sequential((6, 8), layers.Permute((2, 1)), layers.Dense(12), layers.Dense(3)),
        lambda: sequential((5, 8), layers.Dense(8), layers.Flatten(), layers.Dense(3)),
        lambda: ks.applications.LeNet_300_100(),
        lambda: ks.applications.LeNet5(),
    ],
    ids=["one channel", "permuted", "positions", "lenet_300_100", "lenet5"],
)
def test_inputs_of_many_shapes(make):
    sparse = ks.sparsify(make(), 0.8, exclude="last", seed=0)
    assert ks.analysis.is_path_connected(sparse)
    assert all(layer.mask.any(axis=0).all() for layer in sparse_layers(sparse).values())


def test_channels_first_of_a_layer_alone():
    convolution = layers.Conv2D(8, 3, data_format="channels_first", name="conv")
    # Built, but never run: not every CPU convolves with channels first.
    inputs = keras.Input((3, 8, 8))
    pooled = layers.GlobalAveragePooling2D(data_format="channels_first")(convolution(inputs))
    sparse = ks.sparsify(keras.Model(inputs, layers.Dense(4)(pooled)), 0.5, seed=0)
    assert sparse.get_layer("conv").mask.shape == (3, 8)
    assert ks.analysis.is_path_connected(sparse)
