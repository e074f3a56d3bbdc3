"""The `keras-sparse` command.

keras-sparse train                                    # SparseNet beside DenseNet, under two minutes
keras-sparse profile --model resnet --depth 56
keras-sparse models
"""

import argparse
import inspect
import os
import sys
import time
from pathlib import Path

TWINS = ("sparsenet", "densenet")
TWIN_ARGUMENTS = {"depth": 40, "growth_rate": 12, "bottleneck": True}
DEFAULT_ARGUMENTS = {
    "sparsenet": {"depth": 40, "growth_rate": 12},
    "densenet": {"depth": 40, "growth_rate": 12},
    "resnet": {"depth": 56},
}

MODEL_OPTIONS = (
    "depth", "growth_rate", "bottleneck", "compression", "pattern", "base", "operator", "stem_filters", "aggregation",
    "columns", "filters", "drop_path",
)  # fmt: skip
RECIPE_OPTIONS = (
    "dataset", "epochs", "batch_size", "learning_rate", "learning_rate_drops", "weight_decay", "augmentation",
    "validation_fraction", "examples", "seed", "precision",
)  # fmt: skip


def main(argv=None):
    """Runs the command; returns its exit code: 0, or 2 with one message for arguments that cannot be used."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    try:
        return arguments.run(arguments)
    except (ValueError, OSError) as error:
        if os.environ.get("KERAS_SPARSE_TRACEBACK"):
            raise
        print(f"keras-sparse {arguments.command}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        hint = " Go on with --resume." if arguments.command == "train" else ""
        print(f"\nkeras-sparse {arguments.command}: interrupted.{hint}", file=sys.stderr)
        return 130


def build_parser():
    from keras_sparse import __version__

    parser = argparse.ArgumentParser(
        prog="keras-sparse",
        description="Sparse networks for Keras 3: build them sparse, train them sparse, run them sparse.",
        epilog="example: keras-sparse train --model sparsenet --depth 40 --growth-rate 12 --bottleneck",
    )
    parser.add_argument("--version", action="version", version=f"keras-sparse {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_train(commands)
    _add_profile(commands)
    _add_models(commands)
    return parser


def _command(commands, name, run, summary, examples):
    command = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command


def _add_train(commands):
    from keras_sparse.datasets import list_datasets
    from keras_sparse.datasets.splits import AUGMENTATIONS
    from keras_sparse.training import PRESETS
    from keras_sparse.training.recipe import PRECISIONS

    train = _command(
        commands,
        "train",
        run_train,
        "Train one model, or several side by side, and compare them.",
        (
            "keras-sparse train",
            "keras-sparse train --model sparsenet --depth 40 --growth-rate 12 --bottleneck --dataset digits",
            "keras-sparse train --model sparsenet densenet --dataset cifar10 --data-dir DIR --epochs 2",
            "keras-sparse train --model resnet --depth 110 --preset sparsenet_paper --data-dir DIR",
            "keras-sparse train --resume --output runs/first",
        ),
    )
    train.add_argument(
        "--model",
        nargs="+",
        metavar="NAME",
        help="one or more of `keras-sparse models`; without it, SparseNet-BC and DenseNet-BC of depth 40 and growth "
        "rate 12",
    )
    _add_model_options(train)
    recipe = train.add_argument_group("recipe")
    recipe.add_argument("--preset", choices=sorted(PRESETS), help="what the rest defaults to (quick)")
    recipe.add_argument("--dataset", metavar="NAME", help=", ".join(list_datasets()))
    recipe.add_argument("--data-dir", metavar="DIR", help="where TFDS prepared it")
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
    recipe.add_argument("--examples", type=int, help="train on so many images only")
    recipe.add_argument("--seed", type=int)
    recipe.add_argument("--precision", choices=PRECISIONS)
    run = train.add_argument_group("run")
    run.add_argument(
        "--output",
        metavar="DIR",
        help="folder to write, one folder below it for each of several models (runs/DATE-TIME)",
    )
    run.add_argument("--resume", action="store_true", help="go on with the run in --output")
    run.add_argument("--quiet", action="store_true", help="print the final table only")


def _add_profile(commands):
    profile = _command(
        commands,
        "profile",
        run_profile,
        "Print parameters, multiply-adds and memory of a model, layer by layer.",
        (
            "keras-sparse profile --model sparsenet --depth 40 --growth-rate 12 --bottleneck",
            "keras-sparse profile --model densenet121 --total",
            "keras-sparse profile --file runs/first/best.keras",
        ),
    )
    what = profile.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", metavar="NAME", help="one of `keras-sparse models`")
    what.add_argument("--file", metavar="FILE.keras", help="a saved model, of any layers")
    _add_model_options(profile)
    profile.add_argument("--classes", type=int)
    profile.add_argument("--input-shape", type=int, nargs="+", metavar="N", help="such as 32 32 3")
    profile.add_argument("--total", action="store_true", help="print the totals only")


def _add_models(commands):
    _command(
        commands,
        "models",
        run_models,
        "List the models, with the arguments of each.",
        ("keras-sparse models",),
    )


def _add_model_options(command):
    model = command.add_argument_group("model (see `keras-sparse models` for what each one takes)")
    model.add_argument("--depth", type=int)
    model.add_argument("--growth-rate", type=int, nargs="+", metavar="K", help="one, or one a stage")
    model.add_argument("--bottleneck", action=argparse.BooleanOptionalAction)
    model.add_argument("--compression", type=float)
    model.add_argument("--pattern", nargs="+", help="one, or one a stage: all, exponential, ...")
    model.add_argument("--base", type=int, help="of the exponential and hybrid patterns")
    model.add_argument("--operator", help="concat, sum or mean")
    model.add_argument("--stem-filters", type=int)
    model.add_argument("--aggregation", help="of resnet50, resnet101 and resnet152")
    model.add_argument("--columns", type=int, help="of fractalnet")
    model.add_argument("--filters", type=int, nargs="+", metavar="N", help="of fractalnet, one a block")
    model.add_argument("--drop-path", type=float, help="of fractalnet")


def _given(arguments, names):
    """The options that were given; a list of one value is that value."""
    values = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    for name in ("growth_rate", "pattern"):
        if len(values.get(name, ())) == 1 and isinstance(values[name], list):
            values[name] = values[name][0]
    return values


def _model_arguments(model, given):
    """Arguments of a constructor; what it does not take is refused."""
    from keras_sparse.applications import MODELS

    accepted = inspect.signature(MODELS.lookup(model, "keras-sparse")).parameters
    for name in given:
        if name not in accepted:
            takes = ", ".join("--" + o.replace("_", "-") for o in MODEL_OPTIONS if o in accepted)
            raise ValueError(f"`--{name.replace('_', '-')}` is not for {model}, which takes {takes}.")
    return {**DEFAULT_ARGUMENTS.get(model, {}), **given}


def _recipes(arguments):
    from keras_sparse.training import preset

    given = _given(arguments, MODEL_OPTIONS)
    models = arguments.model or list(TWINS)
    if len(set(models)) != len(models):
        raise ValueError(f"`--model` must name each model once. Received: {' '.join(models)}.")
    if arguments.model is None and not given:
        given = TWIN_ARGUMENTS
    changes = _given(arguments, RECIPE_OPTIONS)
    if "learning_rate_drops" in changes:
        changes["learning_rate_drops"] = tuple(changes["learning_rate_drops"])
    name = arguments.preset or "quick"
    return [preset(name, model, _model_arguments(model, given), **changes) for model in models]


def run_train(arguments):
    from keras_sparse.training import comparison_table, run
    from keras_sparse.training.run_folder import RunFolder

    output = Path(arguments.output or time.strftime("runs/%Y%m%d-%H%M%S"))
    if arguments.resume and arguments.output is None:
        raise ValueError("`--resume` needs the folder of the run. Pass it by --output DIR.")
    saved = _saved_runs(output)
    described = [arguments.model, arguments.preset, *_given(arguments, MODEL_OPTIONS + RECIPE_OPTIONS)]
    if arguments.resume and saved and not any(described):
        runs = saved
    else:
        recipes = _recipes(arguments)
        folders = [output] if len(recipes) == 1 else [output / recipe.model for recipe in recipes]
        runs = list(zip(recipes, folders, strict=True))
        if saved and not arguments.resume:
            raise ValueError(
                f"`--output` must be a folder without a run. Received: {output}. Go on with that run by --resume, or "
                "choose another folder."
            )
    if not saved:
        _check_models(runs)
        if len(runs) > 1:  # all of them, before the first begins, so that --resume knows of those not begun
            for recipe, folder in runs:
                RunFolder(folder).write_recipe(recipe)
    verbose = "none" if arguments.quiet else "auto"
    resume = arguments.resume or len(runs) > 1
    results = [run(recipe, folder, arguments.data_dir, resume, verbose) for recipe, folder in runs]
    print(f"\n{comparison_table(results)}\n\nWritten to {output}/")
    return 0


def _check_models(runs):
    """Builds each model once, so that a bad argument of the second is met before the first has trained."""
    from keras_sparse.datasets import SOURCES

    for recipe, _ in runs:
        recipe.build_model(SOURCES[recipe.dataset])


def _saved_runs(output):
    """`(recipe, folder)` of the runs in a folder, in the order in which they were written."""
    from keras_sparse.training.run_folder import RunFolder

    files = [output / "recipe.json", *output.glob("*/recipe.json")]
    files = sorted((f for f in files if f.is_file()), key=lambda f: f.stat().st_mtime_ns)
    return [(RunFolder(f.parent).read_recipe(), f.parent) for f in files]


def run_profile(arguments):
    import keras

    from keras_sparse.analysis import profile
    from keras_sparse.applications import get_model

    shape = None if arguments.input_shape is None else tuple(arguments.input_shape)
    given = _given(arguments, MODEL_OPTIONS)
    if arguments.file is not None:
        if given or arguments.classes is not None:
            options = ", ".join("--" + name.replace("_", "-") for name in [*given, "classes"])
            raise ValueError(f"`--file` is a model as it is; {options} cannot change it. Leave them out.")
        model = keras.saving.load_model(arguments.file)
    else:
        model_arguments = _model_arguments(arguments.model, given)
        if arguments.classes is not None:
            model_arguments["classes"] = arguments.classes
        model = get_model(arguments.model, **model_arguments, input_shape=shape)
    report = profile(model, shape)
    print("\n".join(report.summary_lines()) if arguments.total else report)
    return 0


def run_models(arguments):
    from keras_sparse.applications import MODELS, list_models

    for name in list_models():
        constructor = MODELS.lookup(name, "models")
        accepted = inspect.signature(constructor).parameters
        options = " ".join("--" + o.replace("_", "-") for o in MODEL_OPTIONS if o in accepted)
        summary = inspect.getdoc(constructor).split("\n", 1)[0].split(": ")[0].rstrip(".")
        print(f"{name:13} {summary}\n{'':13} {options}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
