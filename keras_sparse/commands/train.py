"""`keras-sparse train`: one model, or several side by side."""

from keras_sparse.commands import add_command
from keras_sparse.commands.model_options import OPTIONS, add_model_options, given_options, model_arguments
from keras_sparse.commands.run_options import (
    add_run_options,
    another_run,
    not_empty,
    nothing_to_resume,
    output_folder,
)
from keras_sparse.commands.sparse_options import add_sparse_options, given_verbs
from keras_sparse.commands.strategy_options import add_strategy_options, started_strategy
from keras_sparse.datasets import SOURCES, list_datasets, load
from keras_sparse.datasets.splits import AUGMENTATIONS
from keras_sparse.training import PRESETS, Recipe, comparison_table, preset, run
from keras_sparse.training.job import begin_job, read_job
from keras_sparse.training.recipe import PRECISIONS
from keras_sparse.training.run_folder import RunFolder
from keras_sparse.training.sparse_training import check_moves, check_times, says_times

TWINS = ("sparsenet", "densenet")
TWIN_ARGUMENTS = {"depth": 40, "growth_rate": 12, "bottleneck": True}

RECIPE_OPTIONS = (
    "dataset", "epochs", "batch_size", "learning_rate", "learning_rate_drops", "weight_decay", "augmentation",
    "validation_fraction", "examples", "seed", "precision",
)  # fmt: skip


def add(commands):
    command = add_command(
        commands,
        "train",
        train,
        "Train one model, or several side by side, and compare them.",
        (
            "keras-sparse train",
            "keras-sparse train --model sparsenet --depth 40 --growth-rate 12 --bottleneck --dataset digits",
            "keras-sparse train --model sparsenet densenet --dataset cifar10 --data-dir DIR --epochs 2",
            "keras-sparse train --model resnet --depth 110 --preset sparsenet_paper --data-dir DIR",
            "keras-sparse train --model resnet --depth 20 --prune 0.9 --prune-exclude first last",
            "keras-sparse train --model lenet_300_100 --sparsify 0.95 --rewire rigl",
            "keras-sparse train --strategy mirrored",
            "keras-sparse train --resume --output runs/first",
            "keras-sparse train --recipe runs/first/recipe.json --output runs/again",
        ),
    )
    command.add_argument(
        "--model",
        nargs="+",
        metavar="NAME",
        help="one or more of `keras-sparse models`, which shows their defaults; without it, SparseNet and DenseNet of "
        "depth 40 and growth rate 12, both with --bottleneck",
    )
    add_model_options(command)
    add_sparse_options(command)
    recipe = command.add_argument_group("recipe")
    recipe.add_argument(
        "--recipe", metavar="FILE", help="recipe.json, or folder, of a run to repeat, instead of all of these"
    )
    recipe.add_argument(
        "--preset",
        choices=sorted(PRESETS),
        help="what the rest defaults to: "
        "quick (6 epochs, batch 32, on digits), sparsenet_paper (300, 64, cifar10), sparsenet_study (50, 32, cifar10)",
    )
    recipe.add_argument("--dataset", metavar="NAME", help=", ".join(list_datasets()))
    recipe.add_argument("--epochs", type=int)
    recipe.add_argument("--batch-size", type=int)
    recipe.add_argument("--learning-rate", type=float)
    recipe.add_argument(
        "--learning-rate-drops",
        type=int,
        nargs="*",
        metavar="EPOCH",
        help="epochs, from 0, that begin with a tenth of the rate before",
    )
    recipe.add_argument("--weight-decay", type=float)
    recipe.add_argument("--augmentation", choices=AUGMENTATIONS)
    recipe.add_argument(
        "--validation-fraction", type=float, help="of the training images; 0 validates on the test images"
    )
    recipe.add_argument("--examples", type=int, help="use so many training images only, the held-out ones among them")
    recipe.add_argument("--seed", type=int)
    recipe.add_argument("--precision", choices=PRECISIONS)
    add_strategy_options(command)
    add_run_options(
        command, "folder to write, one folder below it for each of several models", "print the final table only"
    )


def train(arguments):
    strategy = started_strategy(arguments)
    output = output_folder(arguments)
    runs, data_dir = _runs(arguments, output, strategy)
    results = [
        run(recipe, folder, data_dir, arguments.resume, "none" if arguments.quiet else "auto", strategy)
        for recipe, folder in runs
    ]
    if strategy.rank == 0:
        print(f"\n{comparison_table(results)}\n\nWritten to {output}/")
    return 0


def _runs(arguments, output, strategy):
    """`([(recipe, folder), ...], data_dir)`, from the options or from what was begun in the folder."""
    begun, begun_data_dir = read_job(output)
    # A start that failed must not lend its data folder to the next.
    data_dir = arguments.data_dir or (begun_data_dir if arguments.resume else None)
    described = (
        bool(arguments.model or arguments.preset or arguments.recipe)
        or given_options(arguments, OPTIONS + RECIPE_OPTIONS)
        or given_verbs(arguments)
    )
    if arguments.resume and not described:
        if not begun:
            raise nothing_to_resume(output)
        return begun, data_dir
    recipes = recipes_of(arguments)
    if arguments.resume and begun:
        for recipe, (saved, _) in zip(recipes, begun, strict=False):
            if recipe != saved or len(recipes) != len(begun):
                raise another_run(output, saved.differences(recipe))
        return begun, data_dir
    if any(RunFolder(folder).holds_epochs() for _, folder in begun):
        raise not_empty(output)
    for recipe in recipes:
        # A bad argument of the second is to be met before the first has trained.
        if says_times(recipe):
            check_times(recipe, load(recipe.dataset, data_dir, recipe.validation_fraction, recipe.examples))
        check_moves(recipe, recipe.build_model(SOURCES[recipe.dataset]))
    return begin_job(output, recipes, data_dir, strategy), data_dir


def recipes_of(arguments):
    """The recipes that the options describe, one for each model."""
    given = given_options(arguments)
    changes = {**given_options(arguments, RECIPE_OPTIONS), **given_verbs(arguments)}
    if arguments.recipe is not None:
        if given or changes or arguments.model or arguments.preset:
            raise ValueError("`--recipe` is a recipe as it is. Leave out the options that describe another.")
        return [Recipe.load(arguments.recipe)]
    models = arguments.model or list(TWINS)
    if len(set(models)) != len(models):
        raise ValueError(f"`--model` must name each model once. Received: {' '.join(models)}.")
    if arguments.model is None:
        given = {**TWIN_ARGUMENTS, **given}
    name = arguments.preset or "quick"
    return [preset(name, model, model_arguments(model, given), **changes) for model in models]
