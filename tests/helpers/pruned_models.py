"""Models that train in a moment, and what the tests of `Prune` see of them."""

import keras
import numpy as np
from keras import layers

from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.schedules import Polynomial
from tensors import numpy

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 6)).astype("float32")
Y = np.tanh(X[:, :3] - X[:, 3:]).astype("float32")
IMAGES = RNG.normal(size=(8, 6, 6, 3)).astype("float32")
LABELS = RNG.integers(0, 4, 8)
CROSSENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
SCHEDULE = Polynomial(0.1, 0.85, begin=2, end=10, frequency=3)  # at 2, 5, 8 and 10
COMPILED = keras.backend.backend() == "jax"


def functional():
    inputs = keras.Input((6,))
    hidden = layers.Dense(8, activation="tanh", name="hidden")(inputs)
    return keras.Model(inputs, layers.Dense(3, name="out")(hidden))


def model(make=functional, optimizer=None, eager=False, **options):
    keras.utils.set_random_seed(1)
    network = make()
    network(X)
    optimizer = optimizer or keras.optimizers.AdamW(0.05, weight_decay=0.01)
    network.compile(optimizer, "mse", **{"jit_compile": COMPILED, "run_eagerly": eager, **options})
    return network


def images_model(first=layers.Conv2D, eager=True, **options):
    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            first(8, 3, activation="relu", **options),
            layers.Conv2D(8, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4),
        ]
    )
    network.compile(keras.optimizers.SGD(0.05), CROSSENTROPY, jit_compile=COMPILED, run_eagerly=eager and not COMPILED)
    return network


def fit(network, *callbacks, epochs=3, x=X, y=Y, **options):
    """Four steps an epoch, on `X`."""
    options = {"batch_size": 8, "epochs": epochs, "verbose": 0, "shuffle": False, **options}
    return network.fit(x, y, callbacks=list(callbacks), **options)


def sparse_of(network):
    return sorted((x for x in network._flatten_layers() if isinstance(x, SparseKernel)), key=lambda x: -x.mask.size)


def cut(network):
    return [int((~layer.mask).sum()) for layer in sparse_of(network)]


class Watch(keras.callbacks.Callback):
    """Notes step, cut connections, kernels and masks after each batch; to come after Prune."""

    def on_train_begin(self, logs=None):
        self.seen, self.states = {}, {}

    def on_train_batch_end(self, batch, logs=None):
        step = int(numpy(self.model.optimizer.iterations))
        self.seen[step] = cut(self.model)
        self.states[step] = [(numpy(x.trained_kernel), x.mask) for x in sparse_of(self.model)]


def same(network, states, weights=True):
    for layer, (kernel, mask) in zip(sparse_of(network), states, strict=True):
        np.testing.assert_array_equal(layer.mask, mask)
        if weights:
            np.testing.assert_array_equal(numpy(layer.trained_kernel), kernel)
