"""One training run, from a recipe to a folder."""

import contextlib
import dataclasses
import json
import sys
from pathlib import Path

import keras

from keras_sparse import checks, datasets, distribution
from keras_sparse.analysis import profile
from keras_sparse.distribution.batch_sizes import evaluation_batch_size
from keras_sparse.training.callbacks import EpochLines, FollowRecipe, KeepRun, SameConnections
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
        test_top_5_accuracy: Fraction of the test images whose class is among the five likeliest; None with fewer than a
            thousand classes.
    """

    recipe: object
    test_accuracy: float
    test_loss: float
    parameters: int
    macs: int
    seconds: float
    history: list
    output: Path
    test_top_5_accuracy: float | None = None

    def figures(self):
        """What `result.json` holds: the numbers of the run as a dictionary, `val_accuracy` that of the best epoch."""
        return {
            "epochs": len(self.history),
            "val_accuracy": max((row["val_accuracy"] for row in self.history), default=None),
            "test_accuracy": self.test_accuracy,
            "test_top_5_accuracy": self.test_top_5_accuracy,
            "test_loss": self.test_loss,
            "parameters": self.parameters,
            "macs": self.macs,
            "seconds": self.seconds,
        }


def run(recipe, output, data_dir=None, resume=False, verbose="auto", strategy=None, until=None, callbacks=()):
    """Trains a model by a recipe and leaves everything about it in a folder.

    The folder holds `recipe.json`, `history.csv`, `best.keras` (highest validation accuracy; of a model that is pruned,
    among the sparsest epochs), `last.keras`, `profile.txt`, `curves.png`, `result.json` and `tensorboard/`; where
    connections move also `sparsity.csv`, a row for each layer and epoch. A run that was killed at any moment goes on
    with `resume=True` from the last epoch it completed; on a CPU with TensorFlow it ends with the same weights, bit for
    bit, as one that was not. The recipe's seed sets Keras's global seed, and TensorFlow is told to compute
    deterministically.

    Args:
        recipe: `Recipe`.
        output: Folder to write. It must not hold completed epochs, unless `resume` is True.
        data_dir: Folder of the TFDS data sets; see `datasets.load`. A resumed run finds its own by itself.
        resume: Boolean, go on with the run in `output`, or begin it if there is none.
        verbose: "auto" (a progress bar on a terminal, a line for each epoch elsewhere), "bar", "lines" or "none".
        strategy: `distribution.Strategy`, the name of one, or None for one device. It decides where the recipe is
            computed, not what comes out, but for rounding: a run may be resumed with another one.
        until: Integer or None, the epoch after which to pause; the run goes on with `resume=True`.
        callbacks: Keras callbacks, called after those of the run, which has then kept the epoch.

    Returns:
        A `RunResult`.

    Raises:
        ValueError: If `output` holds epochs and `resume` is False, or holds the run of another recipe, or connections
            were to move after the last step; or if the strategy needs another backend, or cannot share such batches.
        FileNotFoundError: If the data set is not prepared.

    Example:
        >>> run(preset("quick", "sparsenet", {"depth": 40, "growth_rate": 12}), output="runs/sparsenet").test_accuracy
    """
    checks.choice("verbose", verbose, "run", ("auto", "bar", "lines", "none"))
    strategy = distribution.get(strategy, owner="run")
    strategy.start()
    if strategy.rank:
        verbose = "none"
    elif verbose == "auto":
        verbose = "bar" if sys.stdout.isatty() else "lines"
    folder = RunFolder(output, strategy)
    _check_folder(folder, recipe, resume)
    if resume and folder.begun() and data_dir is None:
        data_dir = folder.read_data_dir()
    dataset = datasets.load(recipe.dataset, data_dir, recipe.validation_fraction, recipe.examples)
    check_times(recipe, dataset)
    strategy.check_batch_size(recipe.batch_size, dataset.train.size)
    # Before the work begins, so that a run killed from here on can be resumed.
    folder.write_recipe(recipe, data_dir)
    with _precision(recipe.precision), strategy.scope():
        model, rows = _begin_or_resume(folder, recipe, dataset, resume)
    strategy.prepare(model)
    with _precision(recipe.precision), strategy.training():
        _check_agreement(strategy, recipe, dataset, rows)
        profiled = _profile(model, dataset, folder)
        folder.write_history(rows)
        if verbose != "none":
            where = f"{strategy}, {'with' if model.jit_compile else 'without'} XLA"
            after = f" after epoch {len(rows)}" if rows else ""
            print(
                f"{model.name}: {profiled.connected_parameters:,} parameters; {where}; {folder.path}/{after}",
                flush=True,
            )
        epochs = recipe.epochs if until is None else min(until, recipe.epochs)
        if len(rows) < epochs:
            callbacks = [*_callbacks(recipe, dataset, folder, rows, verbose, strategy), *callbacks]
            _fit(model, recipe, dataset, len(rows), epochs, callbacks, verbose, strategy)
            if changes_counts(recipe):
                profiled = _profile(model, dataset, folder)
        folder.write_figure("curves.png", plot_history(rows, title=f"{label(recipe)} on {recipe.dataset}"))
        images, steps = _in_order(dataset.test, strategy)
        test = model.evaluate(images, steps=steps, verbose=0, return_dict=True)
    result = RunResult(
        recipe=recipe,
        test_accuracy=float(test["accuracy"]),
        test_loss=float(test["loss"]),
        parameters=profiled.connected_parameters,
        macs=profiled.macs,
        seconds=sum(row["seconds"] for row in rows),
        history=rows,
        output=folder.path,
        test_top_5_accuracy=test.get("top_5_accuracy"),
    )
    folder.write_result(result.figures())
    return result


def _check_agreement(strategy, recipe, dataset, rows):
    """Refuses processes that would train different things."""
    same = strategy.same_everywhere(json.dumps([recipe.to_dict(), str(dataset), len(rows)]))
    if not same:
        raise ValueError(
            f"`recipe` of run must be the same in all {strategy.processes} processes, with the same data and as many "
            f"epochs behind it. Received: another one in some of them; rank {strategy.rank} has {len(rows)} epochs of "
            f"{label(recipe)}. Pass the same options but `rank` to all, and an `output` that all of them see."
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
        checkpoint[0].jit_compile = None  # to be chosen again: this may be another machine
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
    compile_classifier(model, optimizer, from_logits, dataset.classes)
    # Before the first step, which is traced twice otherwise.
    model.optimizer.build(model.trainable_variables)
    return model, []


def _callbacks(recipe, dataset, folder, rows, verbose, strategy):
    """What a run itself does around steps and epochs; its rows grow."""
    callbacks = [FollowRecipe(recipe), *callbacks_of(recipe, dataset, folder, rows)]
    if folder.writes:
        callbacks.append(keras.callbacks.TensorBoard(folder.file("tensorboard"), write_graph=False, profile_batch=0))
    if strategy.processes > 1:
        callbacks.append(SameConnections(strategy))
    callbacks.append(KeepRun(folder, rows, sparsest=recipe.prune is not None))
    if verbose == "lines":
        callbacks.append(EpochLines(rows, recipe.epochs))
    return callbacks


def _fit(model, recipe, dataset, first_epoch, epochs, callbacks, verbose, strategy):
    def batches(part):
        return dataset.train.training_batches(
            recipe.batch_size, epochs, first_epoch, recipe.augmentation, recipe.seed, part
        )

    validation, validation_steps = _in_order(dataset.validation, strategy)
    model.fit(
        strategy.feed(batches, dataset.train.training_sizes(recipe.batch_size)),
        steps_per_epoch=dataset.train.steps(recipe.batch_size),
        initial_epoch=first_epoch,
        epochs=epochs,
        validation_data=validation,
        validation_steps=validation_steps,
        callbacks=callbacks,
        shuffle=False,  # the batches come shuffled
        verbose=1 if verbose == "bar" else 0,
    )


def _in_order(split, strategy):
    """Batches to evaluate on, again and again, and how many there are."""
    sizes = split.sizes(evaluation_batch_size(split.size, strategy.replicas))
    # TensorFlow does not know how many batches it divides, and Keras would warn at the end of them.
    return strategy.feed(lambda part: split.batches(sizes[0], part).repeat(), sizes), len(sizes)


def _compute_deterministically():
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # On a GPU it would cost XLA.
        if not tf.config.list_physical_devices("GPU"):
            tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def _precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
