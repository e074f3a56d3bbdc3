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


def test_imagenet_preset():
    recipe = preset("sparsenet_imagenet", "sparsenet121")
    assert [recipe.learning_rate_at(epoch) for epoch in (29, 30, 60)] == pytest.approx([0.1, 0.01, 0.001])
    assert (recipe.dataset, recipe.batch_size, recipe.validation_fraction) == ("imagenet2012", 256, 0)


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


VERBS = {
    "sparsify": {"sparsity": 0.5, "topology": "expander", "exclude": ["first", "last"]},
    "prune": {"sparsity": 0.9, "begin": 10, "end": 50, "frequency": 7, "criterion": "saliency", "pattern": "block:4x4"},
    "rewire": {"drop": 0.2, "grow": "gradient", "frequency": 10, "until": 90},
    "densify": {"initial": 0.1, "period": 20, "final": 0.5, "new": "initializer"},
}


def test_verbs_survive_json():
    recipe = Recipe("mlp", {"hidden": [20]}, **VERBS)
    again = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert again == recipe
    assert hash(again) == hash(recipe)
    assert {verb: getattr(again, verb) for verb in VERBS} == VERBS
    assert recipe.differences(dataclasses.replace(recipe, prune=None, rewire={"drop": 0.1})) == ["prune", "rewire"]
    # What JSON writes otherwise is otherwise from the start.
    assert Recipe("mlp", prune={"sparsity": 0.9, "exclude": ("first", "last")}).prune["exclude"] == ["first", "last"]


def test_a_recipe_that_was_written_before_there_were_verbs(tmp_path):
    """As `recipe.json` was at the first release."""
    old = {
        "model": "mlp", "model_arguments": {"hidden": [20]}, "dataset": "digits", "epochs": 3, "batch_size": 32,
        "learning_rate": 0.1, "learning_rate_drops": [1, 2], "drop_factor": 0.1, "momentum": 0.9, "nesterov": True,
        "weight_decay": 0.0001, "augmentation": "shift", "validation_fraction": 0.1, "examples": None, "seed": 0,
        "precision": "float32",
    }  # fmt: skip
    (tmp_path / "recipe.json").write_text(json.dumps({"recipe": old, "data_dir": None, "environment": {}}))
    recipe = Recipe.load(tmp_path)
    assert recipe == preset("quick", "mlp", {"hidden": [20]}, epochs=3)
    assert (recipe.sparsify, recipe.prune, recipe.rewire, recipe.densify) == (None,) * 4


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("prune", {"sparsity": 0.9, "sparsety": 1}, "`prune` of Recipe must be a dictionary of sparsity, begin, end"),
        ("prune", {"sparsity": 0.9, "sparsety": 1}, "'sparsety'"),
        ("prune", {"begin": 3}, "`prune` of Recipe must be a dictionary with 'sparsity'. Received: prune={'begin': 3}"),
        ("prune", 0.9, "`prune` of Recipe must be a dictionary of sparsity"),
        ("prune", {"sparsity": 1.0}, "must be a number in [0, 1)"),
        ("prune", {"sparsity": 0.9, "once": True, "begin": -1}, "must be an integer >= 0"),
        ("prune", {"sparsity": 0.9, "begin": 60, "end": 50}, "`end` of Polynomial must be an integer >= 60"),
        ("prune", {"sparsity": 0.9, "criterion": "size"}, "`criterion` of Prune must be one of"),
        ("prune", {"sparsity": 0.9, "scope": "model"}, "`scope` of Prune must be one of 'layer', 'global'"),
        ("prune", {"sparsity": 0.9, "pattern": "2:x"}, "2:x"),
        ("prune", {"sparsity": 0.9, "allocation": "even"}, "even"),
        ("sparsify", {"topology": "expander"}, "`sparsify` of Recipe must be a dictionary with 'sparsity'"),
        ("sparsify", {"sparsity": 0.9, "model": 1}, "`sparsify` of Recipe must be a dictionary of sparsity, topology"),
        ("rewire", {"until": 50, "frequency": 50}, "`until` of Rewire must be an integer >= 51"),
        ("rewire", {"grow": "rigl"}, "`grow` of Rewire must be one of 'random', 'gradient', 'momentum'"),
        ("rewire", {"drop": 1.0}, "`drop` of Rewire"),
        ("densify", {"initial": 0.0}, "`initial` of Doubling"),
        ("densify", {"new": "ones"}, "`new` of Densify must be one of 'zeros', 'initializer'"),
    ],
    ids=str,
)
def test_errors_in_verbs(verb, arguments, message):
    with pytest.raises(ValueError) as caught:
        Recipe("mlp", **{verb: arguments})
    assert message in str(caught.value)


def test_verbs_that_json_cannot_hold():
    with pytest.raises(ValueError, match="`prune` of Recipe"):
        Recipe("mlp", prune={"sparsity": 0.9, "exclude": {"first"}})


def test_until_goes_with_the_frequency_of_the_run():
    assert Recipe("mlp", epochs=1, rewire={"until": 30}).rewire == {"until": 30}


def test_a_file_as_a_model(tmp_path):
    recipe = Recipe(str(tmp_path / "model.keras"), prune={"sparsity": 0.9})
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    with pytest.raises(ValueError, match=r"`model_arguments` of Recipe must be empty for a file"):
        Recipe(str(tmp_path / "model.keras"), {"hidden": [20]})


def test_a_path_as_a_model(tmp_path):
    recipe = Recipe(tmp_path / "model.keras")
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
