"""One training run, from a recipe to a folder."""

import contextlib
import dataclasses
import sys
from pathlib import Path

import keras

from keras_sparse import checks, datasets
from keras_sparse.analysis import profile
from keras_sparse.training.callbacks import EpochLines, FollowRecipe, KeepRun
from keras_sparse.training.comparison import label
from keras_sparse.training.compilation import compile_classifier
from keras_sparse.training.curves import plot_history
from keras_sparse.training.optimizer import CoupledDecaySGD
from keras_sparse.training.run_folder import RunFolder
from keras_sparse.training.saved_model import gives_probabilities, is_file
from keras_sparse.training.sparse_training import callbacks_of, changes_counts, check_times
from keras_sparse.transforms import restart_clock


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What a finished run has to show.

    Attributes:
        recipe: The `Recipe`.
        test_accuracy: Fraction of the test images that the last weights classify correctly.
        test_loss: Mean cross-entropy on them.
        parameters: Integer, trained values.
        macs: Integer, multiply-adds per image.
        seconds: Seconds that the epochs took, validation included, over all parts of the run.
        history: List of dictionaries, one for each epoch.
        output: Path of the folder.
    """

    recipe: object
    test_accuracy: float
    test_loss: float
    parameters: int
    macs: int
    seconds: float
    history: list
    output: Path


def run(recipe, output, data_dir=None, resume=False, verbose="auto", until=None, callbacks=()):
    """Trains a model by a recipe and leaves everything about it in a folder.

    The folder holds `recipe.json`, `history.csv`, `best.keras` (highest validation accuracy; of a model that is pruned,
    among the sparsest epochs), `last.keras`, `profile.txt`, `curves.png` and `tensorboard/`; where connections move
    also `sparsity.csv`, a row for each layer and epoch. A run that was killed at any moment goes on with `resume=True`
    from the last epoch it completed; on a CPU with TensorFlow it ends with the same weights, bit for bit, as one that
    was not. The recipe's seed sets Keras's global seed, and TensorFlow is told to compute deterministically.

    Args:
        recipe: `Recipe`.
        output: Folder to write. It must not hold completed epochs, unless `resume` is True.
        data_dir: Folder of the TFDS data sets; see `datasets.load`. A resumed run finds its own by itself.
        resume: Boolean, go on with the run in `output`, or begin it if there is none.
        verbose: "auto" (a progress bar on a terminal, a line for each epoch elsewhere), "bar", "lines" or "none".
        until: Integer or None, the epoch after which to pause; the run goes on with `resume=True`.
        callbacks: Keras callbacks, called after those of the run, which has then kept the epoch.

    Returns:
        A `RunResult`.

    Raises:
        ValueError: If `output` holds epochs and `resume` is False, or holds the run of another recipe, or connections
            were to move after the last step.
        FileNotFoundError: If the data set is not prepared.

    Example:
        >>> run(preset("quick", "sparsenet", {"depth": 40, "growth_rate": 12}), output="runs/sparsenet").test_accuracy
    """
    checks.choice("verbose", verbose, "run", ("auto", "bar", "lines", "none"))
    if verbose == "auto":
        verbose = "bar" if sys.stdout.isatty() else "lines"
    folder = RunFolder(output)
    _check_folder(folder, recipe, resume)
    if resume and folder.begun() and data_dir is None:
        data_dir = folder.read_data_dir()
    dataset = datasets.load(recipe.dataset, data_dir, recipe.validation_fraction, recipe.examples)
    check_times(recipe, dataset)
    # Before the work begins, so that a run killed from here on can be resumed.
    folder.write_recipe(recipe, data_dir)
    with _precision(recipe.precision):
        model, rows = _begin_or_resume(folder, recipe, dataset, resume)
        profiled = _profile(model, dataset, folder)
        folder.write_history(rows)
        if verbose != "none":
            after = f" after epoch {len(rows)}" if rows else ""
            print(f"{model.name}: {profiled.connected_parameters:,} parameters; {folder.path}/{after}", flush=True)
        epochs = recipe.epochs if until is None else min(until, recipe.epochs)
        if len(rows) < epochs:
            _fit(model, recipe, dataset, folder, rows, verbose, epochs, callbacks)
            if changes_counts(recipe):
                profiled = _profile(model, dataset, folder)
        folder.write_figure("curves.png", plot_history(rows, title=f"{label(recipe)} on {recipe.dataset}"))
        loss, accuracy = model.evaluate(dataset.test.batches(256), verbose=0)
    return RunResult(
        recipe=recipe,
        test_accuracy=float(accuracy),
        test_loss=float(loss),
        parameters=profiled.connected_parameters,
        macs=profiled.macs,
        seconds=sum(row["seconds"] for row in rows),
        history=rows,
        output=folder.path,
    )


def _profile(model, dataset, folder):
    profiled = profile(model, dataset.image_shape)
    folder.write_text("profile.txt", f"{profiled}\n")
    return profiled


def _check_folder(folder, recipe, resume):
    if keras.config.image_data_format() != "channels_last":
        raise checks.error(
            "image_data_format", "Keras, in a run,", "'channels_last', as the data sets are",
            keras.config.image_data_format(), "Call keras.config.set_image_data_format('channels_last').",
        )  # fmt: skip
    if folder.holds_epochs() and not resume:
        raise checks.error(
            "output", "run", "a folder without completed epochs", str(folder.path),
            "Go on with that run by resume=True, or choose another folder.",
        )  # fmt: skip
    saved = folder.read_recipe() if resume and folder.begun() else recipe
    if saved != recipe:
        differing = saved.differences(recipe)
        received = ", ".join(f"{name}={recipe.to_dict()[name]!r}, not {saved.to_dict()[name]!r}" for name in differing)
        raise ValueError(
            f"`recipe` of run must be the one that the run in {str(folder.path)!r} began with, to resume it. Received: "
            f"{received}. They differ in: {', '.join(differing)}. Choose another folder for another run."
        )


def _begin_or_resume(folder, recipe, dataset, resume):
    """The compiled model, and the rows of the epochs it has behind it."""
    _compute_deterministically()
    keras.utils.set_random_seed(recipe.seed)
    checkpoint = folder.read_checkpoint() if resume else None
    if checkpoint is not None:
        return checkpoint
    model = recipe.build_model(dataset)
    restart_clock(model)  # a saved model may have been pruned before; the times of this run are its own
    optimizer = CoupledDecaySGD(
        recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        coupled_decay=recipe.weight_decay,
    )
    if recipe.precision == "mixed_float16":
        # `compile` would do it too, but only where this precision is in force: not for who loads the model later.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    from_logits = is_file(recipe.model) and not gives_probabilities(model, dataset.image_shape)
    compile_classifier(model, optimizer, from_logits)
    # Before the first step, which is traced twice otherwise.
    model.optimizer.build(model.trainable_variables)
    return model, []


def _fit(model, recipe, dataset, folder, rows, verbose, epochs, more_callbacks):
    callbacks = [
        FollowRecipe(recipe),
        *callbacks_of(recipe, dataset, folder, rows),
        keras.callbacks.TensorBoard(folder.file("tensorboard"), write_graph=False, profile_batch=0),
        KeepRun(folder, rows, sparsest=recipe.prune is not None),
    ]
    if verbose == "lines":
        callbacks.append(EpochLines(rows, recipe.epochs))
    callbacks += more_callbacks
    model.fit(
        dataset.train.training_batches(recipe.batch_size, recipe.epochs, len(rows), recipe.augmentation, recipe.seed),
        steps_per_epoch=dataset.train.steps(recipe.batch_size),
        initial_epoch=len(rows),
        epochs=epochs,
        validation_data=dataset.validation.batches(256),
        callbacks=callbacks,
        shuffle=False,  # the batches come shuffled
        verbose=1 if verbose == "bar" else 0,
    )


def _compute_deterministically():
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def _precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
