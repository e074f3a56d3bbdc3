"""What the folder of a run holds."""

import csv

import keras

from keras_sparse.layers.sparse_kernel import SparseKernel


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def masks(path):
    model = keras.saving.load_model(path, compile=False)
    return [layer.mask for layer in model.layers if isinstance(layer, SparseKernel)]
