"""`keras-sparse prune`: a saved model, with fewer connections."""

from pathlib import Path

from keras_sparse.analysis import profile
from keras_sparse.commands import add_command
from keras_sparse.commands.model_options import flag, given_options
from keras_sparse.commands.run_options import (
    add_run_options,
    another_run,
    not_empty,
    nothing_to_resume,
    output_folder,
)
from keras_sparse.commands.sparse_options import PRUNE, add_prune_options, given_verbs
from keras_sparse.datasets import list_datasets, load
from keras_sparse.datasets.splits import AUGMENTATIONS
from keras_sparse.training import Recipe, run
from keras_sparse.training.compilation import compile_classifier
from keras_sparse.training.recipe import PRECISIONS
from keras_sparse.training.run_folder import RunFolder
from keras_sparse.training.saved_model import gives_probabilities, is_file, load_saved
from keras_sparse.training.sparse_training import check_moves, check_times

# None are defaults of the parser: with --resume it matters what was given.
DEFAULTS = {
    "dataset": "digits",
    "epochs": 8,
    "batch_size": 32,
    "learning_rate": 0.01,
    "augmentation": "none",
    "validation_fraction": 0.1,
    "examples": None,
    "seed": 0,
    "precision": "float32",
}


def add(commands):
    command = add_command(
        commands,
        "prune",
        prune,
        "Prune a saved classifier while it trains on, and leave the folder of the run.",
        (
            "keras-sparse prune runs/first/best.keras --to 0.9",
            "keras-sparse prune model.keras --to 0.95 --dataset mnist --data-dir DIR --epochs 10 --exclude last",
            "keras-sparse prune model.keras --to 0.5 --pattern channel --dataset cifar10 --data-dir DIR",
            "keras-sparse prune model.keras --to 0.9 --output runs/pruned --resume",
        ),
    )
    command.add_argument(
        "model", nargs="?", metavar="MODEL.keras", help="from images to classes, of any layers; with --resume left out"
    )
    add_prune_options(command, "--to")
    recipe = command.add_argument_group("training")
    recipe.add_argument("--dataset", metavar="NAME", help=f"{', '.join(list_datasets())} (digits)")
    recipe.add_argument("--epochs", type=int, help="(8)")
    recipe.add_argument("--batch-size", type=int, help="(32)")
    recipe.add_argument("--learning-rate", type=float, help="(0.01; falls to a tenth for the last quarter)")
    recipe.add_argument("--augmentation", choices=AUGMENTATIONS, help="(none)")
    recipe.add_argument("--validation-fraction", type=float, help="of the training images (0.1)")
    recipe.add_argument("--examples", type=int, help="use so many training images only")
    recipe.add_argument("--seed", type=int, help="(0)")
    recipe.add_argument("--precision", choices=PRECISIONS, help="(float32)")
    add_run_options(command, "folder to write", "print the last lines only")


def prune(arguments):
    folder = RunFolder(output_folder(arguments))
    recipe, data_dir = _recipe_of(arguments, folder)
    before = _before(recipe, data_dir)
    result = run(recipe, arguments.output, data_dir, arguments.resume, "none" if arguments.quiet else "auto")
    print(
        f"\ntest accuracy {result.test_accuracy:.2%} at a sparsity of {result.history[-1]['sparsity']:.2%}, with "
        f"{result.parameters:,} parameters; {before}\n"
        f"Written to {folder.path}/: last.keras, which these figures are of, and best.keras, the best of the sparsest "
        f"epochs.\nFiles for others: keras-sparse export {folder.path}/last.keras --output DIR"
    )
    return 0


def _recipe_of(arguments, folder):
    """`(recipe, data_dir)`, from the options or from what was begun in the folder."""
    saved = folder.read_recipe() if arguments.resume and folder.begun() else None
    if arguments.resume and arguments.model is None:
        if saved is None:
            raise nothing_to_resume(folder.path)
        given = _given_flags(arguments)
        if given:
            raise ValueError(
                f"`--resume` goes on with the run as it was begun. Received: {', '.join(given)}. Leave that out, or "
                "prune the model anew in another folder."
            )
        return saved, arguments.data_dir or folder.read_data_dir()
    recipe = _recipe(arguments)
    if saved not in (None, recipe):
        raise another_run(folder.path, saved.differences(recipe))
    if folder.holds_epochs() and not arguments.resume:
        raise not_empty(folder.path)
    return recipe, arguments.data_dir or (folder.read_data_dir() if saved else None)


def _given_flags(arguments):
    """The options that say how to prune and to train, as they are written."""
    main = ["--to"] if arguments.prune is not None else []
    details = [flag(name) for name in PRUNE if getattr(arguments, f"prune_{name}") is not None]
    return main + details + [flag(name) for name in given_options(arguments, DEFAULTS)]


def _before(recipe, data_dir):
    """What the model could do before, in words."""
    dataset = load(recipe.dataset, data_dir, recipe.validation_fraction, recipe.examples)
    check_times(recipe, dataset)
    check_moves(recipe, recipe.build_model(dataset))
    model = recipe.build_model(dataset)
    compile_classifier(model, "sgd", from_logits=not gives_probabilities(model, dataset.image_shape))
    accuracy = model.evaluate(dataset.test.batches(256), verbose=0, return_dict=True)["accuracy"]
    return f"before: {accuracy:.2%}, {profile(model, dataset.image_shape).connected_parameters:,} parameters"


def _recipe(arguments):
    for name, value in (("MODEL.keras", arguments.model), ("--to", arguments.prune)):
        if value is None:
            raise ValueError(f"`{name}` is missing. Only --resume --output DIR goes without.")
    if not is_file(arguments.model):
        load_saved(arguments.model, "prune")  # says that it is none
    options = {**DEFAULTS, **given_options(arguments, DEFAULTS)}
    return Recipe(
        model=str(Path(arguments.model).expanduser().resolve()),  # to be found from any folder
        learning_rate_drops=(3 * options["epochs"] // 4,) if options["epochs"] > 1 else (),
        **options,
        **given_verbs(arguments),
    )
