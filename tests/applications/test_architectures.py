import re

import keras
import numpy as np
import pytest

from keras_sparse.aggregation import All, Exponential, Hybrid, Previous, Window
from keras_sparse.applications import DenseNet, FractalNet, ResNet, ResNet50, SparseNet, SparseNet121


def stages(model):
    return [model.get_layer(f"conv{i}") for i in (2, 3, 4)]


@pytest.mark.usefixtures("shapes_only")
def test_units_per_stage_by_the_papers_rules():
    assert [len(stage.units) for stage in stages(SparseNet(40, 12))] == [12] * 3
    assert [len(stage.units) for stage in stages(SparseNet(40, 12, bottleneck=True))] == [6] * 3
    assert [len(stage.units) for stage in stages(ResNet(56))] == [6] * 3
    assert [len(stage.units) for stage in stages(ResNet(56, bottleneck=False))] == [9] * 3


@pytest.mark.parametrize(
    ("make", "depth", "message"),
    [
        (
            lambda depth: SparseNet(depth, 4),
            11,
            "`depth` of SparseNet is 11, which makes 2 units a stage, as 10",
        ),
        (lambda depth: DenseNet(depth, 4, bottleneck=True), 21, "2 units a stage, as 16 does; 22 makes one more"),
        (lambda depth: ResNet(depth, 4), 28, "2 units a stage, as 20 does; 29 makes one more"),
    ],
)
@pytest.mark.usefixtures("shapes_only")
def test_a_depth_that_does_not_come_out_says_which_do(make, depth, message, recwarn):
    rounded = make(depth)
    (warning,) = recwarn
    assert message in str(warning.message)
    assert warning.filename == __file__  # who asked for it
    below, above = re.search(r"as (\d+) does; (\d+)", str(warning.message)).groups()
    assert make(int(below)).count_params() == rounded.count_params() < make(int(above)).count_params()
    assert len(recwarn) == 1


def test_sparsenet_with_every_link_is_densenet():
    dense = DenseNet(22, 6, bottleneck=True)
    sparse = SparseNet(22, 6, bottleneck=True, pattern="all", stem_filters=12)
    sparse.set_weights(dense.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(dense.predict(x, verbose=0), sparse.predict(x, verbose=0))


@pytest.mark.usefixtures("shapes_only")
def test_a_pattern_and_a_growth_rate_for_each_stage():
    model = SparseNet(16, (4, 6, 8), pattern=["all", Window(2), Hybrid(2, 3)])
    assert [stage.pattern for stage in stages(model)] == [All(), Window(2), Hybrid(2, 3)]
    assert [stage.units[0].filters for stage in stages(model)] == [(4,), (6,), (8,)]


@pytest.mark.usefixtures("shapes_only")
def test_base_reaches_every_stage():
    assert {stage.pattern for stage in stages(SparseNet(16, 4, base=3))} == {Exponential(3)}


def test_resnet_is_the_running_sum_of_residuals():
    """The block, which sums all earlier outputs, against identity shortcuts written by hand."""
    model = ResNet(29, growth_rate=4)
    block = model.get_layer("conv3")
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 16)).astype("float32")
    y = block.shortcut(x) + block.units[0](x)
    for unit in block.units[1:]:
        y = y + unit(y)
    np.testing.assert_allclose(*(keras.ops.convert_to_numpy(t) for t in (block(x), y)), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("shapes_only")
def test_compression_and_stem_filters():
    model = SparseNet(16, 4, compression=0.25, stem_filters=10)
    assert model.get_layer("conv1_conv").filters == 10
    # Four units: what leaves the stage is y_4, y_3 and y_1, 12 channels, a quarter of them kept.
    assert model.get_layer("pool2_conv").filters == 3


def test_resnet50_with_another_aggregation_has_the_same_parameters():
    residual = ResNet50(input_shape=(32, 32, 3))
    sparse = ResNet50(aggregation="exponential", input_shape=(32, 32, 3))
    assert residual.count_params() == sparse.count_params() == 25_636_712
    sparse.set_weights(residual.get_weights())
    x = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")
    assert not np.allclose(sparse.predict(x, verbose=0), residual.predict(x, verbose=0), atol=1e-6)


@pytest.mark.usefixtures("shapes_only")
def test_imagenet_classifier_reads_nine_values_a_channel():
    model = SparseNet121(growth_rate=8, input_shape=(224, 224, 3))
    channels = model.get_layer("relu").output.shape[-1]
    assert model.get_layer("predictions").kernel.shape == (9 * channels, 1000)


def test_fractalnet_is_the_same_function_every_time_at_inference_and_drops_paths_in_training():
    model = FractalNet(columns=2, filters=(4, 8), drop_path=0.5, dropout=0.0, seed=1, include_top=False)
    x = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")
    first, second = (keras.ops.convert_to_numpy(model(x)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    first, second = (keras.ops.convert_to_numpy(model(x, training=True)) for _ in range(2))
    assert not np.allclose(first, second)


@pytest.mark.parametrize("dropout", [0.0, (0.0, 0.2)])
def test_fractalnet_seeds_differ_from_layer_to_layer(dropout):
    model = FractalNet(columns=2, filters=(4, 8), dropout=dropout, seed=3)
    seeds = [layer.seed for layer in model.layers if hasattr(layer, "seed")]
    assert len(seeds) >= 3
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SparseNet(6, 12), "`depth` of SparseNet must be an integer >= 7. Received: depth=6"),
        (lambda: SparseNet(9, 12, bottleneck=True), "an integer >= 10"),
        (lambda: ResNet(10), "`depth` of ResNet must be an integer >= 11"),
        (lambda: SparseNet(40, (12, 24)), "`growth_rate` of SparseNet must be one value, or one for each of the 3"),
        (lambda: SparseNet(40, 12, pattern=["all", "all"]), "`pattern` of SparseNet must be one value"),
        (lambda: SparseNet(40, 12, pattern="exponentail"), "Did you mean 'exponential'"),
        (lambda: SparseNet(40, 12, pattern="all", base=3), "`base` of SparseNet must agree with its pattern"),
        (lambda: SparseNet(40, 12, operator="max"), "`operator` of SparseNet must be one of 'concat', 'mean', 'sum'"),
        (lambda: SparseNet(56, 16, operator="sum", compression=0.5), "`compression` of SparseNet must be None"),
        (lambda: SparseNet(40, 12, compression=1.5), "`compression` of SparseNet must be a number in [0, 1]"),
        (lambda: SparseNet(40, 12, compression=0.01), "large enough to leave a channel"),
        (lambda: SparseNet(40, 12, bottleneck="yes"), "`bottleneck` of SparseNet must be one of True, False"),
        (lambda: DenseNet(40, 0), "`growth_rate` of DenseNet must be an integer >= 1"),
        (lambda: ResNet50(aggregation="exponentail"), "Did you mean 'exponential'"),
        (lambda: FractalNet(columns=0), "`columns` of FractalNet"),
        (lambda: FractalNet(dropout=(0.1, 0.2)), "one for each of the 5 blocks"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError) as caught:
        make()
    assert message in str(caught.value)


@pytest.mark.usefixtures("shapes_only")
def test_patterns_of_a_plain_network():
    assert {stage.pattern for stage in stages(SparseNet(16, 4, pattern="previous"))} == {Previous()}
