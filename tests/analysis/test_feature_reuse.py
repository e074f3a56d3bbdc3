import keras
import matplotlib.image
import numpy as np
import pytest
from keras import layers

from keras_sparse.analysis.feature_reuse import feature_reuse, plot_feature_reuse
from keras_sparse.applications import DenseNet, ResNet, SparseNet, SparseNet121
from keras_sparse.layers import MaskedDense, PreactivationUnit, SparseAggregationBlock

NAN = float("nan")


def blocks_of(model):
    return [layer for layer in model.layers if isinstance(layer, SparseAggregationBlock)]


def dense_block(width=2, units=4, pattern="exponential", make=layers.Dense):
    """A model of one block on an input of 3 channels, and a classifier."""
    inputs = keras.Input((3,))
    block = SparseAggregationBlock([make(width, name=f"unit{i + 1}") for i in range(units)], pattern, name="block")
    return keras.Model(inputs, layers.Dense(5, name="classifier")(layers.ReLU()(block(inputs))), name="small")


def paint(kernel, widths, values):
    """Gives the channels of each source weights of one absolute value, of both signs."""
    painted = np.repeat(values, widths)[:, None] * np.ones(kernel.shape)
    painted[..., ::2] *= -1
    kernel.assign(painted)


def test_matrix_by_hand():
    model = dense_block()
    block = model.get_layer("block")
    # Exponential: 1 reads 0; 2 reads 0, 1; 3 reads 1, 2; 4 reads 0, 2, 3; the exit reads 1, 3, 4.
    for unit, widths, values in zip(
        [*block.units, model.get_layer("classifier")],
        [[3], [3, 2], [2, 2], [3, 2, 2], [2, 2, 2]],
        [[1], [2, 3], [4, 5], [6, 7, 8], [9, 10, 11]],
        strict=True,
    ):
        paint(unit.kernel, widths, values)
    (stage,) = feature_reuse(model).stages
    expected = [
        [1, 2, NAN, 6, NAN],
        [NAN, 3, 4, NAN, 9],
        [NAN, NAN, 5, 7, NAN],
        [NAN, NAN, NAN, 8, 10],
        [NAN, NAN, NAN, NAN, 11],
    ]
    np.testing.assert_allclose(stage.weights, expected)
    np.testing.assert_allclose(stage.normalized, np.array(expected) / [1, 3, 5, 8, 11])
    assert stage.name == "block"
    assert stage.sources == ("input", "unit1", "unit2", "unit3", "unit4")
    assert stage.readers == ("unit1", "unit2", "unit3", "unit4", "classifier")


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("network", [SparseNet, DenseNet])
def test_networks_read_where_their_pattern_says(network, bottleneck):
    # Bottleneck: the growth rate is such that the 3x3 convolution reads as many channels as one of the 1x1.
    model = network(28, 4, bottleneck=bottleneck, stem_filters=8)
    result = feature_reuse(model)
    assert [stage.name for stage in result.stages] == ["conv2", "conv3", "conv4"]
    assert [stage.readers[-1] for stage in result.stages] == ["pool2_conv", "pool3_conv", "predictions"]
    for stage, block in zip(result.stages, blocks_of(model), strict=True):
        count = len(block.units) + 1
        assert stage.weights.shape == (count, count)
        for column in range(count):
            assert np.flatnonzero(~np.isnan(stage.weights[:, column])).tolist() == block.pattern.sources(column + 1)
    # Only the first convolution of a unit reads what stands before it.
    block = blocks_of(model)[1]
    before = feature_reuse(model).stages[1].weights
    block.units[2].convolutions[0].kernel.assign(block.units[2].convolutions[0].kernel * 2)
    changed = feature_reuse(model).stages[1].weights / before
    assert np.unique(changed[:, 2][~np.isnan(changed[:, 2])]).tolist() == [2.0]
    assert np.nanmax(np.delete(changed, 2, axis=1)) == 1.0


def test_sources_stand_in_the_order_of_the_channels():
    model = DenseNet(16, 4)
    block = blocks_of(model)[2]
    unit = block.units[-1].convolutions[0]
    widths = [unit.kernel.shape[2] - 3 * 4, 4, 4, 4]
    paint(unit.kernel, widths, [1, 2, 3, 4])
    stage = feature_reuse(model).stages[2]
    np.testing.assert_allclose(stage.weights[:-1, 3], [1, 2, 3, 4])
    assert stage.weights.shape == (5, 5)


def test_a_classifier_that_reads_a_flattened_map():
    """SparseNet121 flattens 3x3 positions: channels stand inside, positions outside."""
    model = SparseNet121(growth_rate=4, classes=10, input_shape=(96, 96, 3))
    block = blocks_of(model)[-1]
    sources = block.pattern.sources(len(block.units) + 1)
    kernel = model.get_layer("predictions").kernel
    widths = [4] * len(sources)
    assert kernel.shape[0] == 9 * sum(widths)
    kernel.assign(np.tile(np.repeat(np.arange(len(sources)), widths), 9)[:, None] * np.ones(kernel.shape))
    last = feature_reuse(model).stages[-1]
    assert last.readers[-1] == "predictions"
    np.testing.assert_allclose(last.weights[sources, -1], range(len(sources)))


def test_without_a_reader_the_exit_is_left_out():
    stages = feature_reuse(SparseNet(16, 4, include_top=False)).stages
    assert [len(stage.readers) - len(stage.sources) for stage in stages] == [0, 0, -1]
    branching = keras.Input((3,))
    block = SparseAggregationBlock([layers.Dense(2)])(branching)
    model = keras.Model(branching, [layers.Dense(1)(block), layers.Dense(1)(block)])
    assert len(feature_reuse(model).stages[0].readers) == 1


@pytest.mark.parametrize("format", ["masked", "compact"])
def test_sparse_units_count_cut_weights_as_zero(format):
    def make(units, name):
        return MaskedDense(units, sparsity=0.5, format=format, seed=1, name=name)

    model = dense_block(make=make)
    second = model.get_layer("block").units[1]
    dense = np.abs(second.dense_kernel())
    assert (dense == 0).mean() > 0.3
    (stage,) = feature_reuse(model).stages
    np.testing.assert_allclose(stage.weights[:2, 1], [dense[:3].mean(), dense[3:].mean()], rtol=1e-6)


def test_units_of_several_layers_nested_models_and_channels_first():
    def make(width, name):
        return keras.Sequential([layers.LayerNormalization(), layers.Dense(width), layers.ReLU()], name=name)

    inner = dense_block(pattern="all", make=make)
    outer = keras.Sequential([keras.Input((3,)), inner])
    (stage,) = feature_reuse(outer).stages
    assert stage.readers[-1] == "classifier"
    first = PreactivationUnit(4, 3, data_format="channels_first", name="first")
    second = PreactivationUnit((6, 4), (1, 3), data_format="channels_first", name="second")
    inputs = keras.Input((6, 8, 8))
    model = keras.Model(inputs, SparseAggregationBlock([first, second], axis=1)(inputs))
    (stage,) = feature_reuse(model).stages
    np.testing.assert_array_equal(np.isnan(stage.weights), [[False, False], [True, False], [True, True]])


class Backwards(layers.Layer):
    """Defines the layer that reads its input last."""

    def __init__(self, width, name):
        super().__init__(name=name)
        self.last = layers.Dense(width)
        self.first = layers.Dense(11)

    def call(self, inputs):
        return self.last(self.first(inputs))


def test_of_several_kernels_the_one_counts_that_fits_the_input():
    model = dense_block(units=1, make=Backwards)
    unit = model.get_layer("block").units[0]
    paint(unit.first.kernel, [3], [7])
    assert feature_reuse(model).stages[0].weights[0, 0] == 7


def test_a_subclassed_model_has_its_units():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.block = SparseAggregationBlock([layers.Dense(2, name="a"), layers.Dense(2, name="b")])
            self.classifier = layers.Dense(3)

        def call(self, inputs):
            return self.classifier(self.block(inputs))

    model = Subclassed()
    model(np.ones((1, 3), "float32"))
    assert feature_reuse(model).stages[0].readers == ("a", "b")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ResNet(20, 4), "a built model with a SparseAggregationBlock that concatenates"),
        (lambda: SparseNet(20, 4, operator="sum"), "belong to no single one"),
        (lambda: "model.keras", "Received: model='model.keras'"),
        (lambda: dense_block(width=3, make=lambda width, name: layers.ReLU(name=name)), "reads the 3 channels"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match="`model` of feature_reuse must be") as caught:
        feature_reuse(make())
    assert message in str(caught.value)


def test_a_layer_of_zeros_uses_nothing():
    model = dense_block(units=2)
    kernel = model.get_layer("block").units[1].kernel
    kernel.assign(np.zeros(kernel.shape))
    (stage,) = feature_reuse(model).stages
    assert stage.normalized[:2, 1].tolist() == [0, 0]


def test_table():
    model = dense_block()
    paint(model.get_layer("block").units[3].kernel, [3, 2, 2], [0.5, 1, 2])
    lines = str(feature_reuse(model)).splitlines()
    assert "small" in lines[0]
    assert ["unit4", "unit3", "input", "3", "1.167", "2", "0.5", "0.25"] in [line.split() for line in lines]
    assert len(lines) == 3 + 5
    wide = str(feature_reuse(SparseNet(40, 12, bottleneck=True)))
    assert max(map(len, wide.splitlines())) <= 100


def test_figure(tmp_path):
    for model, panels in ((SparseNet(16, 4), 3), (dense_block(), 1)):
        plot_feature_reuse(feature_reuse(model), tmp_path / "reuse.png")
        height, width, _ = matplotlib.image.imread(tmp_path / "reuse.png").shape
        assert height == 690
        assert width == 150 * 4.2 * panels + 120
