"""Schedules from step 0, an optimizer that knows nothing."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse import sparsify
from keras_sparse.callbacks import Densify, Prune, Rewire
from keras_sparse.schedules import Constant, Doubling, Polynomial
from keras_sparse.transforms import restart_clock
from keras_sparse.transforms.fresh_start import forget_training
from tensors import numpy

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 6)).astype("float32")
Y = RNG.normal(size=(16, 3)).astype("float32")


def network(format="masked"):
    keras.utils.set_random_seed(1)
    dense = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="tanh"), layers.Dense(3)])
    model = sparsify(dense, 0.5, seed=0, format=format)
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=keras.backend.backend() != "jax")
    return model


def fit(model, callback):
    model.fit(X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[callback])  # 8 steps


CALLBACKS = {
    "prune": lambda: Prune(Polynomial(0.5, 0.8, begin=1, end=7, frequency=3)),
    "rewire": lambda: Rewire(Constant(0.3, begin=1, end=7, frequency=3)),
    "densify": lambda: Densify(Doubling(0.6, period=3)),
}
DUE = {"prune": [1, 4, 7], "rewire": [1, 4, 7], "densify": [0, 3, 6]}


def updates(model, name):
    """The steps at which a callback moves connections in a `fit` of 8 steps."""
    callback, steps = CALLBACKS[name](), []
    update = callback.update
    callback.update = lambda step: (steps.append(step), update(step))
    fit(model, callback)
    return steps


@pytest.mark.parametrize("name", CALLBACKS)
def test_schedules_begin_again(name):
    model = network()
    assert updates(model, name) == DUE[name]
    on = updates(model, name)
    # It goes on counting; what Densify has done last it makes sure of.
    assert on == ([6, 9, 12, 15] if name == "densify" else [])
    slots = [numpy(v) for v in model.optimizer.variables]
    weights = [w for w in model.get_weights() if w.dtype == "float32"]
    restart_clock(model)
    # Nothing else is touched.
    for now, before in zip(model.optimizer.variables, slots, strict=True):
        np.testing.assert_array_equal(numpy(now), before)
    for now, before in zip((w for w in model.get_weights() if w.dtype == "float32"), weights, strict=True):
        np.testing.assert_array_equal(now, before)
    assert updates(model, name) == DUE[name]


def test_a_saved_clock_can_be_restarted_as_well(tmp_path):
    model = network()
    updates(model, "prune")
    model.save(tmp_path / "model.keras")
    loaded = [keras.saving.load_model(tmp_path / "model.keras") for _ in range(2)]
    restart_clock(loaded[1])
    assert [updates(one, "prune") for one in loaded] == [[], [1, 4, 7]]


def test_compact_layers_have_a_clock_too():
    model = network("compact")
    fit(model, Rewire(Constant(0.3, begin=1, end=7, frequency=3)))
    assert all(numpy(layer.mask_step)[0] == 8 for layer in model.layers[:1])
    restart_clock(model)
    assert all((numpy(layer.mask_step) == [-1, 0]).all() for layer in model.layers)


def test_models_without_sparse_layers_or_optimizer_are_fine():
    restart_clock(keras.Sequential([keras.Input((6,)), layers.Dense(3)]))
    forget_training(keras.Sequential([keras.Input((6,)), layers.Dense(3)]))
    model = network()
    assert not model.optimizer.built
    forget_training(model)
    assert not model.optimizer.built
    assert (numpy(model.layers[0].mask_step) == [-1, 0]).all()


def test_forgetting_keeps_variables_and_learning_rate():
    model = network()
    fit(model, CALLBACKS["prune"]())
    model.optimizer.learning_rate = 0.25
    variables = list(model.optimizer.variables)
    assert sum(numpy(v).any() for v in variables) > 2
    forget_training(model)
    assert [id(v) for v in model.optimizer.variables] == [id(v) for v in variables]
    assert [v.path for v in variables if numpy(v).any()] == [model.optimizer.learning_rate.path]
    assert float(numpy(model.optimizer.learning_rate)) == 0.25
