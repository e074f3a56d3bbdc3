"""As many connections, elsewhere."""

import itertools
import math

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse.callbacks import Prune, Rewire
from keras_sparse.callbacks.rewire import rewired
from keras_sparse.callbacks.slots import slots
from keras_sparse.layers import MaskedDense, SparseConv2D
from keras_sparse.schedules import Constant, Cosine, OneShot
from pruned_models import COMPILED, X, Y, fit
from tensors import numpy

GROWTH = ["random", "gradient", "momentum"]


def model(format="masked", optimizer=None, dense=True, **options):
    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [
            keras.Input((6,)),
            MaskedDense(8, sparsity=0.75, format=format, activation="tanh", seed=1, topology="random_edge"),
            MaskedDense(5, sparsity=0.5, format=format, activation="tanh", seed=2, topology="random_edge"),
            layers.Dense(3, trainable=dense),
        ]
    )
    network.compile(optimizer or keras.optimizers.Adam(0.05), "mse", **{"jit_compile": COMPILED, **options})
    return network


def one_unit(optimizer):
    """A linear unit that sees inputs 0 and 1."""
    mask = np.zeros((6, 1), dtype=bool)
    mask[:2] = True
    network = keras.Sequential([keras.Input((6,)), MaskedDense(1, topology=mask, seed=0)])
    network.compile(optimizer, "mse", jit_compile=COMPILED)
    return network


class Watch(keras.callbacks.Callback):
    """Notes masks, kernels and slots of the sparse layers after each batch; to come after Rewire."""

    def on_train_begin(self, logs=None):
        self.masks, self.kernels, self.slots = ({0: list(map(value, self.sparse()))} for value in self.values())

    def on_train_batch_end(self, batch, logs=None):
        step = int(numpy(self.model.optimizer.iterations))
        for noted, value in zip((self.masks, self.kernels, self.slots), self.values(), strict=True):
            noted[step] = list(map(value, self.sparse()))

    def values(self):
        def of_optimizer(layer):
            return [numpy(slot) for slot in slots(self.model.optimizer, layer.trained_kernel).values()]

        return (lambda layer: layer.mask), (lambda layer: layer.dense_kernel()), of_optimizer

    def sparse(self):
        return [layer for layer in self.model.layers if isinstance(layer, (MaskedDense, SparseConv2D))]


# The update


def test_rewired_on_the_example_of_rigl():
    weights, gradients = np.array([-9, 1, 4, -1, 5, 8, -2, 3]), np.array([0, 9, 3, 9, 1, 0, 0, 2])
    mask = np.array([0, 1, 0, 1, 0, 1, 1, 0], dtype=bool)
    new = rewired(mask, np.abs(weights), gradients, fraction=0.5)
    assert new.astype(int).tolist() == [0, 0, 1, 0, 0, 1, 1, 1]
    assert mask.astype(int).tolist() == [0, 1, 0, 1, 0, 1, 1, 0]  # left as it was


@pytest.mark.parametrize(
    ("mask", "strength", "growth", "fraction", "expected"),
    [
        ([1, 1, 0, 0], [1, 1, 9, 9], [9, 9, 1, 1], 0.5, [1, 0, 1, 0]),  # of equal ones the last goes, the first comes
        ([1, 1, 0, 0], [1, 2, 0, 0], [0, 0, 1, 2], 0.99, [0, 1, 0, 1]),  # never all of them
        ([1, 1, 1, 0], [3, 2, 1, 0], [0, 4, 5, 0], 0.7, [1, 0, 1, 1]),  # one place is free: one comes back
        ([1, 1, 1, 1], [3, 2, 1, 0], [0, 0, 0, 0], 0.5, [1, 1, 1, 1]),
        ([1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 2, 3], 0.9, [1, 0, 0, 0]),  # floor(0.9 * 1)
        ([0, 0, 0, 0], [1, 2, 3, 4], [1, 2, 3, 4], 0.5, [0, 0, 0, 0]),
        ([1, 1, 0, 0], [1, 2, 0, 0], [0, 0, 1, 2], 0.0, [1, 1, 0, 0]),
        ([1, 1, 0, 0], [0, -5, 0, 0], [0, 0, -3, -2], 0.5, [1, 0, 0, 1]),  # any numbers
    ],
)
def test_rewired_by_hand(mask, strength, growth, fraction, expected):
    arrays = np.array(mask, dtype=bool).reshape(2, 2), *(np.reshape(a, (2, 2)) for a in (strength, growth))
    new = rewired(*arrays, fraction)
    assert new.dtype == bool
    assert new.astype(int).ravel().tolist() == expected


@pytest.mark.parametrize("seed", range(3))
def test_rewired_conserves_the_number(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((7, 9)) < 0.4
    strength, growth = rng.integers(0, 4, size=(2, 7, 9))  # many ties
    for fraction in (0.1, 0.5, 0.9):
        new = rewired(mask, strength, growth, fraction)
        assert new.sum() == mask.sum()
        moved = math.floor(fraction * mask.sum() + 1e-9)
        assert (new & ~mask).sum() == min(moved, (~mask).sum())
        if moved <= (~mask).sum():
            assert strength[mask & ~new].max() <= strength[mask & new].min()
            assert growth[new & ~mask].min() >= growth[~new & ~mask].max()


# During fit


@pytest.mark.parametrize(
    ("grow", "criterion", "optimizer"),
    [
        *((grow, "magnitude", "adam") for grow in GROWTH),
        ("momentum", "magnitude", "momentum"),
        ("random", "saliency", "adam"),
    ],
)
def test_the_number_is_conserved_and_new_connections_start_at_zero(grow, criterion, optimizer):
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9) if optimizer == "momentum" else None
    network, watch = model(optimizer=optimizer), Watch()
    fit(network, Rewire(0.3, grow, frequency=3, criterion=criterion, data=(X, Y)), watch)
    for step in range(1, 13):
        for index in range(2):
            before, after, kernel = watch.masks[step - 1][index], watch.masks[step][index], watch.kernels[step][index]
            assert after.sum() == before.sum() == (12, 18)[index]
            new = after & ~before
            assert new.sum() == (math.floor(0.3 * before.sum()) if step % 3 == 0 else 0)
            assert (kernel[~after] == 0).all()
            assert (kernel[new] == 0).all()
            for slot in watch.slots[step][index]:
                assert (slot[new] == 0).all()
                if grow != "momentum":
                    assert (slot[~after] == 0).all()
            if step % 3 == 1 and step > 1:
                grown = watch.masks[step - 1][index] & ~watch.masks[step - 2][index]
                assert (kernel[grown] != 0).any()  # and then they train, unless nothing reads their unit
    assert not any(layer.has_dense_gradient for layer in network.layers[:2])
    trained = [numpy(layer.kernel) for layer in network.layers[:2]]
    fit(network, epochs=1)
    for kernel, layer in zip(trained, network.layers, strict=False):
        assert (numpy(layer.kernel)[~layer.mask] == 0).all()
        assert (numpy(layer.kernel) != kernel).any()


def test_the_weakest_go():
    network, watch = model(), Watch()
    fit(network, Rewire(0.3, frequency=4), watch, epochs=1)
    uncut = model()
    fit(uncut, epochs=1)
    for index, (layer, free) in enumerate(zip(network.layers[:2], uncut.layers[:2], strict=True)):
        gone = watch.masks[3][index] & ~watch.masks[4][index]
        kept = watch.masks[3][index] & watch.masks[4][index]
        size = np.abs(numpy(free.kernel))
        assert gone.sum() == (3, 5)[index]
        assert size[gone].max() < size[kept].min()
        np.testing.assert_array_equal(numpy(layer.kernel)[kept], numpy(free.kernel)[kept])


TARGET = 3 * X[:, 4:5]


def test_gradient_growth_finds_the_right_input_at_the_first_update():
    network, watch = one_unit(keras.optimizers.SGD(0.01)), Watch()
    fit(network, Rewire(0.5, "gradient", frequency=2, data=(X, TARGET)), watch, y=TARGET, epochs=1)
    assert not watch.masks[1][0][4]
    assert watch.masks[2][0][4]


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_momentum_growth_finds_the_right_input_at_the_first_update(optimizer):
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9) if optimizer == "momentum" else keras.optimizers.Adam(0.01)
    network, watch = one_unit(optimizer), Watch()
    fit(network, Rewire(0.5, "momentum", frequency=3), watch, y=TARGET, epochs=1)
    assert not watch.masks[2][0][4]
    assert (watch.kernels[2][0][2:] == 0).all()  # although they have momentum
    assert (watch.slots[2][0][0][2:] != 0).all()
    assert watch.masks[3][0][4]


def test_momentum_growth_goes_by_the_running_mean_of_gradients():
    """The mean over steps, not the gradient of the last batch, which points elsewhere."""
    y = np.concatenate([10 * X[:24, 4:5], 3 * X[24:, 5:6]])
    network, watch = one_unit(keras.optimizers.SGD(1e-4, momentum=0.9)), Watch()
    fit(network, Rewire(0.5, "momentum", frequency=4), watch, y=y, epochs=1)
    assert watch.masks[4][0][4]
    by_gradient, watch = one_unit(keras.optimizers.SGD(1e-4, momentum=0.9)), Watch()
    last = Rewire(0.5, "gradient", frequency=4, data=lambda step: (X[24:], y[24:]))
    fit(by_gradient, last, watch, y=y, epochs=1)
    assert watch.masks[4][0][5]


def test_random_growth_finds_the_right_input_some_day_and_keeps_it():
    network, watch = one_unit(keras.optimizers.SGD(0.1)), Watch()
    fit(network, Rewire(0.5, frequency=4, seed=1), watch, y=TARGET, epochs=12)
    found = [step for step in sorted(watch.masks) if watch.masks[step][0][4]]
    assert found
    assert found == list(range(found[0], 49))
    assert 4 < found[0] < 40
    assert float(numpy(network.layers[0].kernel)[4, 0]) == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_compact_equals_masked_with_random_growth(kind):
    results = []
    for format in ("masked", "compact"):
        if kind == "dense":
            network, x, y = model(format), X, Y
        else:
            keras.utils.set_random_seed(1)
            conv = SparseConv2D(6, 2, sparsity=0.6, topology="random_edge", format=format, seed=1, activation="tanh")
            network = keras.Sequential([keras.Input((4, 4, 5)), conv, layers.GlobalAveragePooling2D()])
            network.compile(keras.optimizers.Adam(0.05), "mse", jit_compile=COMPILED)
            x = np.random.default_rng(0).normal(size=(32, 4, 4, 5)).astype("float32")
            y = x.mean(axis=(1, 2))[:, [0, 1, 2, 3, 4, 0]]
        results.append((network, x, y))
    for one, other in zip(results[0][0].layers, results[1][0].layers, strict=True):
        if hasattr(one, "dense_kernel"):
            other.set_dense_kernel(one.dense_kernel())
    start = results[0][0].layers[0].mask
    losses = [fit(network, Rewire(0.4, frequency=3), x=x, y=y).history["loss"] for network, x, y in results]
    np.testing.assert_allclose(*losses, rtol=1e-5)
    for one, other in zip(results[0][0].layers, results[1][0].layers, strict=True):
        if hasattr(one, "dense_kernel"):
            np.testing.assert_array_equal(one.mask, other.mask)
            np.testing.assert_allclose(one.dense_kernel(), other.dense_kernel(), rtol=1e-4, atol=1e-5)
    assert (results[0][0].layers[0].mask != start).any()


def test_cosine_until_the_end():
    network, watch = model(), Watch()
    fit(network, Rewire(0.6, "gradient", frequency=2, until=8, data=(X, Y)), watch)
    schedule = Cosine(0.6, 8, begin=2, frequency=2)
    for step in range(1, 13):
        wanted = schedule(step) if step in (2, 4, 6) else 0
        for before, after, count in zip(watch.masks[step - 1], watch.masks[step], (12, 18), strict=True):
            assert (after & ~before).sum() == math.floor(wanted * count)
    assert math.floor(schedule(6) * 18) > 0


def test_a_schedule_of_ones_own():
    network, watch = model(), Watch()
    fit(network, Rewire(OneShot(0.5, step=3)), watch)
    changed = [step for step in range(1, 13) if (watch.masks[step][0] != watch.masks[step - 1][0]).any()]
    assert changed == [3]


@pytest.mark.parametrize("options", [{"steps_per_execution": 4}, {"optimizer": "accumulate"}], ids=str)
def test_the_step_counts_updates(options):
    if "optimizer" in options:
        options = {"optimizer": keras.optimizers.Adam(0.05, gradient_accumulation_steps=2)}
    network, watch = model(**options), Watch()
    fit(network, Rewire(0.3, "gradient", frequency=4, data=(X, Y)), watch)
    steps = sorted(watch.masks)
    changed = [b for a, b in itertools.pairwise(steps) if (watch.masks[a][0] != watch.masks[b][0]).any()]
    assert changed == ([4, 8, 12] if "steps_per_execution" in options else [4])


def test_excluded_layers_stay():
    network = model()
    first, second = (layer.mask for layer in network.layers[:2])
    fit(network, Rewire(0.5, frequency=2, exclude=["first", "last"]), epochs=1)
    np.testing.assert_array_equal(network.layers[0].mask, first)
    assert (network.layers[1].mask != second).any()
    assert type(network.layers[2]) is layers.Dense


def test_with_prune_in_the_same_fit():
    network, watch = model(), Watch()
    fit(network, Prune(OneShot(0.8, step=2)), Rewire(Constant(0.3, begin=4, frequency=4)), watch)
    assert [mask.sum() for mask in watch.masks[2]] == [48 - 38, 40 - 32, 15 - 12]
    for step in (4, 8, 12):
        for index in range(3):
            assert watch.masks[step][index].sum() == watch.masks[2][index].sum()
        assert (watch.masks[step][0] != watch.masks[step - 1][0]).any()


# Killed and resumed


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    runs = {}

    def get(grow):
        if grow not in runs:
            folder, network = tmp_path_factory.mktemp(grow), model()
            before, after = (
                keras.callbacks.ModelCheckpoint(folder / f"{when}_{{epoch}}_{{batch}}.keras", save_freq=1)
                for when in ("before", "after")
            )
            fit(network, before, rewire(grow), after)
            runs[grow] = folder, [(layer.mask, layer.dense_kernel()) for layer in network.layers[:2]]
        return runs[grow]

    return get


def rewire(grow):
    return Rewire(0.3, grow, frequency=3, until=12, data=(X, Y), batch_size=16)


def same(network, states):
    for layer, (mask, kernel) in zip(network.layers[:2], states, strict=True):
        np.testing.assert_array_equal(layer.mask, mask)
        np.testing.assert_array_equal(layer.dense_kernel(), kernel)


@pytest.mark.parametrize("grow", GROWTH)
@pytest.mark.parametrize(("when", "step"), [("before", 6), ("after", 7)])
def test_a_saved_model_goes_on_as_if_nothing_had_happened(grow, when, step, straight):
    folder, end = straight(grow)
    network = keras.saving.load_model(folder / f"{when}_2_{step - 4}.keras")
    x, y = (np.tile(array, (3, 1))[step * 8 :] for array in (X, Y))
    fit(network, rewire(grow), epochs=1, x=x, y=y)
    same(network, end)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("grow", ["momentum"])
def test_backup_and_restore(grow, straight, tmp_path):
    def kill(epoch, logs=None):
        if epoch == 2:
            raise KilledError

    backup = keras.callbacks.BackupAndRestore
    with pytest.raises(KilledError):
        fit(model(), backup(tmp_path), rewire(grow), keras.callbacks.LambdaCallback(on_epoch_begin=kill))
    network = model()
    fit(network, rewire(grow), backup(tmp_path))
    same(network, straight(grow)[1])


# Errors


def full(kind):
    network = keras.Sequential([keras.Input((6,)), kind(3)], name="full")
    network.compile("sgd", "mse", run_eagerly=True)
    return network


@pytest.mark.parametrize("order", [1, -1], ids=["prune first", "rewire first"])
@pytest.mark.parametrize("grow", GROWTH)
def test_on_a_dense_model_that_is_pruned_meanwhile(grow, order):
    keras.utils.set_random_seed(1)
    network = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="tanh"), layers.Dense(3)])
    network.compile("adam", "mse", jit_compile=COMPILED)
    watch = Watch()
    pair = Prune(OneShot(0.5, step=1)), Rewire(0.5, grow, frequency=2, data=(X, Y))
    fit(network, *pair[::order], watch, epochs=1)
    for index, total in enumerate((48, 24)):
        assert [watch.masks[step][index].sum() for step in (1, 2, 4)] == [total // 2] * 3
        assert (watch.masks[2][index] != watch.masks[1][index]).any()
        assert (watch.masks[4][index] != watch.masks[2][index]).any()


def all_connected(units):
    return MaskedDense(units, sparsity=0.0, topology="random_edge")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Rewire(1.0), "`drop` of Rewire must be a number in [0, 1)"),
        (lambda: Rewire("cosin"), "Did you mean 'cosine'"),
        (
            lambda: Rewire(grow="gradients", data=(X, Y)),
            "`grow` of Rewire must be one of 'random', 'gradient', 'moment",
        ),
        (lambda: Rewire(grow="gradient"), "grow='gradient' takes gradients on it: pass the training data"),
        (lambda: Rewire(criterion="saliency"), "The criterion 'saliency' takes gradients on it"),
        (lambda: Rewire(criterion="movement"), "`criterion` of Rewire must be 'magnitude', 'random' or 'saliency'"),
        (lambda: Rewire(criterion="synflow"), "The others rank connections once"),
        (lambda: Rewire(frequency=0), "`frequency` of Rewire must be an integer >= 1"),
        (lambda: Rewire(frequency=100, until=100), "`until` of Rewire must be an integer >= 101"),
        (lambda: Rewire(OneShot(0.5), until=100), "`until` of Rewire must be None if `drop` is a schedule"),
        (lambda: fit(full(all_connected), Rewire(frequency=2)), "`model` of Rewire must have cut connections"),
        (lambda: fit(full(all_connected), Rewire(frequency=2)), "'full' with all connections at step 2, the first upd"),
        (lambda: fit(full(layers.Dense), Rewire()), "with no sparse layer. Make it sparse with `sparsify` first, or"),
        (lambda: fit(model("compact"), Rewire(grow="gradient", data=(X, Y))), "sparse layers in the masked format"),
        (lambda: fit(one_unit("sgd"), Rewire(grow="momentum"), y=TARGET), "SGD has no slots; take SGD(momentum=0.9)"),
        (lambda: fit(model(), Rewire(lambda step: 1.0)), "`drop` of Rewire must be a number in [0, 1)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)
