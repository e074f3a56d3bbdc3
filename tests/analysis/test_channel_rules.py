"""The tables of rules against the classes of Keras, and what those compute."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_sparse as ks
from keras_sparse.analysis.channel_graph import Mix, channel_graph
from keras_sparse.analysis.layer_rules import LAYERS
from keras_sparse.analysis.operation_rules import ARITHMETIC, FUNCTIONS, OPERATIONS
from keras_sparse.layers import MaskedDense
from tensors import numpy

KERAS_OPERATIONS = {kind.__name__: kind for kind in keras.Operation.__subclasses__()}
ARGUMENTS = {"Cast": ("float16",), "Clip": (0.2, 0.4), "Threshold": (0.3, 0.1)}


def subclasses(kind):
    return {kind, *(deeper for subclass in kind.__subclasses__() for deeper in subclasses(subclass))}


def test_the_tables_name_classes_that_keras_has():
    ours = {kind.__name__ for kind in subclasses(layers.Layer) if kind.__module__.startswith("keras.")}
    assert set(LAYERS) <= ours
    assert set(OPERATIONS) <= set(KERAS_OPERATIONS)


@pytest.mark.parametrize("name", [*FUNCTIONS, *ARITHMETIC])
def test_a_function_leaves_the_other_channels_alone(name):
    operation = KERAS_OPERATIONS[name](*ARGUMENTS.get(name, ()))
    x = np.random.default_rng(0).uniform(0.1, 0.9, size=(2, 3, 4)).astype("float32")
    changed = x.copy()
    changed[..., 1] += 0.7
    others = (0.5,) if name in ARITHMETIC else ()
    before, after = (numpy(operation(ops.convert_to_tensor(value), *others)) for value in (x, changed))
    assert before.shape == x.shape
    np.testing.assert_array_equal(np.delete(after, 1, -1), np.delete(before, 1, -1))


def after(function, shape=(6, 6, 4)):
    """A model with `function` between two kernels."""
    inputs = keras.Input(shape)
    return keras.Model(inputs, layers.Dense(2, name="after")(function(layers.Dense(4, name="before")(inputs))))


def mixes(model):
    return any(isinstance(step, Mix) for step in channel_graph(model).steps)


@pytest.mark.parametrize(
    "function",
    [ops.relu, ops.leaky_relu, lambda x: keras.activations.relu(x, max_value=3), ops.floor, lambda x: 2 - x],
    ids=["relu", "leaky_relu", "clipped relu", "floor", "subtract"],
)
def test_channels_between_functions_can_be_taken_out(function):
    model = after(function)
    kernel = numpy(model.get_layer("after").kernel).copy()
    kernel[[0, 2]] = 0
    model.get_layer("after").kernel.assign(kernel)
    assert not mixes(model)
    small = ks.shrink(model)
    assert small.get_layer("before").units == 2
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype("float32")
    np.testing.assert_allclose(numpy(small(x)), numpy(model(x)), rtol=1e-5, atol=1e-6)


def test_padded_channels_as_in_shortcuts_without_parameters():
    inputs = keras.Input((6, 6, 4))
    x = layers.Conv2D(4, 1, name="before")(inputs)
    padded = ops.pad(x, [[0, 0], [0, 0], [0, 0], [2, 2]])
    x = layers.Add()([padded, layers.Conv2D(8, 1)(x)])
    model = keras.Model(inputs, MaskedDense(2, sparsity=0.7, seed=0)(x))
    assert mixes(model)
    small = ks.shrink(model)
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype("float32")
    np.testing.assert_allclose(numpy(small(x)), numpy(model(x)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("join", [ops.concatenate, ops.stack], ids=["concatenate", "stack"])
def test_joined_along_the_batch_axis(join):
    assert mixes(after(lambda x: join([x, x], axis=0)))


def test_spatial_padding_keeps_channels_apart():
    assert not mixes(after(lambda x: ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])))


def test_a_number_for_each_example():
    """No channels are left between the kernels."""
    inputs = keras.Input((4,))
    x = ops.sqrt(ops.mean(ops.square(layers.Dense(3, name="before")(inputs)), axis=-1))
    model = keras.Model(inputs, layers.Dense(2)(ops.expand_dims(x, -1)))
    assert ks.analysis.is_path_connected(model)


def test_a_layer_of_someone_else_is_followed_whatever_its_name():
    class Dropout(layers.Layer):
        def call(self, inputs):
            return inputs[:, ::-1]

    inputs = keras.Input((3,))
    x = Dropout()(MaskedDense(3, topology=np.eye(3), name="before")(inputs))
    model = keras.Model(inputs, MaskedDense(1, topology=[[1], [0], [0]])(x))
    graph = channel_graph(model)
    assert graph.needed()[graph.links[0].outputs].tolist() == [False, False, True]
