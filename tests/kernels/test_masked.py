"""A kernel and its mask in training, where passes over memory are saved: never at the cost of what is computed."""

import keras
import numpy as np
import pytest

from keras_sparse.layers import MaskedDense
from tensors import numpy

X = np.random.default_rng(0).normal(size=(16, 12)).astype("float32")
Y = np.random.default_rng(1).normal(size=(16, 6)).astype("float32")


def network(optimizer="sgd", **options):
    layer = MaskedDense(6, sparsity=0.5, seed=1, **options)
    model = keras.Sequential([keras.Input((12,)), layer])
    model.compile(optimizer, "mse", jit_compile=False)
    return model, layer


def assign_kernel(layer):
    """Writes to a single cut weight."""
    kernel = numpy(layer.kernel).copy()
    row, column = np.argwhere(~layer.mask)[-1]
    kernel[row, column] = 5
    layer.kernel.assign(kernel)


def assign_weights(layer):
    layer.set_weights([np.ones_like(w) if w.dtype == np.float32 else w for w in layer.get_weights()])


@pytest.mark.parametrize("assign", [assign_kernel, assign_weights])
def test_what_is_assigned_to_cut_weights_takes_no_part_in_training(assign):
    model, layer = network()
    assign(layer)
    expected = model.evaluate(X, Y, batch_size=16, verbose=0)
    loss = model.fit(X, Y, batch_size=16, verbose=0).history["loss"][0]
    assert loss == pytest.approx(expected, rel=1e-5)
    assert (numpy(layer.kernel)[~layer.mask] == 0).all()


def test_weights_of_another_mask_come_whole():
    (one, first), (other, second) = network(), network()
    second.set_mask(np.roll(second.mask, 1, axis=0))
    assert not np.array_equal(first.mask, second.mask)
    one.set_weights(other.get_weights())
    np.testing.assert_array_equal(first.mask, second.mask)
    np.testing.assert_array_equal(numpy(one(X)), numpy(other(X)))
    assert one.fit(X, Y, batch_size=16, verbose=0).history["loss"] == pytest.approx(
        other.fit(X, Y, batch_size=16, verbose=0).history["loss"], rel=1e-5
    )


def test_an_optimizer_that_works_on_whole_matrices():
    model, layer = network(keras.optimizers.Muon(0.1))
    model.fit(X, Y, epochs=5, batch_size=8, verbose=0)
    kernel = numpy(layer.kernel)
    assert (kernel[~layer.mask] == 0).all()
    assert (kernel[layer.mask] != 0).all()


def test_momentum_of_connections_that_were_cut_does_not_come_back():
    model, layer = network(keras.optimizers.SGD(0.1, momentum=0.9))
    model.fit(X, Y, epochs=2, batch_size=8, verbose=0)
    layer.set_mask(np.roll(layer.mask, 1, axis=0))
    model.fit(X, Y, epochs=2, batch_size=8, verbose=0)
    assert (numpy(layer.kernel)[~layer.mask] == 0).all()


def test_momentum_stays_away_after_saving(tmp_path):
    model, layer = network(keras.optimizers.SGD(0.1, momentum=0.9))
    model.fit(X, Y, epochs=2, batch_size=8, verbose=0)
    layer.set_mask(np.roll(layer.mask, 1, axis=0))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    again.fit(X, Y, epochs=2, batch_size=8, verbose=0)
    assert (numpy(again.layers[0].kernel)[~layer.mask] == 0).all()


def test_a_loaded_mask_has_not_moved(tmp_path):
    """Moved connections cost a pass over the kernel at each step; those of a file are where they were."""
    model, layer = network()
    layer.set_mask(np.roll(layer.mask, 1, axis=0), trained=False)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras").layers[0]
    np.testing.assert_array_equal(again.mask, layer.mask)
    assert not numpy(again._moved)


@pytest.mark.parametrize("seed", range(4))
def test_whole_matrices_in_several_components(seed):
    """A cut weight between two components stays zero by itself, one within a component does not."""
    blocks = np.kron(np.eye(2), np.triu(np.ones((6, 3)))).astype(bool)
    mask = blocks[np.random.default_rng(seed).permutation(12)]
    layer = MaskedDense(6, topology=mask)
    model = keras.Sequential([keras.Input((12,)), layer])
    model.compile(keras.optimizers.Muon(0.1), "mse", jit_compile=False)
    model.fit(X, Y, epochs=2, batch_size=8, verbose=0)
    assert (numpy(layer.kernel)[~mask] == 0).all()


def test_a_regularizer_of_ones_own_sees_connected_weights_only():
    model, layer = network(
        keras.optimizers.SGD(0.1, momentum=0.9), kernel_regularizer=lambda w: keras.ops.sum((w - 1) ** 2)
    )
    model.fit(X, Y, epochs=2, batch_size=8, verbose=0)
    assert (numpy(layer.kernel)[~layer.mask] == 0).all()
    slot = next(v for v in model.optimizer.variables if tuple(v.shape) == (12, 6))
    assert (numpy(slot)[~layer.mask] == 0).all()
