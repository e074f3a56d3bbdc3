import dataclasses
import json

import numpy as np
import pytest

from keras_sparse.aggregation import Window
from keras_sparse.training import PRESETS, Recipe, preset


def test_json_round_trip():
    recipe = preset("sparsenet_paper", "sparsenet", {"depth": 40, "growth_rate": (8, 16, 32)}, seed=5)
    again = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert again == recipe
    assert again.model_arguments["growth_rate"] == [8, 16, 32]


def test_learning_rate_drops_at_the_papers_epochs():
    recipe = preset("sparsenet_paper", "sparsenet", {"depth": 40, "growth_rate": 12})
    rates = [recipe.learning_rate_at(epoch) for epoch in (0, 149, 150, 224, 225, 299)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    assert (recipe.batch_size, recipe.weight_decay, recipe.nesterov, recipe.momentum) == (64, 1e-4, True, 0.9)
    assert recipe.validation_fraction == 0


def test_study_preset():
    recipe = preset("sparsenet_study", "densenet", {"depth": 40, "growth_rate": 12})
    assert (recipe.batch_size, recipe.learning_rate, recipe.momentum, recipe.nesterov) == (32, 0.1, 0.9, False)
    assert recipe.validation_fraction == 0.1
    assert recipe.learning_rate_at(49) == 0.1


@pytest.mark.parametrize("name", PRESETS)
def test_presets_stay_valid_with_any_number_of_epochs(name):
    for epochs in (1, 2, 3, 10, 1000):
        drops = preset(name, "resnet", {"depth": 56}, epochs=epochs).learning_rate_drops
        assert all(0 < drop < epochs for drop in drops)


def test_drops_move_with_the_number_of_epochs_unless_given():
    assert preset("sparsenet_paper", "resnet", {"depth": 56}, epochs=30).learning_rate_drops == (15, 22)
    assert preset(
        "sparsenet_paper", "resnet", {"depth": 56}, epochs=30, learning_rate_drops=(5,)
    ).learning_rate_drops == (5,)


def test_differences_name_the_fields():
    recipe = Recipe("resnet", {"depth": 56})
    assert recipe.differences(dataclasses.replace(recipe, seed=1, epochs=9)) == ["epochs", "seed"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "resnett"}, "Did you mean 'resnet'"),
        ({"dataset": "mnits"}, "`dataset` of Recipe must be one of"),
        ({"epochs": 0}, "`epochs` of Recipe must be an integer >= 1"),
        ({"batch_size": 2.5}, "`batch_size` of Recipe must be an integer"),
        ({"learning_rate": -1}, "`learning_rate` of Recipe must be a number"),
        ({"weight_decay": 2}, "`weight_decay` of Recipe must be a number in [0, 1]"),
        ({"learning_rate_drops": (5, 3)}, "`learning_rate_drops` of Recipe must be increasing epochs below 8"),
        ({"learning_rate_drops": (8,)}, "would never come"),
        ({"augmentation": "flip"}, "`augmentation` of Recipe"),
        ({"precision": "float8"}, "`precision` of Recipe"),
        ({"seed": -1}, "`seed` of Recipe"),
        ({"validation_fraction": 1.0}, "`validation_fraction` of Recipe"),
        ({"examples": 0}, "`examples` of Recipe"),
        ({"seed": 2**32}, "`seed` of Recipe must be an integer in [0, 4294967295]"),
        ({"batch_size": 10**20}, "`batch_size` of Recipe must be an integer in [1,"),
        ({"learning_rate_drops": 4}, "`learning_rate_drops` of Recipe must be a tuple of epochs"),
        ({"nesterov": "maybe"}, "`nesterov` of Recipe must be one of True, False"),
        ({"model_arguments": {"depth": 56, "dpeth": 3}}, "unexpected keyword argument 'dpeth'"),
        ({"model_arguments": {}}, "missing a required argument: 'depth'"),
        ({"model_arguments": {"depth": 56, "pattern": Window(2)}}, "written as in 'window:5'"),
        ({"model_arguments": {"depth": 56, "classes": 3}}, "takes input_shape and classes from the data"),
    ],
    ids=str,
)
def test_errors(fields, message):
    with pytest.raises(ValueError) as caught:
        Recipe(**{"model": "resnet", "model_arguments": {"depth": 56}, **fields})
    assert message in str(caught.value)


def test_unknown_fields_are_refused():
    with pytest.raises(ValueError, match=r"`fields` of Recipe must be 'model' and others.*\['color', 'model'\]"):
        Recipe.from_dict({"model": "resnet", "color": 1})
    with pytest.raises(ValueError, match="`changes` of preset must be one of"):
        preset("quick", "resnet", {"depth": 56}, color=1)


def test_a_recipe_is_a_value():
    one, other = (Recipe("resnet", {"depth": 56}, epochs=np.int64(3)) for _ in range(2))
    assert one == other
    assert len({one, other}) == 1
    assert json.dumps(one.to_dict())


def test_load_names_the_file(tmp_path):
    (tmp_path / "recipe.json").write_text("[]")
    with pytest.raises(ValueError, match=r"recipe.json' is no recipe"):
        Recipe.load(tmp_path / "recipe.json")
