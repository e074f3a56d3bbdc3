"""The papers' recipes, and a quick one."""

import dataclasses

from keras_sparse.checks import choice
from keras_sparse.training.recipe import Recipe

PRESETS = {
    # Minutes on two cores.
    "quick": {
        "epochs": 6,
        "batch_size": 32,
        "learning_rate_drops": (3, 5),
        "augmentation": "shift",
    },
    # Zhu et al. 2018, section 4: accuracy is reported on the test images after each epoch; nothing is held out.
    "sparsenet_paper": {
        "dataset": "cifar10",
        "epochs": 300,
        "batch_size": 64,
        "learning_rate_drops": (150, 225),
        "augmentation": "shift_mirror",
        "validation_fraction": 0.0,
    },
    # Their table 4, for sparsenet121, 169 and 201, densenet121, 169, 201 and 264. They print no schedule for ImageNet;
    # this is that of DenseNet (Huang et al. 2017), whose errors they repeat.
    "sparsenet_imagenet": {
        "dataset": "imagenet2012",
        "epochs": 90,
        "batch_size": 256,
        "learning_rate_drops": (30, 60),
        "augmentation": "shift_mirror",
        "validation_fraction": 0.0,
    },
    # Nijhawan, Tiwari and Anand, section IV. They vary the number of epochs and do not print it; 50 is ours.
    "sparsenet_study": {
        "dataset": "cifar10",
        "epochs": 50,
        "batch_size": 32,
        "nesterov": False,
        "weight_decay": 0.0,
    },
}


def preset(name, model, model_arguments=None, **changes):
    """A `Recipe` from a preset.

    Args:
        name: "quick", "sparsenet_paper", "sparsenet_imagenet" or "sparsenet_study".
        model: Name in `applications.list_models()`.
        model_arguments: Dictionary for its constructor.
        **changes: Fields of `Recipe` to set otherwise. With another number of epochs the learning rate drops at the
            same fractions of the run, unless `learning_rate_drops` is given too.

    Returns:
        A `Recipe`.

    Example:
        >>> preset("sparsenet_paper", "sparsenet", {"depth": 40, "growth_rate": 12}, epochs=30).learning_rate_drops
        (15, 22)
    """
    return Recipe(model, model_arguments or {}, **preset_fields(name, **changes))


def preset_fields(name, **changes):
    """The fields of a `Recipe` that a preset sets, with changes, as in `preset`."""
    choice("name", name, "preset", tuple(PRESETS))
    fields_of_recipe = [field.name for field in dataclasses.fields(Recipe)]
    for change in changes:
        choice("changes", change, "preset", fields_of_recipe)
    fields = dict(PRESETS[name])
    epochs = changes.get("epochs")
    if isinstance(epochs, int) and "learning_rate_drops" in fields:
        scaled = {drop * epochs // fields["epochs"] for drop in fields["learning_rate_drops"]}
        fields["learning_rate_drops"] = tuple(sorted(scaled - {0}))
    return {**fields, **changes}
