"""Small models, and what `sparsify` makes of them."""

import keras
from keras import layers

from keras_sparse.layers.sparse_kernel import SparseKernel


def sparse_layers(model):
    return {layer.name: layer for layer in model._flatten_layers() if isinstance(layer, SparseKernel)}


def perceptron(hidden=(32, 16)):
    keras.utils.clear_session(free_memory=False)
    sizes = [layers.Dense(units, activation="relu", name=f"hidden_{i}") for i, units in enumerate(hidden)]
    return keras.Sequential([keras.Input((20,)), *sizes, layers.Dense(5, name="top")], name="perceptron")


def sequential(shape, *parts):
    return keras.Sequential([keras.Input(shape), *parts])
