"""From few connections to many, during `fit`."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_sparse.callbacks import Densify
from keras_sparse.callbacks.densify import added
from keras_sparse.layers import MaskedDense, SparseConv2D
from keras_sparse.schedules import Cosine, Doubling, Polynomial
from keras_sparse.topologies import Connections, RandomEdge, RandomFanIn
from tensors import numpy

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 8, 8, 3)).astype("float32")
Y = RNG.integers(0, 4, 32)


def model(format="masked", optimizer="adam", **compile_options):
    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            SparseConv2D(8, 3, topology=RandomEdge(sparsity=0.8, seed=1), format=format, activation="relu"),
            layers.Flatten(),
            MaskedDense(16, sparsity=0.95, format=format, seed=2, kernel_regularizer="l2"),
            layers.Dense(4),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer, loss, jit_compile=False, **compile_options)
    return network


def sparse_of(network):
    return [network.layers[0], network.layers[2]]


def fit(network, callback, epochs=1, **options):
    return network.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, shuffle=False, callbacks=[callback], **options)


class Watch(keras.callbacks.Callback):
    """Notes the density and the step after each batch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        dense = self.model.layers[2]
        self.seen.append((int(numpy(self.model.optimizer.iterations)), round(float(dense.mask.mean()), 3)))


def test_connections_double_on_time():
    network, watch = model(), Watch()
    network.fit(X, Y, batch_size=8, epochs=3, verbose=0, callbacks=[Densify(Doubling(0.1, period=5)), watch])
    densities = dict(watch.seen)
    assert [densities[step] for step in (1, 4, 5, 9, 10, 12)] == [0.1, 0.1, 0.2, 0.2, 0.4, 0.4]


@pytest.mark.parametrize("format", ["masked", "compact"])
def test_ends_dense_and_old_connections_stay(format):
    network = model(format)
    before = [layer.mask for layer in sparse_of(network)]
    history = fit(network, Densify(Doubling(0.25, period=4)), epochs=4).history
    assert all(layer.mask.all() for layer in sparse_of(network))
    assert history["density"] == sorted(history["density"])
    assert history["density"][-1] == 1.0
    network = model(format)
    fit(network, Densify(Cosine(0.25, 8, frequency=4, final=1.0)), epochs=3)
    assert all(layer.mask.all() for layer in sparse_of(network))
    network = model(format)
    fit(network, Densify(lambda step: 0.5), epochs=1)
    for old, layer in zip(before, sparse_of(network), strict=True):
        assert (layer.mask | ~old).all()
        assert layer.mask.sum() == max(old.sum(), round(0.5 * old.size))


@pytest.mark.parametrize("format", ["masked", "compact"])
def test_new_connections_start_at_zero_so_that_the_function_does_not_jump(format):
    network = model(format)
    fit(network, Densify(lambda step: 0.1))
    expected = numpy(network(X))
    fit(network, Densify(lambda step: 0.9 if step >= 8 else 0.1))  # due with the last step of the epoch
    after = model(format)
    fit(after, Densify(lambda step: 0.1))
    fit(after, Densify(lambda step: 0.1))
    if format == "masked":
        assert round(float(network.layers[2].mask.mean()), 2) == 0.9
        np.testing.assert_allclose(numpy(network(X)), numpy(after(X)), rtol=1e-5, atol=1e-6)
    else:  # between epochs: at the start of the next, whose first batch sees the old function
        assert round(float(network.layers[2].mask.mean()), 2) == 0.1
        losses = [fit(m, Densify(lambda step, d=d: d)).history["loss"] for m, d in ((network, 0.9), (after, 0.1))]
        assert round(float(network.layers[2].mask.mean()), 2) == 0.9
        assert losses[0] != losses[1]
    assert not np.allclose(expected, numpy(network(X)))


@pytest.mark.parametrize("format", ["masked", "compact"])
def test_new_connections_by_the_initializer(format):
    network = model(format, keras.optimizers.SGD(0.0))
    old = [(layer.mask, layer.dense_kernel()) for layer in sparse_of(network)]
    fit(network, Densify(lambda step: 0.8, new="initializer"))
    for (mask, kernel), layer in zip(old, sparse_of(network), strict=True):
        new = layer.mask & ~mask
        now = layer.dense_kernel()
        np.testing.assert_array_equal(now[..., mask], kernel[..., mask])
        assert new.any()
        assert (now[..., new] != 0).all()
        assert (now[..., ~layer.mask] == 0).all()


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "adamw", "momentum"])
def test_slots_move_with_their_connections(optimizer):
    """A compact layer that is laid out anew must train as the masked one, whose slots never move."""
    optimizers = [keras.optimizers.SGD(0.05, momentum=0.9) if optimizer == "momentum" else optimizer for _ in range(2)]
    networks = [model("masked", optimizers[0]), model("compact", optimizers[1])]
    for masked, compact in zip(*map(sparse_of, networks), strict=True):
        compact.set_dense_kernel(masked.dense_kernel())
    for network in networks:
        fit(network, Densify(lambda step: 0.2 if step < 4 else 0.6), epochs=3)
    # The masked layer gets its connections after the last step of an epoch, the compact one before the next.
    for masked, compact in zip(*map(sparse_of, networks), strict=True):
        np.testing.assert_array_equal(masked.mask, compact.mask)
    kernels = [[layer.dense_kernel() for layer in sparse_of(network)] for network in networks]
    for masked, compact in zip(*kernels, strict=True):
        np.testing.assert_allclose(compact, masked, rtol=2e-2, atol=2e-4)


def test_slots_that_are_no_list_of_connections_start_anew():
    network = model("compact", keras.optimizers.Adafactor(0.01))
    fit(network, Densify(lambda step: 0.2 if step < 4 else 0.6), epochs=3)
    assert round(float(network.layers[2].mask.mean()), 1) == 0.6


@pytest.mark.parametrize("format", ["masked", "compact"])
@pytest.mark.parametrize("fresh_optimizer", [False, True])
def test_save_and_resume(format, fresh_optimizer, tmp_path):
    schedule = Doubling(0.2, period=6)
    straight = model(format)
    fit(straight, Densify(schedule), epochs=4)
    stopped = model(format)
    fit(stopped, Densify(schedule), epochs=2)
    stopped.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", compile=not fresh_optimizer)
    if fresh_optimizer:
        again.compile("adam", straight.loss, jit_compile=False)
    fit(again, Densify(schedule), epochs=2)
    assert int(numpy(again.layers[0].mask_step)[0]) == 16
    for one, other in zip(sparse_of(straight), sparse_of(again), strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        if not fresh_optimizer:
            np.testing.assert_allclose(one.dense_kernel(), other.dense_kernel(), rtol=1e-5, atol=1e-6)


def test_the_step_is_in_a_weights_file(tmp_path):
    network = model()
    fit(network, Densify(Doubling(0.1, period=3)), epochs=2)
    network.save_weights(tmp_path / "m.weights.h5")
    again = model()
    again.load_weights(tmp_path / "m.weights.h5")
    assert int(numpy(again.layers[0].mask_step)[0]) == 8
    np.testing.assert_array_equal(again.layers[2].mask, network.layers[2].mask)


@pytest.mark.parametrize("options", [{"steps_per_execution": 2}, {"optimizer": "accumulate"}], ids=str)
def test_the_step_counts_updates(options):
    if options.get("optimizer"):
        options = {"optimizer": keras.optimizers.Adam(gradient_accumulation_steps=2)}
    network = model(**options)
    fit(network, Densify(Doubling(0.1, period=4)), epochs=2)
    updates = 4 if "optimizer" in options else 8
    assert int(numpy(network.layers[0].mask_step)[0]) == updates
    assert network.layers[2].mask.mean() == pytest.approx(0.1 * 2 ** (updates // 4), abs=0.01)


def test_predict_and_evaluate_after_a_change_of_layout():
    network = model("compact")
    network.predict(X, verbose=0), network.evaluate(X, Y, verbose=0)
    fit(network, Densify(Doubling(0.3, period=4)), epochs=2, validation_data=(X, Y))
    expected = numpy(network(X))
    np.testing.assert_allclose(network.predict(X, verbose=0), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("block_size", [1, 2])
@pytest.mark.parametrize("density", [0.3, 0.77, 1.0])
def test_added(block_size, density):
    connections = RandomFanIn(in_degree=2, block_size=block_size, seed=0).connections(20, 12)
    more = added(connections, density, 5)
    blocks = (20 // block_size) * (12 // block_size)
    assert len(more) == round(density * blocks)
    assert (more.mask() | ~connections.mask()).all()
    assert np.array_equal(added(connections, density, 5).mask(), more.mask())
    assert density == 1 or not np.array_equal(added(connections, density, 6).mask(), more.mask())


def test_added_is_uniform_over_what_is_free():
    mask = np.zeros((5, 4), dtype=bool)
    mask[[0, 2, 4], [0, 3, 3]] = True
    connections = Connections.from_mask(mask)
    counts = sum(added(connections, 0.4, seed).mask().astype(int) for seed in range(2000))
    assert (counts[mask] == 2000).all()
    expected = 2000 * 5 / 17
    assert np.abs(counts[~mask] - expected).max() < 5 * np.sqrt(expected)
    assert added(connections, 0.1, 0) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Densify("tripling"), "`schedule` of Densify must be one of 'constant', 'cosine', 'doubling', "),
        (lambda: Densify(Polynomial(0.1, 1.0, 0, 10)), "For a density that grows to 1 take Cosine or Doubling."),
        (lambda: Densify(Doubling(), new="random"), "`new` of Densify must be one of 'zeros', 'initializer'"),
        (lambda: fit(model(), Densify(lambda step: 1.5)), "`schedule` of Densify must be a function from the step"),
        (lambda: fit(stock(), Densify(Doubling())), "`model` of Densify must have sparse layers"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def stock():
    network = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(4)])
    network.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return network
