import math

import keras
import matplotlib.image
import numpy as np
import pytest
from keras import layers

from keras_sparse.analysis.weight_statistics import QUANTILES, plot_weight_statistics, weight_statistics
from keras_sparse.applications import DenseNet121, SparseNet
from keras_sparse.layers import MaskedDense, SparseConv2D


def model_of(*stack, shape=(8,)):
    return keras.Sequential([keras.Input(shape), *stack], name="small")


def only_row(model):
    (row,) = weight_statistics(model).rows
    return row


def test_a_dense_kernel_by_hand():
    model = model_of(layers.Dense(4, name="dense"), shape=(2,))
    model.layers[0].kernel.assign([[-3, -1, 0, 0], [1, 2, 2, 7]])
    row = only_row(model)
    assert (row.layer, row.kernel, row.shape) == ("dense", "kernel", (2, 4))
    assert (row.count, row.connected, row.nonzero, row.sparsity) == (8, 8, 6, 0.25)
    assert (row.mean, row.mean_absolute, row.minimum, row.maximum) == (1.0, 2.0, -3.0, 7.0)
    assert row.standard_deviation == pytest.approx(math.sqrt(60 / 8))
    assert row.quantiles[QUANTILES.index(0.5)] == 0.5
    assert row.quantiles[QUANTILES.index(0.25)] == -0.25
    # Eight steps of 1.25 from -3 to 7.
    assert row.histogram == (1, 1, 2, 1, 2, 0, 0, 1)


def test_of_a_masked_layer_the_connected_weights_count():
    layer = MaskedDense(30, sparsity=0.8, seed=0)
    model = model_of(layer, shape=(20,))
    values = np.random.default_rng(0).normal(size=(20, 30))
    layer.set_dense_kernel(values)
    row, connected = only_row(model), values[layer.mask]
    assert (row.count, row.connected, row.nonzero) == (600, 120, 120)
    assert row.sparsity == pytest.approx(0.8)
    assert row.mean == pytest.approx(connected.mean(), rel=1e-5)
    assert row.standard_deviation == pytest.approx(connected.std(), rel=1e-5)
    assert row.quantiles == pytest.approx(np.quantile(connected, QUANTILES), rel=1e-4)
    assert sum(row.histogram) == 120
    # A connection whose weight is zero stays connected.
    values[np.nonzero(layer.mask)[0][0], np.nonzero(layer.mask)[1][0]] = 0
    layer.set_dense_kernel(values)
    assert (only_row(model).connected, only_row(model).nonzero) == (120, 119)


@pytest.mark.parametrize("block_size", [1, 4])
@pytest.mark.parametrize("kind", ["dense", "convolution"])
def test_formats_agree(kind, block_size):
    rows = []
    for form in ("masked", "compact"):
        options = {"sparsity": 0.75, "format": form, "block_size": block_size, "seed": 3}
        if kind == "dense":
            layer, shape, positions = MaskedDense(12, **options), (16,), ()
        else:
            layer, shape, positions = SparseConv2D(12, (3, 2), **options), (5, 5, 16), (3, 2)
        model = model_of(layer, shape=shape)
        layer.set_dense_kernel(np.random.default_rng(0).normal(size=(*positions, 16, 12)))
        rows.append(only_row(model))
    masked, compact = rows
    assert (masked.kernel, compact.kernel) == ("kernel", "values")
    assert masked.count == compact.count == 16 * 12 * math.prod(positions)
    assert masked.connected == compact.connected == masked.count // 4
    assert masked.sparsity == compact.sparsity == 0.75
    for statistic in ("mean", "standard_deviation", "mean_absolute", "minimum", "maximum"):
        assert getattr(masked, statistic) == pytest.approx(getattr(compact, statistic), rel=1e-6), statistic
    assert masked.histogram == compact.histogram


def test_every_trained_variable_with_two_axes_once_and_in_order():
    x = keras.Input((6, 6, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    h = shared(shared(x))
    h = layers.BatchNormalization()(layers.SeparableConv2D(4, 3, name="separable")(h))
    h = layers.LSTM(5, name="lstm")(layers.Reshape((16, 4))(h))
    model = keras.Model(x, layers.Dense(2, name="last")(h))
    rows = weight_statistics(model).rows
    expected = [tuple(v.shape) for v in model.trainable_variables if len(v.shape) > 1]
    assert [row.shape for row in rows] == expected
    assert [row.layer.split("/")[0] for row in rows] == ["shared", "separable", "separable", "lstm", "lstm", "last"]
    assert [row.kernel for row in rows][1:5] == ["depthwise_kernel", "pointwise_kernel", "kernel", "recurrent_kernel"]
    model.trainable = False
    assert weight_statistics(model).rows == rows


def test_a_kernel_that_two_layers_hold_counts_once():
    wrapped = model_of(layers.SpectralNormalization(layers.Dense(2)))
    assert [row.shape for row in weight_statistics(wrapped).rows] == [(8, 2)]


def test_networks_of_nested_layers():
    model = SparseNet(22, 4, bottleneck=True)
    rows = weight_statistics(model).rows
    assert [row.shape for row in rows] == [tuple(v.shape) for v in model.trainable_variables if len(v.shape) > 1]
    assert rows[1].layer == "conv2/conv2_block1/conv2_block1_1_conv"


def test_precision_does_not_matter():
    model = model_of(layers.Dense(3, dtype="bfloat16"))
    model.layers[0].kernel.assign(np.full((8, 3), 0.5))
    assert only_row(model).mean == 0.5


def test_what_is_constant_empty_or_not_finite(tmp_path):
    model = model_of(
        layers.Dense(3, kernel_initializer="zeros"),
        MaskedDense(4, topology=np.zeros((3, 4), bool)),
        layers.Dense(2, kernel_initializer=keras.initializers.Constant(float("inf"))),
    )
    zeros, empty, infinite = weight_statistics(model).rows
    assert (zeros.sparsity, zeros.minimum, zeros.maximum, zeros.histogram) == (1.0, 0.0, 0.0, (24,))
    assert (empty.connected, empty.sparsity, empty.histogram) == (0, 1.0, ())
    assert math.isnan(empty.mean)
    assert (infinite.maximum, infinite.histogram) == (math.inf, ())
    assert "nan" in str(weight_statistics(model))
    plot_weight_statistics(model, tmp_path / "odd.png")
    assert (tmp_path / "odd.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: "model.keras", "must be a Keras model"),
        (lambda: keras.Sequential([layers.Dense(3)]), "must be a built model"),
        (lambda: model_of(layers.ReLU()), "Received: model='small'"),
    ],
)
def test_errors(model, message):
    with pytest.raises(ValueError, match="`model` of weight_statistics") as caught:
        weight_statistics(model())
    assert message in str(caught.value)


def test_table():
    model = model_of(layers.Dense(4, name="dense"), shape=(2,))
    model.layers[0].kernel.assign([[-3, -1, 0, 0], [1, 2, 2, 7]])
    lines = str(weight_statistics(model)).splitlines()
    assert ["dense", "8", "6", "25.0%", "1", "2.74", "2", "-3", "7"] in [line.split() for line in lines]
    named = str(weight_statistics(model_of(layers.Dense(4, name="a" + "n" * 150 + "z"))))
    assert max(map(len, named.splitlines())) <= 100
    assert [line.split()[0] for line in named.splitlines()][-1] == "annnnnnn..nnnnnnnnnnnnnnnz"
    deep = str(weight_statistics(DenseNet121(weights=None, input_shape=(32, 32, 3), include_top=False)))
    assert max(map(len, deep.splitlines())) <= 100
    assert len(deep.splitlines()) == 3 + 120


def test_figure_from_rows_and_from_a_model(tmp_path):
    model = model_of(MaskedDense(16, sparsity=0.5), layers.Dense(4))
    plot_weight_statistics(weight_statistics(model), tmp_path / "rows.png")
    plot_weight_statistics(model, tmp_path / "model.png")
    rows, again = (matplotlib.image.imread(tmp_path / name) for name in ("rows.png", "model.png"))
    np.testing.assert_array_equal(rows, again)
    assert rows.shape[:2] == (int(120 * (1.4 + 2 * 0.42)), 1080)


def test_the_figure_of_a_deep_network_stays_in_bounds(tmp_path):
    row = only_row(model_of(layers.Dense(4)))
    many = weight_statistics(model_of(layers.Dense(4)))
    many = type(many)("deep", (row,) * 1000)
    plot_weight_statistics(many, tmp_path / "deep.png")
    assert matplotlib.image.imread(tmp_path / "deep.png").shape[0] < 120 * 32
