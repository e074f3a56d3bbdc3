"""Deep models in two forms: from one to the other with their weights, and what needs the unrolled one says so."""

import keras
import numpy as np
import pytest

import keras_sparse as ks
from keras_sparse.layers import LoopedAggregationBlock, SparseAggregationBlock
from keras_sparse.transforms.unroll import without_loops

SIZE = (16, 16, 3)
MODELS = {
    "sparsenet": lambda **options: ks.applications.SparseNet(40, 4, bottleneck=True, input_shape=SIZE, **options),
    "sparsenet-sum": lambda **options: ks.applications.SparseNet(
        47, 4, operator="sum", input_shape=SIZE, pattern="window:2", **options
    ),
    "resnet": lambda **options: ks.applications.ResNet(47, 4, input_shape=SIZE, **options),
}
X = np.random.default_rng(0).normal(size=(4, *SIZE)).astype("float32")


def kinds(model):
    return {type(layer) for layer in model.layers if layer.name in ("conv2", "conv3", "conv4")}


def predict(model):
    return keras.ops.convert_to_numpy(model(X))


def both(name):
    models = []
    for loop in (False, True):
        keras.utils.set_random_seed(3)
        models.append(MODELS[name](loop=loop))
    return models


@pytest.mark.parametrize("name", MODELS)
def test_there_and_back(name, tmp_path):
    unrolled, looped = both(name)
    assert kinds(unrolled) == {SparseAggregationBlock}
    assert kinds(looped) == {LoopedAggregationBlock}
    # The same seed, the same weights.
    np.testing.assert_allclose(predict(looped), predict(unrolled), rtol=1e-4, atol=1e-6)
    looped.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True)
    looped.train_on_batch(X, np.arange(4))
    looped.save(tmp_path / "looped.keras")
    loaded = keras.saving.load_model(tmp_path / "looped.keras")
    np.testing.assert_array_equal(predict(loaded), predict(looped))
    there = without_loops(loaded)
    assert without_loops(there) is there
    assert kinds(there) == {SparseAggregationBlock}
    np.testing.assert_allclose(predict(there), predict(looped), rtol=1e-4, atol=1e-6)
    there.save_weights(tmp_path / "unrolled.weights.h5")
    unrolled.load_weights(tmp_path / "unrolled.weights.h5")  # names and places are those of a network built unrolled
    back = ks.roll(unrolled, remat=True)
    assert kinds(back) == {LoopedAggregationBlock}
    assert back.get_layer("conv2").remat
    for one, other in zip(back.get_weights(), looped.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", MODELS)
def test_profile_speaks_of_units(name):
    unrolled, looped = (ks.analysis.profile(model) for model in both(name))
    assert looped == unrolled
    assert str(looped) == str(unrolled)
    assert any("conv3_block5" in row.name for row in looped.rows)


def test_deep_networks_loop_by_themselves():
    options = {"input_shape": SIZE, "growth_rate": 2}
    if keras.backend.backend() != "tensorflow":
        pytest.skip("elsewhere it depends on the device")
    with keras.StatelessScope(initialize_variables=False):
        assert kinds(ks.applications.SparseNet(100, **options)) == {SparseAggregationBlock}
        assert kinds(ks.applications.SparseNet(130, **options)) == {LoopedAggregationBlock}
        assert kinds(ks.applications.SparseNet(130, **options, loop=False)) == {SparseAggregationBlock}
        # Each unit reads more than the one before: nothing to loop over.
        assert kinds(ks.applications.SparseNet(130, **options, pattern="all")) == {SparseAggregationBlock}
        deep = ks.applications.SparseNet(3001, 12, bottleneck=True)
        assert len(deep.variables) < 60
        assert deep.get_layer("conv2").links == 499 + 498 + 496 + 492 + 484 + 468 + 436 + 372 + 244


def test_a_block_with_sparse_layers_stays_unrolled():
    sparse = ks.sparsify(MODELS["sparsenet"](loop=False), 0.5, exclude=["conv2*", "conv4*"], seed=0)
    rolled = ks.roll(sparse)
    assert [type(rolled.get_layer(name)) for name in ("conv2", "conv3")] == [
        LoopedAggregationBlock, SparseAggregationBlock,
    ]  # fmt: skip
    np.testing.assert_allclose(predict(rolled), predict(sparse), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "verb",
    [
        lambda model: ks.sparsify(model, 0.5),
        lambda model: ks.scale_width(model, 0.5),
        ks.shrink,
        ks.mask_in_place,
        ks.analysis.is_path_connected,
        ks.analysis.feature_reuse,
        lambda model: ks.reinitialize(model, 1),
    ],
)
def test_what_looks_at_single_layers_says_how_to_get_them(verb):
    with pytest.raises(ValueError, match=r"which runs those of 'conv2', 'conv3', 'conv4' as loops.*unroll\(model\)"):
        verb(MODELS["sparsenet"](loop=True))


def test_pruning_too():
    model = MODELS["sparsenet"](loop=True)
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    with pytest.raises(ValueError, match=r"Prune must have a layer for each unit.*unroll"):
        model.fit(X, np.arange(4), callbacks=[ks.callbacks.Prune(ks.schedules.OneShot(0.5, 0))], verbose=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MODELS["resnet"](loop="yes"), "`loop` of ResNet must be one of 'auto', True, False"),
        (lambda: MODELS["resnet"](loop=False, remat=True), "`remat` of ResNet must be False without loops"),
        (lambda: ks.unroll("model"), "`model` of unroll must be a Keras model"),
        (lambda: ks.roll(keras.Sequential([keras.layers.Dense(1)])), "`model` of roll must be built"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError) as caught:
        make()
    assert message in str(caught.value)


def trained(model):
    return len(model.trainable_variables)


@pytest.mark.parametrize("name", ["sparsenet", "resnet"])
def test_what_is_frozen_inside_of_blocks_stays_frozen(name):
    model = MODELS[name](loop=False)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    assert 0 < trained(ks.roll(model)) == trained(model) < trained(MODELS[name](loop=False))
    if name == "resnet":
        looped = MODELS[name](loop=True)
        before = trained(looped)
        frozen = looped.get_layer("conv3").first_unit
        count = len(frozen.trainable_variables)
        frozen.trainable = False
        assert trained(looped) == before - count
        unrolled = ks.unroll(looped)
        assert not unrolled.get_layer("conv3").units[0].trainable_variables
        assert trained(unrolled) == trained(MODELS[name](loop=False)) - count


@pytest.mark.parametrize(
    "options",
    [
        {"use_bias": True},
        {"activation": "tanh"},
        {"dilation_rate": 2},
        {"groups": 2},
        {"kernel_regularizer": "l2"},
        {"kernel_size": 5},
        None,
    ],
    ids=str,
)
def test_units_with_layers_of_their_own_are_not_looped(options):
    own = {"kernel_size": 3, "padding": "same", "use_bias": False, **(options or {})}
    units = [
        ks.layers.PreactivationUnit(4, 3, convolutions=None if options is None else [keras.layers.Conv2D(4, **own)])
        for _ in range(4)
    ]
    inputs = keras.Input((16, 16, 4))
    model = keras.Model(inputs, SparseAggregationBlock(units, operator="sum", name="conv2")(inputs))
    rolled = ks.roll(model)
    assert kinds(rolled) == {LoopedAggregationBlock if options is None else SparseAggregationBlock}
    x = np.random.default_rng(0).normal(size=(2, 16, 16, 4)).astype("float32")
    np.testing.assert_allclose(*(keras.ops.convert_to_numpy(m(x)) for m in (model, rolled)), atol=1e-5)
