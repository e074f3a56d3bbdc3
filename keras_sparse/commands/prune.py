"""`keras-sparse prune`: a saved model, with fewer connections."""

import time
from pathlib import Path

from keras_sparse.analysis import profile
from keras_sparse.commands import add_command
from keras_sparse.commands.sparse_options import add_prune_options, given_verbs
from keras_sparse.datasets import list_datasets, load
from keras_sparse.datasets.splits import AUGMENTATIONS
from keras_sparse.training import Recipe, run
from keras_sparse.training.compilation import compile_classifier
from keras_sparse.training.recipe import PRECISIONS
from keras_sparse.training.run_folder import RunFolder
from keras_sparse.training.saved_model import gives_probabilities, is_file, load_saved


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
    recipe.add_argument("--dataset", default="digits", metavar="NAME", help=f"{', '.join(list_datasets())} (digits)")
    recipe.add_argument("--epochs", type=int, default=8, help="(8)")
    recipe.add_argument("--batch-size", type=int, default=32, help="(32)")
    recipe.add_argument(
        "--learning-rate", type=float, default=0.01, help="(0.01; falls to a tenth for the last quarter)"
    )
    recipe.add_argument("--augmentation", choices=AUGMENTATIONS, default="none", help="(none)")
    recipe.add_argument("--validation-fraction", type=float, default=0.1, help="of the training images (0.1)")
    recipe.add_argument("--examples", type=int, help="use so many training images only")
    recipe.add_argument("--seed", type=int, default=0, help="(0)")
    recipe.add_argument("--precision", choices=PRECISIONS, default="float32", help="(float32)")
    run_options = command.add_argument_group("run")
    run_options.add_argument("--data-dir", metavar="DIR", help="where TFDS prepared the data set")
    run_options.add_argument("--output", metavar="DIR", help="folder to write (runs/DATE-TIME)")
    run_options.add_argument("--resume", action="store_true", help="go on with what was begun in --output")
    run_options.add_argument("--quiet", action="store_true", help="print the last lines only")


def prune(arguments):
    if arguments.resume and arguments.output is None:
        raise ValueError("`--resume` needs the folder of the run. Pass it by --output DIR.")
    arguments.output = arguments.output or time.strftime("runs/%Y%m%d-%H%M%S")
    folder = RunFolder(arguments.output)
    if arguments.resume and arguments.model is None and folder.begun():
        if given_verbs(arguments):
            raise ValueError("`--resume` goes on with the run as it was begun. Leave out how to prune.")
        recipe, data_dir = folder.read_recipe(), arguments.data_dir or folder.read_data_dir()
    else:
        recipe, data_dir = _recipe(arguments), arguments.data_dir
    before = _before(recipe, data_dir)
    result = run(recipe, arguments.output, data_dir, arguments.resume, "none" if arguments.quiet else "auto")
    print(
        f"\ntest accuracy {result.test_accuracy:.2%} at a sparsity of {result.history[-1]['sparsity']:.2%}, with "
        f"{result.parameters:,} parameters; {before}\n"
        f"Written to {folder.path}/: last.keras, which these figures are of, and best.keras, the best of the sparsest "
        f"epochs.\nFiles for others: keras-sparse export {folder.path}/last.keras --output DIR"
    )
    return 0


def _before(recipe, data_dir):
    """What the model could do before, in words."""
    dataset = load(recipe.dataset, data_dir, recipe.validation_fraction, recipe.examples)
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
    return Recipe(
        model=str(Path(arguments.model).expanduser().resolve()),  # to be found from any folder
        dataset=arguments.dataset,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        learning_rate_drops=(3 * arguments.epochs // 4,) if arguments.epochs > 1 else (),
        augmentation=arguments.augmentation,
        validation_fraction=arguments.validation_fraction,
        examples=arguments.examples,
        seed=arguments.seed,
        precision=arguments.precision,
        **given_verbs(arguments),
    )
