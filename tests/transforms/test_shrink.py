"""Smaller dense models with the same predictions."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse as ks
from keras_sparse.layers import MaskedDense, SparseConv2D
from keras_sparse.layers.sparse_kernel import SparseKernel
from tensors import numpy


def randomise(model, rng):
    """Statistics and biases as after training: a channel without inputs is then a constant that matters."""
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            gamma, variance = (rng.uniform(0.5, 1.5, layer.gamma.shape) for _ in range(2))
            beta, mean = (0.3 * rng.normal(size=layer.gamma.shape) for _ in range(2))
            layer.set_weights([gamma, beta, mean, variance])
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(0.3 * rng.normal(size=layer.bias.shape))


def kill(model, rng, fraction=0.3):
    """Cuts all inputs of some channels, and all outputs of others."""
    for layer in model._flatten_layers():
        if isinstance(layer, SparseKernel):
            mask = layer.mask
            mask[:, rng.random(mask.shape[1]) < fraction] = False
            mask[rng.random(mask.shape[0]) < fraction] = False
            layer.set_mask(mask)


APPLICATIONS = {
    "resnet": lambda **o: ks.applications.ResNet(20, 8, input_shape=(16, 16, 3), **o),
    "sparsenet": lambda **o: ks.applications.SparseNet(22, 8, bottleneck=True, input_shape=(16, 16, 3), **o),
    "mobilenet": lambda **o: keras.applications.MobileNetV2(alpha=0.35, weights=None, input_shape=(32, 32, 3), **o),
    "squeeze": lambda **o: keras.applications.MobileNetV3Small(
        weights=None, input_shape=(32, 32, 3), include_preprocessing=False, **o
    ),
}


@pytest.mark.parametrize("name", APPLICATIONS)
def test_same_predictions(name):
    rng = np.random.default_rng(0)
    model = APPLICATIONS[name](classes=7, classifier_activation=None)
    randomise(model, rng)
    sparse = ks.sparsify(model, 0.5, exclude="last", seed=0)
    kill(sparse, rng)
    small = ks.shrink(sparse)
    assert small.count_params() < 0.75 * model.count_params()
    assert not any(isinstance(layer, SparseKernel) for layer in small._flatten_layers())
    x = rng.normal(size=(2, *model.input_shape[1:])).astype("float32")
    expected = numpy(sparse(x))
    np.testing.assert_allclose(numpy(small(x)), expected, rtol=1e-3, atol=2e-5 * np.abs(expected).max())
    # What is left has no dead channel; and nothing more goes.
    assert ks.shrink(small).count_params() == small.count_params()
    # From stock layers with zeros, which `strip` makes, it is the same.
    assert ks.shrink(ks.strip(sparse)).count_params() == small.count_params()


def test_by_hand():
    inputs = keras.Input((3,))
    # Unit 1 is read by nobody; unit 2 reads nothing, and is the constant relu(5).
    first = MaskedDense(4, topology=[[1, 1, 0, 0], [1, 1, 0, 1], [0, 1, 0, 1]], activation="relu")
    second = MaskedDense(2, topology=[[1, 0], [0, 0], [1, 1], [1, 1]])
    model = keras.Model(inputs, second(first(inputs)))
    first.bias.assign([1.0, 2.0, 5.0, 3.0])
    small = ks.shrink(model)
    assert [layer.units for layer in small.layers[1:]] == [2, 2]
    np.testing.assert_allclose(
        numpy(small.layers[2].bias), 5 * second.dense_kernel()[2], rtol=1e-6
    )  # the constant has moved
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    np.testing.assert_allclose(numpy(small(x)), numpy(model(x)), rtol=1e-5, atol=1e-6)


def test_a_constant_moves_into_a_layer_without_bias():
    inputs = keras.Input((6, 6, 2))
    first = SparseConv2D(3, 1, topology=[[1, 1, 0], [1, 0, 0]], name="first")
    model = keras.Model(inputs, layers.Conv2D(2, 1, use_bias=False, name="second")(first(inputs)))
    first.bias.assign([0.1, 0.2, 0.7])
    small = ks.shrink(model)
    assert small.get_layer("first").filters == 2
    assert small.get_layer("second").use_bias
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 2)).astype("float32")
    np.testing.assert_allclose(numpy(small(x)), numpy(model(x)), rtol=1e-5, atol=1e-6)


def test_a_constant_that_padding_changes_stays():
    inputs = keras.Input((6, 6, 2))
    first = SparseConv2D(3, 1, topology=[[1, 1, 0], [1, 0, 0]], name="first")
    model = keras.Model(inputs, layers.Conv2D(2, 3, padding="same", name="second")(first(inputs)))
    first.bias.assign([0.1, 0.2, 0.7])
    assert ks.shrink(model).get_layer("first").filters == 3
    first.bias.assign([0.1, 0.2, 0.0])  # zero is zero at the border too
    assert ks.shrink(model).get_layer("first").filters == 2


def test_terms_of_a_sum_go_together():
    inputs = keras.Input((4,))
    one, other = layers.Dense(3, name="one")(inputs), layers.Dense(3, name="other")(inputs)
    also_read = layers.Dense(2, name="reads_one")(one)
    added = layers.Add()([one, other])
    out = MaskedDense(2, topology=[[1, 1], [0, 0], [0, 0]], name="reads_sum")(added)
    model = keras.Model(inputs, layers.Concatenate()([also_read, out]))
    kernel = numpy(model.get_layer("reads_one").kernel).copy()
    kernel[2] = 0
    model.get_layer("reads_one").kernel.assign(kernel)
    small = ks.shrink(model)
    # Channel 2 is read nowhere and goes from both; channel 1 is needed by one of them, and stays in both.
    assert small.get_layer("one").units == small.get_layer("other").units == 2
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(numpy(small(x)), numpy(model(x)), rtol=1e-5, atol=1e-6)


def test_flattened_and_shared_and_nested():
    inputs = keras.Input((8, 8, 2))
    conv = layers.Conv2D(4, 3, name="conv", activation="relu")
    flat_in = keras.Input((6, 6, 4))
    head = MaskedDense(3, topology=np.repeat([[1, 0, 0, 1]], 36, axis=0).reshape(-1, 1).repeat(3, axis=1), name="head")
    inner = keras.Model(flat_in, head(layers.Flatten()(flat_in)), name="inner")
    model = keras.Model(inputs, inner(conv(inputs)))
    small = ks.shrink(model)
    assert small.get_layer("conv").filters == 2
    assert small.get_layer("inner").get_layer("head").kernel.shape == (72, 3)
    x = np.random.default_rng(0).normal(size=(5, 8, 8, 2)).astype("float32")
    np.testing.assert_allclose(numpy(small(x)), numpy(model(x)), rtol=1e-5, atol=1e-6)


def test_channels_that_are_normalised_together_stay():
    inputs = keras.Input((4,))
    x = layers.LayerNormalization()(layers.Dense(3, name="d")(inputs))
    model = keras.Model(inputs, MaskedDense(2, topology=[[1, 1], [0, 0], [0, 0]])(x))
    small = ks.shrink(model)
    assert small.get_layer("d").units == 3
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(numpy(small(x)), numpy(model(x)), rtol=1e-5, atol=1e-6)


def test_shrunk_models_save_and_train(tmp_path):
    rng = np.random.default_rng(0)
    sparse = ks.sparsify(APPLICATIONS["sparsenet"](classes=4), 0.5, exclude="last", seed=0)
    kill(sparse, rng)
    small = ks.shrink(sparse)
    small.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    x = rng.normal(size=(4, 16, 16, 3)).astype("float32")
    small.fit(x, np.arange(4), verbose=0)
    small.save(tmp_path / "small.keras")
    again = keras.saving.load_model(tmp_path / "small.keras")
    np.testing.assert_array_equal(numpy(again(x)), numpy(small(x)))


def test_nothing_left_but_one_channel():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, MaskedDense(2, topology=np.zeros((4, 2)))(layers.Dense(4, name="d")(inputs)))
    small = ks.shrink(model)
    assert small.get_layer("d").units == 1
    np.testing.assert_allclose(numpy(small(np.ones((1, 3)))), numpy(model(np.ones((1, 3)))))


def test_layers_of_many_kinds():
    inputs = keras.Input((8, 8, 3))
    x = layers.PReLU(shared_axes=[1, 2])(layers.SeparableConv2D(8, 3, padding="same")(inputs))
    y = layers.Conv2D(8, 3, padding="same")(x)
    z = layers.Concatenate()([layers.Add()([x, y]), y])
    z = layers.UpSampling2D()(layers.Conv2DTranspose(6, 2, strides=2)(z))
    z = layers.Conv2D(10, 1, name="after_depthwise")(layers.DepthwiseConv2D(3, depth_multiplier=2)(z))
    z = layers.GlobalAveragePooling2D()(layers.Conv2D(9, 3, name="last")(z))
    model = keras.Model(inputs, layers.Dense(4, name="top")(z))
    sparse = ks.sparsify(model, 0.7, exclude="top", seed=0)
    assert ks.analysis.is_path_connected(sparse)
    for name in ("after_depthwise", "last"):
        layer = sparse.get_layer(name)
        layer.set_mask(layer.mask & (np.arange(layer.mask.shape[1]) > 3))
    small = ks.shrink(sparse)
    assert small.get_layer("last").filters < 9
    assert small.get_layer("after_depthwise").filters < 10
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(numpy(small(x)), numpy(sparse(x)), rtol=1e-4, atol=1e-5)


@keras.saving.register_keras_serializable("tests")
def over_all_channels(x):
    return x / (1 + keras.ops.sum(keras.ops.abs(x), -1, keepdims=True))


COUPLED = {
    "softmax": keras.ops.softmax,
    "log_softmax": keras.ops.log_softmax,
    "sparsemax": layers.Activation("sparsemax"),
    "own activation": lambda x: layers.Activation(over_all_channels)(x),
    "constants by channel": lambda x: x * np.arange(1.0, 9.0, dtype="float32"),
    "part of the channels": lambda x: x[:, :, :, 1:],
    "channels in groups": layers.Reshape((8, 8, 2, 4)),
    "depthwise": layers.DepthwiseConv2D(3, depth_multiplier=2),
    "grouped": layers.Conv2D(8, 3, groups=2),
    "separable": layers.SeparableConv2D(8, 3),
    "transposed": layers.Conv2DTranspose(8, 3),
    "spectral": lambda x: layers.SpectralNormalization(layers.Conv2D(8, 1))(x),
    "permuted": lambda x: layers.MaxPooling2D(2)(layers.Permute((3, 1, 2))(x)),
}


@pytest.mark.parametrize("name", COUPLED)
def test_what_depends_on_all_channels_or_on_their_places(name):
    inputs = keras.Input((8, 8, 3))
    coupling = COUPLED[name]
    if isinstance(coupling, layers.Layer):
        coupling = type(coupling).from_config(coupling.get_config())
    x = coupling(layers.Conv2D(8, 1, name="before")(inputs))
    x = layers.Flatten()(x) if len(x.shape) == 5 or name == "permuted" else layers.Conv2D(8, 1, name="between")(x)
    model = keras.Model(inputs, layers.Dense(2, name="after")(x))
    rng = np.random.default_rng(0)
    randomise(model, rng)
    before = model.get_layer("before")
    kernel = numpy(before.kernel).copy()
    kernel[..., 3:] = 0  # nothing reaches these
    before.kernel.assign(kernel)
    after = model.get_layer("after" if len(x.shape) == 2 else "between")
    kernel = numpy(after.kernel).copy()
    kernel[..., 4:6, :] = 0  # nobody reads these
    after.kernel.assign(kernel)
    small = ks.shrink(model)
    images = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(numpy(small(images)), numpy(model(images)), rtol=1e-4, atol=1e-5)


class WithoutArguments(keras.Model):
    """Keras takes it to have the configuration of any layer, which its constructor does not take."""

    def __init__(self):
        super().__init__()
        self.out = layers.Dense(2)

    def call(self, inputs):
        return self.out(inputs)


@pytest.mark.parametrize("verb", [ks.shrink, ks.strip])
def test_a_class_that_cannot_be_made_again(verb):
    model = WithoutArguments()
    model(np.zeros((1, 3)))
    ks.mask_in_place(model)
    with pytest.raises(ValueError) as caught:
        verb(model)
    message = str(caught.value)
    assert f"`model` of {verb.__name__} must be one that Keras can make again from its configuration. Rec" in message
    assert "of class WithoutArguments, where WithoutArguments.__init__() got an unexpected" in message
    assert "Give the class `get_config` with all arguments of its constructor" in message
