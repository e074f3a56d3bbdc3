"""The depth multiplier."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse as ks


def convolution_weights(model):
    rows = ks.analysis.profile(model).rows
    return sum(row.stored_parameters for row in rows if row.kind == "Conv2D")


def convolution_macs(model):
    return sum(row.macs for row in ks.analysis.profile(model).rows if row.kind == "Conv2D")


def test_inception_v3_rounded_up(shapes_only):
    model = ks.scale_width(keras.applications.InceptionV3(weights=None), 0.8)
    assert (convolution_weights(model), round(convolution_macs(model) / 1e6)) == (13_997_560, 3697)


@pytest.mark.parametrize(("multiplier", "thousands", "millions"), [(0.1, 170, 75), (0.2, 718, 183)])
def test_inception_v3_in_eights_has_the_printed_counts(multiplier, thousands, millions, shapes_only):
    """Changpinyo et al., Table 1."""
    model = ks.scale_width(keras.applications.InceptionV3(weights=None), multiplier, divisor=8)
    assert (round(convolution_weights(model) / 1e3), round(convolution_macs(model) / 1e6)) == (thousands, millions)


@pytest.mark.parametrize(
    "constructor",
    [
        lambda: keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=5),
        lambda: keras.applications.MobileNetV3Small(weights=None, input_shape=(32, 32, 3), classes=5),
        lambda: ks.applications.SparseNet(16, 8, bottleneck=True, input_shape=(32, 32, 3), classes=5),
        lambda: ks.applications.ResNet(20, 8, input_shape=(32, 32, 3), classes=5),
        lambda: ks.applications.FractalNet(2, (8, 16), input_shape=(32, 32, 3), classes=5),
    ],
    ids=["mobilenet", "squeeze", "sparsenet", "resnet", "fractalnet"],
)
def test_any_model(constructor, tmp_path):
    model = constructor()
    narrow = ks.scale_width(model, 0.5)
    assert [layer.name for layer in narrow._flatten_layers()] == [layer.name for layer in model._flatten_layers()]
    assert narrow.output_shape == model.output_shape
    assert 0.2 < convolution_weights(narrow) / convolution_weights(model) < 0.36
    narrow.save(tmp_path / "m.keras")
    x = np.ones((1, 32, 32, 3), "float32")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(again(x)), keras.ops.convert_to_numpy(narrow(x)))


def small(outputs=True):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(10, 3, name="a")(inputs)
    x = layers.Conv2D(7, 3, name="b")(x)
    if not outputs:
        return keras.Model(inputs, x)
    x = layers.Dense(20, name="hidden")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(4, name="top")(x))


def widths(model):
    return [getattr(x, "filters", getattr(x, "units", None)) for x in model.layers if hasattr(x, "kernel")]


def test_rounding_and_what_keeps_its_width():
    assert widths(ks.scale_width(small(), 0.3)) == [3, 3, 20, 4]  # ceil(3), ceil(2.1)
    assert widths(ks.scale_width(small(), 0.3, include_dense=True)) == [3, 3, 6, 4]
    assert widths(ks.scale_width(small(), 0.3, exclude="first")) == [10, 3, 20, 4]
    assert widths(ks.scale_width(small(), 2)) == [20, 14, 20, 4]
    assert widths(ks.scale_width(small(outputs=False), 0.3)) == [3, 7]
    assert widths(ks.scale_width(small(), 0.6, divisor=2)) == [6, 4, 20, 4]  # floor(6), floor(4.2)
    assert widths(ks.scale_width(small(), 0.3, divisor=4)) == [4, 4, 20, 4]  # at least
    assert widths(ks.scale_width(small(), 0.3, divisor=1)) == [3, 2, 20, 4]


def test_dense_networks_are_scaled_where_there_is_nothing_else():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(10), layers.Dense(3)])
    assert widths(ks.scale_width(model, 0.5)) == [5, 3]


def test_units_that_hold_layers_of_other_origin_are_refused():
    folded = ks.fold_batch_norm(ks.applications.SparseNet(22, 4, bottleneck=True, loop=False))
    with pytest.raises(ValueError, match=r"make their own layers.*norms.*Scale first"):
        ks.scale_width(folded, 0.5)


def test_groups_stay_whole():
    model = keras.Sequential([keras.Input((8, 8, 8)), layers.Conv2D(12, 3, groups=4), layers.Conv2D(2, 1)])
    assert ks.scale_width(model, 0.3).layers[0].filters == 4
    assert ks.scale_width(model, 0.9, divisor=2).layers[0].filters == 8
    assert ks.scale_width(model, 2, divisor=6).layers[0].filters == 24


@pytest.mark.parametrize(
    ("constructor", "size", "include_dense"),
    [
        (keras.applications.ConvNeXtTiny, 32, True),
        (keras.applications.EfficientNetB0, 32, None),
        (keras.applications.Xception, 72, None),
    ],
)
def test_keras_applications(constructor, size, include_dense):
    model = constructor(weights=None, input_shape=(size, size, 3), classes=5)
    narrow = ks.scale_width(model, 0.5, include_dense=include_dense)
    assert 0.24 < narrow.count_params() / model.count_params() < 0.3
    assert np.isfinite(narrow(np.ones((1, size, size, 3), "float32"))).all()


def chain(*parts, shape=(8, 8, 3)):
    inputs = x = keras.Input(shape)
    for part in parts:
        x = part(x)
    return keras.Model(inputs, layers.Conv2D(2, 1, name="top")(x))


def inner(*parts, shape):
    inputs = x = keras.Input(shape)
    for part in parts:
        x = part(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize(
    "make",
    [
        lambda: inner(layers.ReLU(), layers.Conv2D(6, 1), shape=(8, 8, 10)),
        lambda: keras.Sequential([keras.Input((8, 8, 10)), layers.Conv2D(6, 1)]),
        lambda: keras.Sequential([layers.Conv2D(6, 1)]),
        lambda: inner(inner(layers.Conv2D(6, 1), shape=(8, 8, 10)), shape=(8, 8, 10)),
    ],
    ids=["functional", "sequential", "without input", "twice nested"],
)
def test_models_that_start_in_the_middle(make, tmp_path):
    narrow = ks.scale_width(chain(layers.Conv2D(10, 1), make()), 0.3)
    assert narrow.layers[2].input_shape == (None, 8, 8, 3)
    assert narrow.layers[2].output_shape == (None, 8, 8, 2)
    narrow.save(tmp_path / "m.keras")
    assert keras.saving.load_model(tmp_path / "m.keras")(np.ones((1, 8, 8, 3))).shape == (1, 8, 8, 2)


def groups(model):
    return [(getattr(x, "filters", None), x.groups) for x in model.layers if hasattr(x, "groups")]


def test_one_group_for_each_channel_stays_so():
    parts = layers.Conv2D(10, 1), layers.Conv2D(10, 3, groups=10), layers.Conv2D(20, 3, groups=10)
    assert groups(ks.scale_width(chain(*parts), 0.3)) == [(3, 1), (3, 3), (6, 3), (2, 1)]
    assert groups(ks.scale_width(chain(*parts, layers.GroupNormalization(20)), 0.3))[3] == (None, 6)


def test_what_is_read_in_groups_can_be_cut_into_them():
    through_depthwise = layers.Conv2D(12, 1), layers.DepthwiseConv2D(3), layers.Conv2D(16, 3, groups=4)
    assert groups(ks.scale_width(chain(*through_depthwise), 0.1)) == [(4, 1), (4, 4), (2, 1)]
    one_by_one = layers.Conv2D(12, 1), layers.Conv2D(12, 3, groups=12), layers.GroupNormalization(4)
    assert groups(ks.scale_width(chain(*one_by_one), 0.1)) == [(4, 1), (4, 4), (None, 4), (2, 1)]


def test_all_terms_of_a_sum_are_cut_into_groups():
    inputs = keras.Input((8, 8, 3))
    terms = [layers.Conv2D(12, 1, name=name)(inputs) for name in "ab"]
    attention = layers.Conv2D(1, 1, name="one")(inputs)  # goes to all channels and stays one
    x = layers.Multiply()([layers.Add()(terms), attention])
    narrow = ks.scale_width(keras.Model(inputs, layers.Conv2D(2, 1)(layers.Conv2D(8, 1, groups=4, name="c")(x))), 0.1)
    assert [narrow.get_layer(name).filters for name in ("a", "b", "one", "c")] == [4, 4, 1, 4]


def squeezed():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(16, 1)(inputs)
    gate = layers.Dense(16, name="gate")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return keras.Model(inputs, layers.Conv2D(2, 1)(layers.Multiply()([x, gate])))


def test_dense_layers_of_a_gate():
    with pytest.raises(ValueError, match=r"Dense layers keep their width here \('gate'\): pass include_dense=True if"):
        ks.scale_width(squeezed(), 0.5)
    assert ks.scale_width(squeezed(), 0.5, include_dense=True).get_layer("gate").units == 8


def test_with_sparse_connections():
    """The paper's hybrid: fewer filters, and few connections between them."""
    hybrid = ks.scale_width(ks.sparsify(small(), 0.5, exclude="last", seed=0), 0.5)
    assert [layer.mask.sum(axis=0).max() for layer in hybrid.layers if hasattr(layer, "mask")] == [2, 3, 32]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ks.scale_width(small(), 0), "`multiplier` of scale_width must be a number in"),
        (lambda: ks.scale_width(small(), 0.5, divisor=0), "`divisor` of scale_width must be an integer >= 1"),
        (lambda: ks.scale_width(small(), 0.5, exclude=["a", "b"], include_dense=False), "must have layers to scale"),
        (lambda: ks.scale_width(small(), 0.5, exclude="c"), "`exclude` of scale_width must name layers"),
        (lambda: ks.scale_width(stubborn(), 0.5), "must take other widths"),
        (lambda: ks.scale_width(chain(Hiding()), 0.5), "the layers that change their width. Received: 'hidden', made"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


class Hiding(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Conv2D(4, 1, name="hidden")

    def call(self, x):
        return self.hidden(x)


def stubborn():
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 3, padding="same")(inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.Add()([x, inputs])))
