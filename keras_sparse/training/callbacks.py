"""What happens around each epoch of a run."""

import time

import keras
import numpy as np

from keras_sparse.analysis.definition_order import sparse_layers


class FollowRecipe(keras.callbacks.Callback):
    """Sets learning rate and layer randomness at the beginning of each epoch.

    Both are functions of the recipe and the epoch alone, so that an epoch goes the same way whether the epochs before
    it ran in this process or in one that was killed.
    """

    def __init__(self, recipe):
        super().__init__()
        self.recipe = recipe

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = self.recipe.learning_rate_at(epoch)
        generators = [g for layer in self.model._flatten_layers() for g in layer._seed_generators]
        for index, generator in enumerate(generators):
            state = np.random.SeedSequence([self.recipe.seed, epoch, index]).generate_state(2)
            generator.state.assign(state.astype(generator.state.dtype))


class KeepRun(keras.callbacks.Callback):
    """Appends a row to the history after each epoch, and writes the folder.

    Args:
        folder: `RunFolder`.
        rows: List of dictionaries, the epochs so far; it grows.
        sparsest: Boolean, whether the best epoch is one of the sparsest: that of a model that is pruned.
    """

    def __init__(self, folder, rows, sparsest=False):
        super().__init__()
        self.folder = folder
        self.rows = rows
        self.sparsest = sparsest

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        best = max(map(self._worth, self.rows), default=(-1.0, -1.0))
        row = {"epoch": epoch + 1, **{name: float(value) for name, value in logs.items()}}
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        if self._worth(row) > best:
            self.folder.write_best(self.model)
        row["seconds"] = round(time.perf_counter() - self.began, 3)
        self.rows.append(row)
        # The checkpoint is what counts; a history that is ahead of it is cut when the run goes on.
        self.folder.write_history(self.rows)
        self.folder.write_checkpoint(self.model, self.rows)

    def _worth(self, row):
        return round(row["sparsity"], 6) if self.sparsest else 0, row["val_accuracy"]


class SameConnections(keras.callbacks.Callback):
    """Ends a run whose processes no longer have the same connections.

    Each process derives them from the same weights and seeds, and nothing sends them around: on machines that round
    differently they could part.
    """

    def __init__(self, strategy):
        super().__init__()
        self.strategy = strategy

    def on_epoch_end(self, epoch, logs=None):
        masks = [layer.mask for layer in sparse_layers(self.model)]
        if not self.strategy.same_everywhere(b"".join(np.packbits(mask).tobytes() for mask in masks)):
            raise RuntimeError(
                f"After epoch {epoch + 1} the processes of the run have different connections. Use machines of one "
                "kind, with the same versions of everything."
            )


class EpochLines(keras.callbacks.Callback):
    """Prints one line for each epoch: for logs, where a progress bar is noise."""

    def __init__(self, rows, epochs):
        super().__init__()
        self.rows = rows
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        row = self.rows[-1]
        print(
            f"{self.model.name} epoch {row['epoch']}/{self.epochs}: loss {row['loss']:.4f}, accuracy "
            f"{row['accuracy']:.4f}, validation {row['val_loss']:.4f} / {row['val_accuracy']:.4f}, "
            + (f"sparsity {row['sparsity']:.4f}, " if "sparsity" in row else "")
            + f"{row['seconds']:.1f} s",
            flush=True,
        )
