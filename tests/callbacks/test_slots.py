"""What an optimizer remembers of a weight."""

import keras
import numpy as np
import pytest

from keras_sparse.callbacks.slots import forget, slots
from tensors import numpy

OPTIMIZERS = {
    "sgd": (lambda: keras.optimizers.SGD(0.1), 0),
    "momentum": (lambda: keras.optimizers.SGD(0.1, momentum=0.9), 1),
    "adam": (lambda: keras.optimizers.Adam(0.1), 2),
    "amsgrad": (lambda: keras.optimizers.Adam(0.1, amsgrad=True), 3),
    "adamw": (lambda: keras.optimizers.AdamW(0.1), 2),
    "rmsprop": (lambda: keras.optimizers.RMSprop(0.1, momentum=0.9, centered=True), 3),
    "adagrad": (lambda: keras.optimizers.Adagrad(0.1), 1),
    "lion": (lambda: keras.optimizers.Lion(0.1), 1),
    "ftrl": (lambda: keras.optimizers.Ftrl(0.1), 2),
    "adadelta": (lambda: keras.optimizers.Adadelta(0.1), 2),
    "nadam": (lambda: keras.optimizers.Nadam(0.1), 2),
    "accumulated": (lambda: keras.optimizers.Adam(0.1, gradient_accumulation_steps=4), 3),
    "averaged": (lambda: keras.optimizers.SGD(0.1, use_ema=True), 1),
    "scaled": (lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.1)), 2),
    "factored": (lambda: keras.optimizers.Adafactor(0.1), 1),  # beside the factors, which are of no weight
}
FIRST = {("adagrad", "_accumulators"): 0.1, ("ftrl", "_accumulators"): 0.1}  # others begin at zero


def trained(name, steps=5):
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(3, use_bias=False), keras.layers.Dense(3)]
    network = keras.Sequential([keras.Input((3,)), *layers])  # kernels of one shape
    network.compile(OPTIMIZERS[name][0](), "mse", run_eagerly=True)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        network.train_on_batch(rng.normal(size=(8, 3)), rng.normal(size=(8, 3)))
    return network


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_slot_of_the_kernel_and_no_other(name):
    network = trained(name)
    found = [slots(network.optimizer, layer.kernel) for layer in network.layers]
    for one in found:
        assert len(one) == OPTIMIZERS[name][1]
        assert all(tuple(slot.shape) == (3, 3) for slot in one.values())
    ids = [id(slot) for one in found for slot in one.values()]
    assert len(set(ids)) == len(ids)
    inner = getattr(network.optimizer, "inner_optimizer", network.optimizer)
    square = [v for v in inner.variables if tuple(v.shape) == (3, 3)]
    assert {id(v) for v in square} == set(ids)


@pytest.mark.parametrize("name", [name for name, (_, count) in OPTIMIZERS.items() if count])
def test_forget(name):
    network = trained(name)
    kernel = network.layers[1].kernel
    where = np.eye(3, dtype=bool)
    before = {id(v): numpy(v) for v in network.optimizer.variables}
    forget(network.optimizer, kernel, where)
    ours = {id(slot): FIRST.get((name, kind), 0) for kind, slot in slots(network.optimizer, kernel).items()}
    for variable in network.optimizer.variables:
        expected = before[id(variable)]
        if id(variable) in ours:
            first = np.float32(ours[id(variable)])
            assert (expected[where] != first).any()
            expected = np.where(where, first, expected)
        np.testing.assert_array_equal(numpy(variable), expected)


def test_names_of_the_lists():
    assert set(slots(trained("momentum").optimizer, trained("momentum").layers[0].kernel)) == set()  # another model's
    network = trained("momentum")
    assert list(slots(network.optimizer, network.layers[0].kernel)) == ["momentums"]
    network = trained("adam")
    assert list(slots(network.optimizer, network.layers[0].kernel)) == ["_momentums", "_velocities"]


def test_where_broadcasts():
    network = trained("adam")
    forget(network.optimizer, network.layers[0].kernel, np.array([True, False, False]))
    for slot in slots(network.optimizer, network.layers[0].kernel).values():
        assert (numpy(slot)[:, 0] == 0).all()
        assert (numpy(slot)[:, 1:] != 0).any()


def test_before_the_optimizer_is_built():
    assert slots(keras.optimizers.Adam(), keras.Variable(np.zeros((3, 3)))) == {}
