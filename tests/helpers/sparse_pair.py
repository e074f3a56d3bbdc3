"""`MaskedDense` and `SparseConv2D`, alike as far as they are alike, and a network of both."""

import keras
import numpy as np

from keras_sparse.layers import MaskedDense, SparseConv2D
from tensors import numpy

# JAX is slow uncompiled; TensorFlow takes longer to compile than these tests to run.
COMPILED = keras.backend.backend() == "jax"
FORMATS = ("masked", "compact")
# The two layers with equal connections, and what they read.
LAYERS = {
    "dense": lambda **arguments: MaskedDense(6, **arguments),
    "conv": lambda **arguments: SparseConv2D(6, 3, **arguments),
}
INPUTS = {"dense": (8,), "conv": (5, 5, 8)}


def built(kind, **arguments):
    layer = LAYERS[kind](**{"sparsity": 0.5, "seed": 3, **arguments})
    layer.build((None, *INPUTS[kind]))
    return layer


def batch(kind, count=4):
    return np.random.default_rng(0).normal(size=(count, *INPUTS[kind])).astype("float32")


def network(format="masked", **arguments):
    """A convolution and a dense layer, both sparse, and their images and targets."""
    layers = [
        keras.Input((5, 5, 4)),
        SparseConv2D(6, 3, sparsity=0.7, format=format, activation="tanh", seed=1, name="conv", **arguments),
        keras.layers.Flatten(),
        MaskedDense(5, sparsity=0.8, format=format, activation="tanh", seed=2, name="dense", **arguments),
        keras.layers.Dense(2, name="head"),
    ]
    return keras.Sequential(layers)


def images(count=24):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 5, 5, 4)).astype("float32"), rng.normal(size=(count, 2)).astype("float32")


def sparse_layers(model):
    return [layer for layer in model.layers if hasattr(layer, "mask_step")]


def assert_exact_zeros(model):
    for layer in sparse_layers(model):
        kernel = numpy(layer.kernel)
        assert np.all(kernel[..., ~layer.mask] == 0), layer.name
        assert np.all(np.isfinite(kernel))
        assert np.count_nonzero(kernel[..., layer.mask]) > 0.9 * kernel[..., layer.mask].size
