import keras_tuner
import numpy as np
import pytest

from keras_sparse import tuning
from keras_sparse.datasets import load
from keras_sparse.tuning import SEARCH_SPACES, HyperSparseNet

SHAPE = (16, 16, 1)


@pytest.mark.parametrize("name", SEARCH_SPACES)
def test_space_is_what_the_class_says(name):
    space = SEARCH_SPACES.lookup(name, "test")(SHAPE, 10)
    hp = keras_tuner.HyperParameters()
    model = space.build(hp)
    searched = {k: v for k, v in space.ranges.items() if isinstance(v, list)}
    assert {parameter.name: list(parameter.values) for parameter in hp.space} == {**searched, "learning_rate": [0.1]}
    assert model.optimizer is not None
    assert model.input_shape == (None, *SHAPE)


def test_ranges_are_overridable_and_stages_may_differ():
    space = HyperSparseNet(SHAPE, 10, depth=16, growth_rate=[(4, 6, 8)], bottleneck=False, base=3)
    hp = keras_tuner.HyperParameters()
    model = space.build(hp)
    assert hp.values == {"growth_rate": "[4, 6, 8]", "learning_rate": 0.1}
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
    assert {parameter.name: list(parameter.values) for parameter in hp.space}["pattern"] == choices["pattern"]


def test_a_search_completes(tmp_path):
    digits = load("digits", examples=100)
    space = HyperSparseNet(SHAPE, 10, depth=10, growth_rate=[4, 6], bottleneck=False, base=[2])
    tuner = keras_tuner.RandomSearch(space, "val_accuracy", max_trials=2, directory=tmp_path, seed=0)
    x, y = digits.train.images.astype("float32") / 255, digits.train.labels
    tuner.search(x, y, validation_split=0.2, epochs=1, verbose=0)
    trials = tuner.oracle.trials.values()
    assert [trial.status for trial in trials] == ["COMPLETED"] * 2
    assert all(np.isfinite(trial.score) for trial in trials)


def test_errors():
    with pytest.raises(ValueError, match=r"`arguments` of HyperSparseNet must be among depth.*\['deph'\]"):
        HyperSparseNet(SHAPE, 10, deph=[1])
    with pytest.raises(ValueError, match="`depth` of HyperSparseNet must be a value or a non-empty list"):
        HyperSparseNet(SHAPE, 10, depth=[])


def test_public_names():
    assert set(tuning.__all__) >= {"HyperSparseNet", "HyperDenseNet", "HyperResNet"}
