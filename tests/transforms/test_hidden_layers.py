"""Layers that no configuration shows: made by the code of another layer, or of a model."""

import collections

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse as ks
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.transforms.mask_in_place import mask_in_place
from tensors import numpy

X = np.random.default_rng(0).normal(size=(3, 6)).astype("float32")
Pair = collections.namedtuple("Pair", ["left", "right"])


class Everywhere(layers.Layer):
    """Has no `build`, no `get_config`, and holds layers in all sorts of places."""

    def __init__(self, units=6, **kwargs):
        super().__init__(**kwargs)
        self.attribute = self.alias = layers.Dense(units, activation="relu", name="attribute")
        self.in_list = [layers.Dense(units)]
        self.in_tuple = (layers.Dense(5), {"deep": layers.Dense(units), "norm": layers.BatchNormalization()})
        self.in_pair = Pair(layers.Dense(units), None)

    def call(self, x):
        x = self.in_list[0](self.alias(x))
        x = self.in_tuple[1]["deep"](self.in_tuple[0](x))
        return self.in_pair.left(self.in_tuple[1]["norm"](x))


class InBuild(layers.Layer):
    """Makes its layers when it is built, a stack among them."""

    def build(self, input_shape):
        self.dense = layers.Dense(6)
        self.dense.build(input_shape)
        self.stack = keras.Sequential([layers.Dense(5, activation="relu"), layers.Dense(4)])
        self.stack.build((*input_shape[:-1], 6))

    def call(self, x):
        return self.stack(self.dense(x))


class Backbones(keras.Model):
    """Subclassed, with layers, a stack, a functional model and a layer with hidden layers of its own."""

    def __init__(self, units=8, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = layers.Dense(units)
        self.stack = keras.Sequential([layers.Dense(7, activation="relu"), layers.Dropout(0.1), layers.Dense(5)])
        inputs = keras.Input((5,))
        self.graph = keras.Model(inputs, layers.Dense(4)(layers.Dense(6, activation="relu")(inputs)))
        self.rest = [Everywhere(3)]

    def get_config(self):
        return {**super().get_config(), "units": self.units}

    def call(self, x):
        return self.rest[0](self.graph(self.stack(self.first(x))))


class OwnConstructor(keras.Model):
    """Functional, but made by its own constructor, which sets attributes in another order than that of the graph."""

    def __init__(self, units=4, **kwargs):
        first, self.second = layers.Dense(units, name="first"), layers.Dense(6, name="second")
        inputs = keras.Input((6,))
        super().__init__(inputs, self.second(first(inputs)), **kwargs)
        self.first, self.units = first, units

    def get_config(self):
        return {"units": self.units, "name": self.name}


CLASSES = {kind.__name__: kind for kind in (Everywhere, InBuild, Backbones, OwnConstructor)}


def functional(*parts):
    inputs = x = keras.Input((6,))
    for part in parts:
        x = part(x)
    return keras.Model(inputs, layers.Dense(2, name="top")(x))


def called(model):
    model(X)
    return model


def twice():
    hidden = Everywhere()
    return functional(hidden, layers.Dense(6), hidden)


MODELS = {
    "in a layer": lambda: functional(Everywhere()),
    "in build": lambda: functional(InBuild()),
    "shared": twice,
    "subclassed": lambda: called(Backbones()),
    "subclassed in functional": lambda: functional(Backbones()),
    "in a sequence": lambda: keras.Sequential([keras.Input((6,)), InBuild(), Everywhere()]),
    "own constructor": OwnConstructor,
    "own constructor in functional": lambda: functional(OwnConstructor(5), Everywhere()),
}


def of_kind(model, kind):
    return [layer for layer in model._flatten_layers() if isinstance(layer, kind)]


@pytest.mark.parametrize("name", MODELS)
def test_there_and_back(name, tmp_path):
    model = MODELS[name]()
    rng = np.random.default_rng(1)
    for layer in of_kind(model, layers.Dense):
        layer.bias.assign(rng.normal(size=layer.bias.shape))
    expected = numpy(model(X))
    # Nothing is cut: `ceil` keeps all connections.
    full = ks.sparsify(model, 0.01, topology="rotating")
    assert len(of_kind(full, SparseKernel)) == len(of_kind(model, layers.Dense))
    np.testing.assert_allclose(numpy(full(X)), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(numpy(model(X)), expected)

    sparse = ks.sparsify(model, 0.5, seed=0)
    assert ks.analysis.is_path_connected(sparse)
    stock, compact = ks.strip(sparse), ks.compact(sparse)
    assert not of_kind(stock, SparseKernel)
    assert {layer.format for layer in of_kind(compact, SparseKernel)} == {"compact"}
    for other in (stock, compact, ks.strip(compact), ks.sparsify(model, 0.5, seed=0, format="compact")):
        np.testing.assert_allclose(numpy(other(X)), numpy(sparse(X)), rtol=1e-4, atol=1e-5)
    stock.save(tmp_path / "stock.keras")
    again = keras.saving.load_model(tmp_path / "stock.keras", custom_objects=CLASSES)
    np.testing.assert_array_equal(numpy(again(X)), numpy(stock(X)))


@pytest.mark.parametrize("name", MODELS)
def test_training_leaves_cuts_alone(name):
    sparse = ks.sparsify(MODELS[name](), 0.5, seed=0)
    before = [weight.copy() for weight in sparse.get_weights()]
    sparse.compile("adam", "mse")
    sparse.fit(X, np.ones(sparse(X).shape), verbose=0)
    assert any(not np.array_equal(a, b) for a, b in zip(before, sparse.get_weights(), strict=True))
    for layer in of_kind(sparse, SparseKernel):
        assert (layer.dense_kernel()[~layer.mask] == 0).all()


@pytest.mark.parametrize("name", ["in a layer", "in build", "subclassed", "subclassed in functional"])
def test_weights_are_the_way_out_of_a_file_that_does_not_load(name, tmp_path):
    """As the docstring of `sparsify` says."""
    sparse = ks.sparsify(MODELS[name](), 0.5, seed=0)
    sparse.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="could not be loaded"):
        keras.saving.load_model(tmp_path / "m.keras", custom_objects=CLASSES)
    sparse.save_weights(tmp_path / "m.weights.h5")
    again = ks.sparsify(MODELS[name](), 0.5, seed=1)
    again.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(numpy(again(X)), numpy(sparse(X)))


def test_a_functional_model_with_a_constructor_of_its_own_loads(tmp_path):
    sparse = ks.sparsify(functional(OwnConstructor(5)), 0.5, seed=0)
    sparse.compile("adam", "mse")
    sparse.fit(X, np.ones((3, 2)), verbose=0)
    sparse.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")  # it needs no class: it is a plain functional one
    np.testing.assert_array_equal(numpy(again(X)), numpy(sparse(X)))
    assert len(of_kind(again, SparseKernel)) == 3


def test_frozen_layers_stay_frozen():
    model = functional(Everywhere())
    model.layers[1].in_list[0].trainable = model.layers[1].in_tuple[1]["norm"].trainable = False
    for new in (ks.sparsify(model, 0.5), ks.strip(ks.sparsify(model, 0.5))):
        assert len(new.trainable_variables) == len(model.trainable_variables)
        assert not new.layers[1].in_list[0].trainable
        assert not new.layers[1].in_tuple[1]["norm"].trainable
        assert new.layers[1].attribute.trainable


def test_shrink_takes_a_subclassed_model():
    sparse = ks.sparsify(MODELS["subclassed"](), 0.6, seed=0)
    layer = sparse.stack.layers[-3]
    mask = layer.mask
    mask[:, :3] = False
    layer.set_mask(mask)
    small = ks.shrink(sparse)
    assert small.stack.layers[-3].units < 7
    np.testing.assert_allclose(numpy(small(X)), numpy(sparse(X)), rtol=1e-4, atol=1e-5)


def test_compact_after_mask_in_place(tmp_path):
    """Whose hidden layers are saved as stock ones, without connections; compact ones must not be."""
    model = functional(Everywhere())
    for layer in mask_in_place(model):
        mask = layer.mask
        mask[0] = False
        layer.set_mask(mask)
    small, again = ks.compact(model), ks.compact(model)
    np.testing.assert_allclose(numpy(small(X)), numpy(model(X)), rtol=1e-4, atol=1e-5)
    for weight in small.trainable_variables:
        weight.assign(weight + 1)
    small.save_weights(tmp_path / "m.weights.h5")
    again.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(numpy(again(X)), numpy(small(X)))


class Holder:
    def __init__(self, layer):
        self.layer = layer


class Elsewhere(layers.Layer):
    """Calls its layer by way of an object that is no layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        hidden = self.hidden = layers.Dense(4, name="hidden")
        self.holder = Holder(hidden)
        del self.hidden

    def call(self, x):
        return self.holder.layer(x)


class Tied(layers.Layer):
    """Takes a variable out of its layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(6, name="hidden")

    def build(self, input_shape):
        self.hidden.build(input_shape)
        self.tied = self.hidden.kernel

    def call(self, x):
        return keras.ops.matmul(self.hidden(x), self.tied)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: functional(Elsewhere()), "must hold its layers in attributes, or in lists, tuples and dictionaries"),
        (lambda: functional(Tied()), "came back different in"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        ks.sparsify(make(), 0.5)
