"""Masks for the layers of a model that stays the same object."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse import applications
from keras_sparse.layers import (
    MaskedConv1D,
    MaskedConv2D,
    MaskedConv3D,
    MaskedDense,
    MaskedEinsumDense,
    PreactivationUnit,
    SparseConv2D,
)
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.transforms.mask_in_place import mask_in_place
from tensors import numpy

COMPILED = keras.backend.backend() == "jax"


def normal(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


# Models: each with a batch for it


def functional():
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(8, 3, groups=1, padding="same", activation="relu", name="conv")(inputs)
    x = layers.BatchNormalization()(x)
    y = layers.Conv2D(8, 3, groups=2, padding="same", strides=1, use_bias=False, name="grouped")(x)
    x = layers.GlobalAveragePooling2D()(layers.Add()([x, y]))
    return keras.Model(inputs, layers.Dense(3, name="out")(x)), normal(8, 6, 6, 3)


def sequential():
    network = keras.Sequential(
        [
            keras.Input((8, 4)),
            layers.Conv1D(6, 3, padding="causal", activation="tanh"),
            layers.Dense(5, activation="tanh"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    return network, normal(8, 8, 4)


@keras.saving.register_keras_serializable(package="test_mask_in_place")
class Subclassed(keras.Model):
    """Layers in an attribute, in a list and in a list in a dictionary."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(8, activation="tanh")
        inner, outer = (layers.Dense(units, activation="tanh") for units in (8, 6))
        self.some = [inner, layers.LayerNormalization(), outer]
        self.named = {"out": layers.Dense(3)}

    def call(self, inputs):
        x = self.first(inputs)
        x = self.some[2](self.some[1](self.some[0](x)))
        return self.named["out"](x)


def subclassed():
    network, x = Subclassed(), normal(8, 6)
    network(x)
    return network, x


def attention():
    inputs = keras.Input((5, 8))
    x = layers.Add()([inputs, layers.MultiHeadAttention(2, 4, name="attention")(inputs, inputs)])
    return keras.Model(inputs, layers.Dense(3, name="out")(layers.GlobalAveragePooling1D()(x))), normal(8, 5, 8)


def nested():
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="tanh", name="inside")], name="inner")
    inputs = keras.Input((6,))
    return keras.Model(inputs, layers.Dense(3, name="out")(inner(inputs))), normal(8, 6)


def distributed():
    inputs = keras.Input((4, 6))
    x = layers.TimeDistributed(layers.Dense(5, activation="tanh", name="each"), name="distributed")(inputs)
    return keras.Model(inputs, layers.Dense(3, name="out")(layers.GlobalAveragePooling1D()(x))), normal(8, 4, 6)


def preactivation():
    network = applications.SparseNet(depth=7, growth_rate=4, input_shape=(8, 8, 3), classes=3, weights=None)
    return network, normal(8, 8, 8, 3)


MODELS = {
    "functional": (functional, 3),
    "sequential": (sequential, 3),
    "subclassed": (subclassed, 4),
    "attention": (attention, 5),
    "nested": (nested, 2),
    "distributed": (distributed, 2),
    "preactivation": (preactivation, 7),
}


def made(name):
    keras.utils.set_random_seed(1)
    network, x = MODELS[name][0]()
    eager = name in ("nested", "distributed", "preactivation") and not COMPILED  # quicker, and once is enough
    network.compile(keras.optimizers.Adam(0.02), "mse", jit_compile=COMPILED, run_eagerly=eager)
    return network, x


def targets(x):
    return np.random.default_rng(2).normal(size=(len(x), 3)).astype("float32")


def losses(network, x, steps):
    return [float(network.train_on_batch(x, targets(x))) for _ in range(steps)]


@pytest.mark.parametrize("name", MODELS)
def test_nothing_but_the_class_changes(name):
    """Trained, turned and trained on, a model goes where the same model goes that was not turned."""
    plain, x = made(name)
    network, _ = made(name)
    assert losses(plain, x, 3) == losses(network, x, 3)
    before = list(network._flatten_layers())
    kinds = {id(layer): type(layer) for layer in before}
    names = [layer.name for layer in before]
    paths = [v.path for v in network.trainable_variables]
    trainable = [id(v) for v in network.trainable_variables]
    slots = [(id(v), numpy(v)) for v in network.optimizer.variables]
    expected = network.predict(x, verbose=0)

    turned = mask_in_place(network)
    assert len(turned) == MODELS[name][1]
    assert [id(layer) for layer in network._flatten_layers()] == [id(layer) for layer in before]
    assert [layer.name for layer in before] == names
    assert [v.path for v in network.trainable_variables] == paths
    assert [id(v) for v in network.trainable_variables] == trainable
    for layer in before:
        is_turned = any(layer is one for one in turned)
        assert isinstance(layer, SparseKernel) == is_turned
        assert isinstance(layer, kinds[id(layer)])
        if is_turned:
            assert layer.mask.all()
            assert layer.mask.shape == tuple(layer.trained_kernel.shape)
            assert layer.connected_weights == layer.dense_weights == layer.mask.size
    np.testing.assert_array_equal(network.predict(x, verbose=0), expected)
    for variable, (identity, value) in zip(network.optimizer.variables, slots, strict=True):
        assert id(variable) == identity
        np.testing.assert_array_equal(numpy(variable), value)
    np.testing.assert_allclose(losses(network, x, 3), losses(plain, x, 3), rtol=1e-5)
    for one, other in zip(network.trainable_variables, plain.trainable_variables, strict=True):
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-3, atol=1e-5)
    assert len({v.path for v in network.variables}) == len(network.variables)


HIDDEN = {"subclassed": 4, "attention": 4}  # made by the code of a class


def half_cut(name):
    network, x = made(name)
    turned = mask_in_place(network)
    for index, layer in enumerate(turned):
        layer.set_mask(np.random.default_rng(index).random(layer.mask.shape) < 0.5)
    return network, x, turned


def masks(network):
    found = [layer.mask for layer in network._flatten_layers() if isinstance(layer, SparseKernel)]
    return sorted((mask.shape, mask.tobytes()) for mask in found)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_cut_stays_cut_and_comes_back_from_a_file(name, tmp_path):
    network, x, turned = half_cut(name)
    losses(network, x, 2)
    for layer in turned:
        kernel = numpy(layer.trained_kernel)
        assert (kernel[~layer.mask] == 0).all()
        assert (kernel[layer.mask] != 0).any()
    expected = network.predict(x, verbose=0)
    network.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)
    assert len(masks(again)) == len(turned) - HIDDEN.get(name, 0)
    # Those that came back as stock layers are cut again where they are zero.
    assert len(mask_in_place(again)) == HIDDEN.get(name, 0)
    if name != "preactivation":  # where units that nothing reads have zeros of their own
        assert masks(again) == masks(network)
    np.testing.assert_allclose(losses(again, x, 2), losses(network, x, 2), rtol=1e-4)
    for layer in again._flatten_layers():
        if isinstance(layer, SparseKernel):
            assert (numpy(layer.trained_kernel)[~layer.mask] == 0).all()


@pytest.mark.parametrize("name", ["functional", "subclassed", "attention"])
def test_a_file_of_weights_between_turned_models(name, tmp_path):
    network, x, _ = half_cut(name)
    network.save_weights(tmp_path / "m.weights.h5")
    again, _ = made(name)
    mask_in_place(again)
    again.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(again.predict(x, verbose=0), network.predict(x, verbose=0))
    assert masks(again) == masks(network)


def test_a_subclassed_model_exchanges_files_with_its_stock_twin(tmp_path):
    network, x, _ = half_cut("subclassed")
    network.save_weights(tmp_path / "m.weights.h5")
    stock, _ = made("subclassed")
    stock.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(stock.predict(x, verbose=0), network.predict(x, verbose=0))
    stock.save_weights(tmp_path / "stock.weights.h5")
    again, _ = made("subclassed")
    mask_in_place(again)
    again.load_weights(tmp_path / "stock.weights.h5")
    assert masks(again) == masks(network)


KINDS = {
    "Conv1D": (layers.Conv1D(4, 3), (6, 4), MaskedConv1D),
    "Conv2D": (layers.Conv2D(4, 3), (6, 6, 2), MaskedConv2D),
    "Conv3D": (layers.Conv3D(4, 2), (3, 3, 3, 2), MaskedConv3D),
    "Dense": (layers.Dense(4), (6,), MaskedDense),
    "EinsumDense": (layers.EinsumDense("ab,bcd->acd", (2, 4), bias_axes="cd"), (6,), MaskedEinsumDense),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind(kind):
    layer, shape, twin = KINDS[kind]
    layer = type(layer).from_config(layer.get_config())
    network = keras.Sequential([keras.Input(shape), layer])
    x = normal(2, *shape)
    expected = numpy(network(x))
    assert mask_in_place(network) == [layer]
    assert type(layer) is twin
    np.testing.assert_array_equal(numpy(network(x)), expected)
    mask = layer.mask
    mask[..., 0] = False
    layer.set_mask(mask)
    bias = numpy(layer.bias)[..., 0]
    np.testing.assert_array_equal(numpy(network(x))[..., 0], np.broadcast_to(bias, expected[..., 0].shape))
    assert mask_in_place(network) == []  # turned once


def test_others_are_left_alone():
    own = type("Own", (layers.Dense,), {})
    network = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.DepthwiseConv2D(3),
            layers.SeparableConv2D(4, 3),
            layers.Conv2DTranspose(4, 2),
            SparseConv2D(4, 1, sparsity=0.5),
            layers.Flatten(),
            own(5),
            MaskedDense(4, sparsity=0.5),
        ]
    )
    before = [type(layer) for layer in network.layers]
    assert mask_in_place(network) == []
    assert [type(layer) for layer in network.layers] == before


def test_lora_and_quantized_layers_are_left_alone():
    network = keras.Sequential([keras.Input((8,)), *(layers.Dense(8, name=name) for name in ("lora", "int8", "plain"))])
    network.get_layer("lora").enable_lora(2)
    network.get_layer("int8").quantize("int8")
    expected = numpy(network(normal(4, 8)))
    assert mask_in_place(network) == [network.get_layer("plain")]
    assert type(network.get_layer("lora")) is type(network.get_layer("int8")) is layers.Dense
    np.testing.assert_array_equal(numpy(network(normal(4, 8))), expected)


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (None, set()),
        ("conv", {"conv"}),
        ("first", {"conv"}),
        ("last", {"out"}),
        (["first", "last"], {"conv", "out"}),
        ("*o*", {"conv", "grouped", "out"}),
        ({"gr*", "out"}, {"grouped", "out"}),
        ("a layer", {"grouped"}),
        ("layers", {"conv", "grouped"}),
        (layers.Conv2D, {"conv", "grouped"}),
        ([layers.Dense, layers.BatchNormalization, "conv"], {"conv", "out"}),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_exclude(exclude, left):
    network, _ = functional()
    exclude = network.get_layer("grouped") if exclude == "a layer" else exclude
    if exclude == "layers":  # the input, the normalization and what has a kernel
        exclude = [layer for layer in network.layers if not isinstance(layer, layers.Dense)]
    turned = {layer.name for layer in mask_in_place(network, exclude)}
    assert turned == {"conv", "grouped", "out"} - left
    for layer in network.layers:
        assert isinstance(layer, SparseKernel) == (layer.name in turned)
    assert mask_in_place(network, exclude) == []  # the classes are other ones now, and mean the same


def test_a_layer_that_holds_others_stands_for_them():
    def network():
        inputs = keras.Input((4, 6))
        x = layers.MultiHeadAttention(2, 3, name="attention")(inputs, inputs)
        inner = keras.Sequential([keras.Input((4, 6)), layers.Dense(5, name="inside")], name="inner")
        return keras.Model(inputs, layers.Dense(3, name="out")(inner(x)))

    one = network()
    exclude = [layer for layer in one.layers if not isinstance(layer, layers.Dense)]
    assert [layer.name for layer in mask_in_place(one, exclude)] == ["out"]
    projections = {"query", "key", "value", "attention_output"}
    assert {layer.name for layer in mask_in_place(network(), layers.Dense)} == projections
    assert {layer.name for layer in mask_in_place(network(), layers.MultiHeadAttention)} == {"inside", "out"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mask_in_place(Subclassed()), "`model` of mask_in_place must be built"),
        (lambda: mask_in_place(layers.Dense(3)), "`model` of mask_in_place must be a Keras model"),
        (lambda: mask_in_place(functional()[0], "cnv"), "exclude='cnv', which matches none. Did you mean 'conv'"),
        (lambda: mask_in_place(functional()[0], owner="somebody", exclude="x"), "`exclude` of somebody must name"),
        (
            lambda: mask_in_place(functional()[0], layers.Conv1D),
            "Conv1D'>, which matches none. They are: conv, grouped,",
        ),
        (
            lambda: mask_in_place(functional()[0], layers.Dense(3, name="x")),
            "<Dense name=x, built=False>, which matches",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def test_a_unit_shows_its_convolutions_once_they_are_masked():
    network, _ = preactivation()
    turned = mask_in_place(network)
    assert [type(layer) for layer in turned].count(MaskedConv2D) == 6
    assert not any(layer.is_saved_as_stock for layer in turned)
    assert any(isinstance(layer, PreactivationUnit) for layer in network._flatten_layers())
