"""Which channel feeds which, against paths found by hand and by running the model."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse as ks
from keras_sparse.analysis.channel_graph import channel_graph
from keras_sparse.layers import MaskedDense, SparseConv2D


def chain(*masks):
    x = inputs = keras.Input((len(masks[0]),))
    for mask in masks:
        x = MaskedDense(len(mask[0]), topology=np.array(mask, dtype=bool))(x)
    return keras.Model(inputs, x)


def test_a_chain_by_hand():
    assert ks.analysis.is_path_connected(chain([[1, 0], [0, 1]], [[1], [1]]))
    unread = chain([[1, 0], [0, 1]], [[1], [0]])  # nobody reads the second unit
    assert channel_graph(unread).pathless() == {unread.layers[1].name: 1}
    unreached = chain([[1, 0], [1, 0]], [[1], [1]])  # the second unit reads nothing
    assert channel_graph(unreached).pathless() == {unreached.layers[2].name: 1}


def test_stock_layers_count_too():
    inputs = keras.Input((2,))
    x = layers.Dense(3)(inputs)
    model = keras.Model(inputs, MaskedDense(1, topology=[[1], [1], [0]])(x))
    assert channel_graph(model).pathless() == {model.layers[1].name: 2}


def test_sums_concatenations_and_flattening():
    inputs = keras.Input((4, 4, 2))
    left, right = layers.Conv2D(2, 3, padding="same")(inputs), layers.Conv2D(2, 3, padding="same")(inputs)
    added = layers.Add()([left, right])
    joined = layers.Concatenate()([added, inputs])
    reads_first_of_sum = SparseConv2D(1, 1, topology=[[1], [0], [1], [1]])(joined)
    without = channel_graph(keras.Model(inputs, reads_first_of_sum)).pathless()
    assert list(without.values()) == [2, 2]  # both terms lose their second filter, and its two inputs

    flat = layers.Flatten()(left)  # position by position, channel by channel
    reads_one_position = np.zeros((32, 1), bool)
    reads_one_position[[5], 0] = True
    model = keras.Model(inputs, MaskedDense(1, topology=reads_one_position)(flat))
    assert list(channel_graph(model).pathless().values()) == [2]  # channel 0 is read nowhere, channel 1 once


def test_channels_first_flattening():
    inputs = keras.Input((2, 3, 3))
    x = layers.Conv2D(2, 1, data_format="channels_first")(inputs)
    x = layers.Flatten(data_format="channels_first")(x)
    mask = np.zeros((18, 1), bool)
    mask[1] = True  # Keras flattens with channels last, whatever came: channel 1 of the first position
    graph = channel_graph(keras.Model(inputs, MaskedDense(1, topology=mask)(x)))
    needed = graph.needed()[graph.links[0].outputs]
    assert needed.tolist() == [False, True]


def test_nested_and_shared():
    shared = MaskedDense(2, topology=[[1, 0], [0, 1]])
    inner_in = keras.Input((2,))
    inner = keras.Model(inner_in, shared(inner_in))
    inputs = keras.Input((2,))
    model = keras.Model(inputs, MaskedDense(1, topology=[[1], [1]])(shared(inner(inputs))))
    assert len(channel_graph(model).links) == 3
    assert ks.analysis.is_path_connected(model)


NETWORKS = {
    "sparsenet": lambda: ks.applications.SparseNet(16, 4, input_shape=(16, 16, 3), classifier_activation=None),
    "fractalnet": lambda: ks.applications.FractalNet(2, (4, 6), input_shape=(16, 16, 3), classifier_activation=None),
    "resnet": lambda: ks.applications.ResNet(20, 4, input_shape=(16, 16, 3), classifier_activation=None),
    "mobilenet": lambda: keras.applications.MobileNetV2(
        alpha=0.35, weights=None, input_shape=(32, 32, 3), classes=5, classifier_activation=None
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_graph_agrees_with_what_the_model_does(name):
    """A channel that the graph calls unread changes nothing when its filter is drowned in noise; a read one does."""
    model = NETWORKS[name]()
    graph = channel_graph(model)
    links = [link for link in graph.links if link.is_sliceable]
    rng = np.random.default_rng(0)
    for link in links:
        kernel = keras.ops.convert_to_numpy(link.layer.kernel)
        kernel[..., rng.random(kernel.shape[-2]) < 0.4, :] = 0
        link.layer.kernel.assign(kernel)
    masks = {
        id(link.layer): (keras.ops.convert_to_numpy(link.layer.kernel) != 0).reshape(-1, *link.mask().shape).any(0)
        for link in links
    }
    needed = graph.needed(masks)
    x = rng.normal(size=(2, *model.input_shape[1:])).astype("float32")
    before = keras.ops.convert_to_numpy(model(x))
    assert not all(needed[link.outputs].all() for link in links)
    for link in links:
        kernel = keras.ops.convert_to_numpy(link.layer.kernel)
        noisy = kernel + rng.normal(size=kernel.shape) * ~needed[link.outputs]
        link.layer.kernel.assign(noisy)
    scale = np.abs(before).max()
    assert np.abs(keras.ops.convert_to_numpy(model(x)) - before).max() < 1e-5 * scale
    alive = graph.reached(masks)
    last = next(link for link in links if (needed[link.outputs] & alive[link.outputs]).any())
    kernel = keras.ops.convert_to_numpy(last.layer.kernel)
    last.layer.kernel.assign(kernel + rng.normal(size=kernel.shape) * needed[last.outputs])
    assert np.abs(keras.ops.convert_to_numpy(model(x)) - before).max() > 1e-2 * scale


def test_leaves_no_trace_on_the_model():
    model = ks.applications.SparseNet(16, 4, input_shape=(16, 16, 3), classifier_activation=None)
    before = {id(layer): len(layer._inbound_nodes) for layer in model._flatten_layers()}
    config = model.get_config()
    channel_graph(model)
    assert {id(layer): len(layer._inbound_nodes) for layer in model._flatten_layers()} == before
    assert model.get_config() == config


class Opaque(layers.Layer):
    """Does what cannot be followed on symbolic tensors."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def build(self, input_shape):
        self.inner.build(input_shape)

    def call(self, x):
        return self.inner(keras.ops.convert_to_tensor(x)) if not isinstance(x, keras.KerasTensor) else 1 / 0

    def compute_output_spec(self, x):
        return self.inner.compute_output_spec(x)


def test_a_layer_that_cannot_be_followed():
    inputs = keras.Input((2,))
    x = MaskedDense(3, topology=np.ones((2, 3)))(inputs)
    mixed = keras.Model(inputs, Opaque(layers.Dense(2))(x))
    assert ks.analysis.is_path_connected(mixed)  # everything feeds everything
    hidden = keras.Model(inputs, Opaque(MaskedDense(2, seed=0))(x))
    with pytest.raises(ValueError, match="cannot be followed on symbolic tensors"):
        ks.analysis.is_path_connected(hidden)
