import keras
import keras_tuner
import numpy as np
import pytest

from keras_sparse import tuning
from keras_sparse.analysis import profile
from keras_sparse.datasets import load
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.tuning import SEARCH_SPACES, HyperResNet, HyperSparseNet, HyperSparsity
from keras_sparse.tuning.budget import Budget, Size

SHAPE = (16, 16, 1)
SEARCHED = {
    "hyper_dense_net": {
        "depth": [10, 16, 22],
        "growth_rate": ["8", "12", "16", "24", "[8, 16, 32]"],
        "bottleneck": [True, False],
        "compression": [0.5, 1.0],
    },
    "hyper_res_net": {
        "depth": [20, 38, 56],
        "growth_rate": ["16", "32", "[16, 16, 32]"],
        "bottleneck": [True, False],
        "pattern": ["all", "exponential", "window:3"],
        "base": [2, 3],
        "operator": ["sum", "mean"],
    },
    "hyper_sparse_net": {
        "depth": [10, 16, 22],
        "growth_rate": ["8", "12", "16", "24", "[8, 16, 32]"],
        "bottleneck": [True, False],
        "pattern": ["exponential", "hybrid:2", "window:3"],
        "base": [2, 3, 4],
        "compression": [0.5, 1.0],
    },
    "hyper_sparsity": {
        "sparsity": [0.5, 0.75, 0.9, 0.95],
        "topology": ["random_fan_in", "expander", "random_edge"],
        "allocation": ["uniform", "erdos_renyi", "erdos_renyi_kernel"],
    },
}


def space_of(name, **arguments):
    model = ("mlp",) if name == "hyper_sparsity" else ()
    return SEARCH_SPACES.lookup(name, "test")(*model, SHAPE, 10, **arguments)


def searched(hp):
    return {parameter.name: list(parameter.values) for parameter in hp.space}


@pytest.mark.parametrize("name", SEARCH_SPACES)
def test_what_is_searched(name):
    hp = keras_tuner.HyperParameters()
    model = space_of(name).build(hp)
    assert searched(hp) == SEARCHED[name]
    assert model.optimizer is not None
    assert model.input_shape == (None, *SHAPE)


@pytest.mark.parametrize("name", SEARCH_SPACES)
def test_measured_is_what_is_built(name):
    space, hp = space_of(name), keras_tuner.HyperParameters()
    counted = profile(space.build(hp))
    assert space.measure(hp) == Size(counted.connected_parameters, counted.macs)


@pytest.mark.parametrize("name", SEARCH_SPACES)
def test_a_recipe_builds_the_same_network(name, tmp_path):
    space, hp = space_of(name), keras_tuner.HyperParameters()
    model = space.build(hp)
    recipe = space.recipe(hp, tmp_path, dataset="digits", epochs=1)
    again = recipe.build_model(load("digits", examples=20))
    assert [tuple(w.shape) for w in again.weights] == [tuple(w.shape) for w in model.weights]
    assert profile(again).connected_parameters == profile(model).connected_parameters
    assert recipe.learning_rate == 0.1


def test_ranges_are_overridable_and_stages_may_differ():
    space = HyperSparseNet(
        SHAPE, 10, depth=16, growth_rate=[(4, 6, 8)], bottleneck=False, pattern="exponential", base=3, compression=1.0
    )
    hp = keras_tuner.HyperParameters()
    model = space.build(hp)
    assert hp.values == {"growth_rate": "[4, 6, 8]"}
    assert [model.get_layer(f"conv{i}").units[0].filters for i in (2, 3, 4)] == [(4,), (6,), (8,)]


def test_any_mix_of_choices_builds():
    space = HyperSparseNet(
        SHAPE,
        10,
        depth=16,
        growth_rate=[4, (4, 6, 8)],
        bottleneck=[True, False],
        pattern=["all", "window:2", ("all", "exponential", "hybrid:2")],
        base=[2, 3],
        operator=["concat", "sum"],
        compression=[None, 0.5],
    )
    choices = {
        "growth_rate": ["4", "[4, 6, 8]"],
        "pattern": ['"all"', '"window:2"', '["all", "exponential", "hybrid:2"]'],
        "base": [2, 3],
        "operator": ["concat", "sum"],
        "compression": ["null", "0.5"],
    }
    for turn in range(6):
        hp = keras_tuner.HyperParameters()
        for name, values in choices.items():
            hp.values[name] = values[turn % len(values)]
        hp.values["bottleneck"] = bool(turn % 2)
        assert space.build(hp).count_params() > 0
    assert searched(hp)["pattern"] == choices["pattern"]


def test_what_means_nothing_is_not_searched():
    """A base beside a pattern without one, compression beside a sum: no trial is spent on the difference."""
    space = HyperSparseNet(SHAPE, 10, pattern=["exponential", "window:3"], operator=["concat", "sum"])
    hp = keras_tuner.HyperParameters()
    hp.values.update(pattern="window:3", operator="sum")
    _, chosen = space.choose(hp)
    assert not {"base", "compression"} & set(chosen)
    assert not {"base", "compression"} & set(hp.values)
    hp = keras_tuner.HyperParameters()
    assert {"base", "compression"} <= set(space.choose(hp)[1])
    assert not hp.is_active("base") or hp.values["pattern"] == "exponential"
    # Nor what is fixed: the constructor would refuse it.
    hp = keras_tuner.HyperParameters()
    hp.values.update(pattern="window:3", operator="sum")
    space = HyperSparseNet(SHAPE, 10, pattern=["exponential", "window:3"], operator=["concat", "sum"], base=3)
    assert "base" not in space.choose(hp)[1]
    # Where the other is fixed, it is known from the start.
    fixed = HyperSparseNet(SHAPE, 10, pattern="window:3", operator="sum")
    hp = keras_tuner.HyperParameters()
    fixed.choose(hp)
    assert not {"base", "compression"} & set(searched(hp))


def test_choices_keep_their_types():
    hp = keras_tuner.HyperParameters()
    space = HyperResNet(SHAPE, 10, bottleneck=[True, False], depth=20)
    assert space.choose(hp)[1]["bottleneck"] is True
    hp.values["bottleneck"] = False
    assert space.choose(hp)[1]["bottleneck"] is False


def test_a_search_completes(tmp_path):
    digits = load("digits", examples=100)
    space = HyperSparseNet(SHAPE, 10, depth=10, growth_rate=[4, 6], bottleneck=False, base=[2])
    tuner = keras_tuner.RandomSearch(space, "val_accuracy", max_trials=2, directory=tmp_path, seed=1)
    x, y = digits.train.images.astype("float32") / 255, digits.train.labels
    tuner.search(x, y, validation_split=0.2, epochs=1, verbose=0)
    trials = tuner.oracle.trials.values()
    assert [trial.status for trial in trials] == ["COMPLETED"] * 2
    assert all(np.isfinite(trial.score) for trial in trials)


@pytest.mark.parametrize("limit", [{"max_connected_parameters": 10_000}, {"max_macs": 100_000}])
def test_keras_tuner_spends_no_epoch_on_what_is_over_the_budget(limit, tmp_path):
    space = HyperSparsity("mlp", SHAPE, 10, {"hidden": [100]}, sparsity=[0.5], topology="expander", **limit)
    space.budget = Budget(**{name: 1_000 for name in limit})
    tuner = keras_tuner.RandomSearch(space, "val_accuracy", max_trials=1, directory=tmp_path)
    tuner.search(None, verbose=0)  # no data: none is read
    (trial,) = tuner.oracle.trials.values()
    assert trial.status == "FAILED"
    assert "It was not trained" in trial.message
    assert f"more than {next(iter(limit))}=1,000" in trial.message


def test_budget():
    size = Size(connected_parameters=100, macs=1000)
    assert Budget().excess(size) is None
    assert Budget(100, 1000).excess(size) is None
    assert Budget(99).excess(size) == "100 connected parameters, more than max_connected_parameters=99"
    assert Budget(max_macs=999).excess(size) == "1,000 multiply-adds, more than max_macs=999"
    with pytest.raises(ValueError, match="`max_macs` of Budget must be an integer >= 1"):
        Budget(max_macs=0)


def dense(hp):
    units = hp.Choice("units", [8, 12])
    return keras.Sequential(
        [keras.Input(SHAPE), keras.layers.Flatten(), *(keras.layers.Dense(n, name=f"d{n}") for n in (units, 10))]
    )


def test_sparsity_of_each_layer_of_a_model_that_is_searched_too(tmp_path):
    space = HyperSparsity(dense, sparsity={"d10": [0.25, 0.5], "d*": [0.75, 0.9]}, topology="random_fan_in")
    hp = keras_tuner.HyperParameters()
    model = space.build(hp)
    assert searched(hp) == {"sparsity/d10": [0.25, 0.5], "sparsity/d*": [0.75, 0.9], "units": [8, 12]}
    masks = {layer.name: layer.mask for layer in model.layers if isinstance(layer, SparseKernel)}
    assert {name: mask.mean() for name, mask in masks.items()} == {"d8": 0.25, "d10": 0.75}
    # Its recipe finds the dense model in a file.
    recipe = space.recipe(hp, tmp_path, dataset="digits")
    again = recipe.build_model(load("digits", examples=20))
    assert all((again.get_layer(name).mask == mask).all() for name, mask in masks.items())


def test_sparsity_takes_a_hyper_model_a_file_and_its_formats(tmp_path):
    class Dense(keras_tuner.HyperModel):
        def build(self, hp):
            return dense(hp)

    hp = keras_tuner.HyperParameters()
    dense(hp).save(tmp_path / "m.keras")
    for model in (Dense(), str(tmp_path / "m.keras")):
        space = HyperSparsity(model, sparsity=0.5, block_size=[1, 2], format=["compact"], allocation="uniform")
        built = space.build(hp)
        assert built.get_layer("d8").format == "compact"
        assert built.get_layer("d8").mask.mean() == 0.5
    assert searched(hp)["block_size"] == [1, 2]


def test_errors():
    with pytest.raises(ValueError, match=r"`arguments` of HyperSparseNet must be among depth.*\['deph'\]"):
        HyperSparseNet(SHAPE, 10, deph=[1])
    with pytest.raises(ValueError, match="`depth` of HyperSparseNet must be a value or a non-empty list"):
        HyperSparseNet(SHAPE, 10, depth=[])
    with pytest.raises(ValueError, match="`model` of HyperSparsity must be one of 'cifarnet'"):
        HyperSparsity("lenet", SHAPE, 10)
    with pytest.raises(ValueError, match="Wrap a model as `lambda hp"):
        HyperSparsity(3)
    with pytest.raises(ValueError, match="`input_shape` of HyperSparsity must be a tuple"):
        HyperSparsity("mlp")
    with pytest.raises(ValueError, match="`allocation` of HyperSparsity must be left out"):
        HyperSparsity("mlp", SHAPE, 10, sparsity={"*": [0.5]}, allocation="uniform")


def test_public_names():
    assert set(tuning.__all__) >= {"HyperSparseNet", "HyperDenseNet", "HyperResNet", "HyperSparsity", "search"}
