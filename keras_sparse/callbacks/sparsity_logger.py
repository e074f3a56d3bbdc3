"""Writes down how sparse a model is, and how much its connections move."""

import csv
from pathlib import Path

import keras
import numpy as np

from keras_sparse.analysis.definition_order import nested_names, sparse_layers
from keras_sparse.analysis.dense_kernels import dense_kernels
from keras_sparse.callbacks.clock import step_of

COLUMNS = ("epoch", "step", "layer", "connections", "weights", "sparsity", "churn", "norm")


class SparsityLogger(keras.callbacks.Callback):
    """After each epoch: the sparsity of the model and of each layer, how many connections moved, how large they are.

    The model's `sparsity` and `churn` join the logs, and with them Keras's progress bar, its history and whatever
    comes after this callback. Put it after `Prune`, `Rewire` or `Densify`. Churn is the part of the connections, those
    of now and those of one epoch ago together, that are not in both. The norm is the root of the sum of squares of the
    connected weights. Layers are counted by weights: a connection between channels has one at each position. The
    model's figures are those of all its kernels: one that has no mask (excluded, or of a kind that cannot be sparse)
    is connected throughout.

    Args:
        csv: Path of a file to write, a row for each sparse layer and epoch and one named "all", the model's; None for
            none. Its `step` is the one that schedules are asked for.
        append: Boolean, go on writing in a file that exists: for a run that is resumed. Epochs that come once more
            (`initial_epoch` of `fit` says from where) replace those in the file.
        tensorboard: Folder for TensorBoard, or None; needs TensorFlow, on whatever backend.

    Raises:
        ValueError: In `fit`, if the model has no sparse layer.

    Example:
        >>> callbacks = [Prune(schedule), SparsityLogger(csv="sparsity.csv", tensorboard="logs")]
        >>> model.fit(images, labels, epochs=10, callbacks=callbacks).history["sparsity"][-1]
        0.9
    """

    def __init__(self, csv=None, append=False, tensorboard=None):
        super().__init__()
        self.csv = None if csv is None else Path(csv)
        self.append = append
        self.tensorboard = tensorboard
        self._writer = None

    def on_train_begin(self, logs=None):
        self._is_new = True
        layers = sparse_layers(self.model)
        self._before = [layer.mask for layer in layers]
        if not layers:
            raise ValueError(
                f"`model` of SparsityLogger must have sparse layers. Received: the model {self.model.name!r} with "
                "none. Put the logger after Prune, or make the model sparse with `sparsify` first."
            )
        if self.csv is not None and not (self.append and self.csv.is_file()):
            self.csv.parent.mkdir(parents=True, exist_ok=True)
            self._write([COLUMNS], mode="w")
        if self.tensorboard is not None:
            from keras_sparse.callbacks.tensorboard_scalars import TensorBoardScalars

            self._writer = TensorBoardScalars(self.tensorboard)

    def on_epoch_begin(self, epoch, logs=None):
        if self.csv is not None and self.append and self._is_new:
            # A run that was killed may have written an epoch that is run again.
            with self.csv.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.reader(file) if row[0] == COLUMNS[0] or int(row[0]) <= epoch]
            self._write(rows, mode="w")
        self._is_new = False

    def on_epoch_end(self, epoch, logs=None):
        layers = sparse_layers(self.model)
        step = step_of(self.model, layers)
        masks = [layer.mask for layer in layers]
        counted = [_counts(*one) for one in zip(layers, self._before, masks, strict=True)]
        names = [layer.name for layer in layers]
        if len(set(names)) < len(names):
            nested = nested_names(self.model)
            names = [nested[id(layer)] for layer in layers]
        rows = [(name, *_figures(counts)) for name, counts in zip(names, counted, strict=True)]
        rest = _dense_counts(dense_kernels(self.model))
        rows.append(("all", *_figures(np.sum([*counted, rest], axis=0))))
        self._before = masks
        if logs is not None:
            logs["sparsity"], logs["churn"] = rows[-1][3], rows[-1][4]
        if self.csv is not None:
            self._write([(epoch + 1, step, *row) for row in rows], mode="a")
        if self._writer is not None:
            named = zip(COLUMNS[5:], zip(*(row[3:] for row in rows), strict=True), strict=True)
            for figure, values in named:
                self._writer.write({f"{figure}/{row[0]}": v for row, v in zip(rows, values, strict=True)}, epoch + 1)

    def on_train_end(self, logs=None):
        if self._writer is not None:
            self._writer.close()

    def _write(self, rows, mode):
        with self.csv.open(mode, newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)


def _counts(layer, before, now):
    """Connected weights, all weights, connections in both masks and in either, and the sum of squares."""
    square = float(np.square(layer.dense_kernel().astype("float64")).sum())
    weights = layer.dense_weights // now.size  # of a connection: SparseConv2D has one at each position
    both, either = ((before & now).sum() * weights, (before | now).sum() * weights)
    return layer.connected_weights, layer.dense_weights, both, either, square


def _dense_counts(kernels):
    """As `_counts`, of kernels in which everything is connected and stays so."""
    values = [keras.ops.convert_to_numpy(kernel).astype("float64") for kernel in kernels]
    size = sum(value.size for value in values)
    return size, size, size, size, float(sum(np.square(value).sum() for value in values))


def _figures(counts):
    connected, dense, both, either, square = (float(count) for count in counts)
    churn = 1 - both / either if either else 0.0
    return int(connected), int(dense), 1 - connected / dense, churn, square**0.5
