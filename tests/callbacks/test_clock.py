"""The step, from the optimizer and from what was saved."""

import warnings

import keras
import numpy as np
import pytest

from keras_sparse.callbacks.clock import Clock
from keras_sparse.layers import MaskedDense
from keras_sparse.transforms.mask_in_place import mask_in_place
from tensors import numpy

X = np.ones((8, 4), "float32")
Y = np.ones((8, 2), "float32")


def model(**options):
    network = keras.Sequential([keras.Input((4,)), MaskedDense(2, sparsity=0.5, seed=0)])
    network.compile(options.pop("optimizer", "adam"), "mse", run_eagerly=True, **options)
    return network, network.layers[0]


def steps(network, count):
    for _ in range(count):
        network.train_on_batch(X, Y)


def test_it_counts_updates_from_zero():
    network, layer = model()
    clock = Clock(network, [layer])
    assert clock.begun == -1
    assert clock.read(network) == 0
    steps(network, 3)
    assert clock.read(network) == 3
    assert list(numpy(layer.mask_step)) == [-1, 0]
    clock.write(network)
    assert list(numpy(layer.mask_step)) == [3, 3]


def test_it_begins_at_zero_on_a_model_that_was_trained_before():
    network, layer = model()
    steps(network, 5)
    clock = Clock(network, [layer])
    assert clock.read(network) == 0
    steps(network, 2)
    clock.write(network)
    assert list(numpy(layer.mask_step)) == [2, 7]
    assert Clock(network, [layer]).read(network) == 2


def test_it_goes_on_where_it_was_written():
    network, layer = model()
    steps(network, 4)
    Clock(network, [layer]).write(network)
    steps(network, 1)  # nobody looked
    again = Clock(network, [layer])
    assert again.begun == 0
    assert again.read(network) == 1


def test_it_goes_on_with_a_new_optimizer():
    network, layer = model()
    clock = Clock(network, [layer])
    steps(network, 6)
    clock.write(network)
    network.compile("adam", "mse", run_eagerly=True)
    again = Clock(network, [layer])
    assert (again.begun, again.read(network)) == (6, 6)
    steps(network, 2)
    assert again.read(network) == 8
    again.write(network)
    assert list(numpy(layer.mask_step)) == [8, 2]
    assert Clock(network, [layer]).read(network) == 8


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("saved_optimizer", [True, False])
def test_it_is_saved(after, saved_optimizer, tmp_path):
    """Also if the model was saved `after` updates that the callback had not written down yet."""
    network, layer = model()
    steps(network, 2)
    clock = Clock(network, [layer])
    steps(network, 4)
    clock.write(network)
    steps(network, after)
    network.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", compile=saved_optimizer)
    if not saved_optimizer:
        again.compile("adam", "mse", run_eagerly=True)
    loaded = Clock(again, [again.layers[0]])
    assert loaded.begun == 4
    assert loaded.read(again) == 4 + (after if saved_optimizer else 0)


def test_gradient_accumulation():
    network, layer = model(optimizer=keras.optimizers.Adam(gradient_accumulation_steps=3))
    clock = Clock(network, [layer])
    read = []
    for _ in range(7):
        steps(network, 1)
        read.append(clock.read(network))
    assert read == [0, 0, 1, 1, 1, 2, 2]


def test_loss_scaling():
    keras.config.set_dtype_policy("mixed_float16")
    network, layer = model()
    clock = Clock(network, [layer])
    steps(network, 2)
    assert type(network.optimizer).__name__ == "LossScaleOptimizer"
    assert clock.read(network) == 2


class Hidden(keras.Model):
    """With a layer that no configuration shows, and that is saved as a stock one."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2)

    def call(self, x):
        return self.dense(x)


def hidden_model(cut, updates=3):
    network = Hidden()
    network(X)
    network.compile("sgd", "mse", run_eagerly=True)
    steps(network, updates)
    if cut:
        kernel = numpy(network.dense.kernel)
        kernel[0] = 0
        network.dense.kernel.assign(kernel)
    return network, mask_in_place(network)


@pytest.mark.parametrize("cut", [True, False])
def test_hidden_layers_are_guessed_from_cut_weights_with_a_warning(cut):
    network, layers = hidden_model(cut)
    counts_from = 0 if cut else 3
    with pytest.warns(UserWarning, match=f"Prune cannot know.*taken for step {3 - counts_from}. Say it by"):
        clock = Clock(network, layers, owner="Prune")
    assert clock.begun == (3 if cut else -1)
    assert clock.read(network) == (3 if cut else 0)
    steps(network, 2)
    assert clock.read(network) == (5 if cut else 2)
    assert layers[0].mask.sum() == (6 if cut else 8)


@pytest.mark.parametrize("cut", [True, False])
@pytest.mark.parametrize(
    ("known", "step"),
    [
        ({"counts_from": 0}, 3),
        ({"counts_from": 1}, 2),
        ({"counts_from": 3}, 0),
        ({"count_before": 1}, 2),  # a checkpoint came back after training had begun
    ],
)
def test_hidden_layers_where_the_step_is_known(cut, known, step):
    network, layers = hidden_model(cut)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*cannot know")
        clock = Clock(network, layers, **known)
    assert clock.read(network) == step
    assert clock.begun == (step if step or cut else -1)
    clock.write(network)
    steps(network, 1)
    assert Clock(network, layers, **known).read(network) == step + 1  # from what was written


def test_nothing_to_guess_before_the_first_update():
    network, layers = hidden_model(cut=False, updates=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*cannot know")
        assert Clock(network, layers, count_before=0).read(network) == 0


def test_counts_from_is_for_who_has_no_clock_yet():
    network, layer = model()
    steps(network, 5)
    clock = Clock(network, [layer], counts_from=2)
    assert (clock.begun, clock.read(network)) == (3, 3)
    clock.write(network)
    assert Clock(network, [layer], counts_from=0).read(network) == 3
    other, layer = model()
    with pytest.raises(ValueError, match="`counts_from` of Prune must be at most 0, the updates that the optimizer"):
        Clock(other, [layer], counts_from=1, owner="Prune")


def test_of_layers_that_differ_the_latest_counts():
    network = keras.Sequential([keras.Input((4,)), *(MaskedDense(4, seed=0) for _ in range(3))])
    network.compile("sgd", "mse", run_eagerly=True)
    layers = network.layers
    network.optimizer.iterations.assign(8)
    layers[1].mask_step.assign([5, 7])
    clock = Clock(network, layers)
    assert (clock.begun, clock.read(network)) == (5, 6)
    clock.write(network)
    assert [list(numpy(layer.mask_step)) for layer in layers] == [[-1, 0], [6, 8], [-1, 0]]
    clock.write(network, everywhere=True)
    assert [list(numpy(layer.mask_step)) for layer in layers] == [[6, 8]] * 3
