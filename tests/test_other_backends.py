"""The rooms that go through `keras.ops`, once more on JAX and on PyTorch, each in a process of its own."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import keras_sparse as ks
from tensors import numpy

ROOT = Path(__file__).resolve().parent.parent
BACKEND = keras.backend.backend()
RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 6, 6, 4)).astype("float32")
Y = RNG.integers(0, 3, 16)

starts_others = pytest.mark.skipif(BACKEND != "tensorflow", reason="is what this test starts")


def passes_on(backend, *arguments):
    # Without XLA's optimizations, which take longer than they save on small nets.
    environment = {
        **os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    result = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False)
    assert result.returncode == 0, result.stdout[-6000:]
    assert " passed" in result.stdout


@starts_others
def test_layers_models_and_training_on_jax():
    tests = [
        "tests/aggregation",
        "tests/kernels",
        "--ignore=tests/kernels/native",
        "tests/layers",
        "tests/contracts/test_layers.py",
        "tests/contracts/test_patterns_and_operators.py",
        "tests/training/test_optimizer.py",
        "tests/training/test_run.py::test_folder_and_result",
        "tests/training/test_stack.py::test_same_as_one_after_another[sizes0]",
        "tests/applications/test_architectures.py",
        "tests/analysis/test_profile.py",
    ]
    # Many seconds each, for what is the same on any backend, Keras's own, or in other tests as well.
    left_out = ("keras_applications", "resnet50", "depth_costs_no_recursion", "another_process", "quanti", "hessian")
    loops = "tests/layers/test_looped_aggregation_block.py::test_gradients_are_those_of_the_unrolled_form"
    variants = ("concat, wider input-True", "running sum, in parts-True")
    deselected = [f"--deselect={loops}[{variant}]" for variant in variants]
    passes_on("jax", *tests, *deselected, "-k", f"not ({' or '.join(left_out)})")


@starts_others
@pytest.mark.parametrize("backend", [name for name in ("jax", "torch") if importlib.util.find_spec(name)])
def test_this_file_on(backend):
    """What follows runs here, on TensorFlow, and there."""
    tests = {
        "jax": ["tests/callbacks/test_densify.py::test_slots_move_with_their_connections[momentum]"],
        "torch": [
            "tests/callbacks/test_densify.py::test_slots_move_with_their_connections",
            "tests/kernels",
            "--ignore=tests/kernels/native",
        ],
    }
    passes_on(backend, __file__, *tests[backend])


def model():
    inputs = keras.Input(X.shape[1:])
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(16, activation="relu", name="hidden")(x)
    return keras.Model(inputs, layers.Dense(3, name="top")(x))


def sparsified(of, **options):
    return ks.sparsify(of, 0.8, exclude="last", seed=0, **options)


def fit(network, *callbacks, epochs=1):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, jit_compile=BACKEND == "jax")
    network.fit(X, Y, batch_size=4, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks))


def sparse_layers(network):
    return [network.get_layer(name) for name in ("conv", "hidden")]


def check_cut_weights(network):
    for layer in sparse_layers(network):
        kernel = numpy(layer.trained_kernel)
        assert (kernel[..., ~layer.mask] == 0).all()
        assert (kernel[..., layer.mask] != 0).any()


def test_transforms_keep_weights_and_predictions(tmp_path):
    dense = model()
    sparse = sparsified(dense)
    for layer in sparse_layers(sparse):
        kernel = numpy(dense.get_layer(layer.name).kernel)
        np.testing.assert_array_equal(layer.dense_kernel(), np.where(layer.mask, kernel, 0))
        assert 0.1 < layer.mask.mean() < 0.4
    assert ks.analysis.is_path_connected(sparse)
    fit(sparse)
    check_cut_weights(sparse)
    expected = numpy(sparse(X))
    made = {verb.__name__: verb(sparse) for verb in (ks.compact, ks.strip, ks.shrink)}
    for name, network in made.items():
        np.testing.assert_allclose(numpy(network(X)), expected, rtol=1e-4, atol=1e-5, err_msg=name)
    assert made["compact"].count_params() < made["strip"].count_params() == dense.count_params()
    for one, other in zip(sparse_layers(sparse), sparse_layers(made["compact"]), strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        assert other.format == "compact"
        assert numpy(other.values).size == other.connected_weights
    assert type(made["strip"].get_layer("hidden")) is layers.Dense
    for network in (sparse, made["compact"]):
        network.save(tmp_path / "m.keras")
        again = keras.saving.load_model(tmp_path / "m.keras")
        np.testing.assert_array_equal(numpy(again(X)), numpy(network(X)))
    profile = ks.analysis.profile(sparse)
    assert profile.connected_parameters == ks.analysis.profile(made["compact"]).connected_parameters


def test_shrink_leaves_out_channels_that_nothing_reads():
    sparse = sparsified(model())
    hidden = sparse.get_layer("hidden")
    mask = hidden.mask
    mask[:, 5:] = False
    hidden.set_mask(mask)
    small = ks.shrink(sparse)
    assert small.get_layer("hidden").units == 5
    np.testing.assert_allclose(numpy(small(X)), numpy(sparse(X)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("verb", [sparsified, ks.compact, ks.strip, ks.shrink], ids=lambda verb: verb.__name__)
def test_a_model_and_what_was_made_of_it_have_weights_of_their_own(verb):
    old = model() if verb is sparsified else sparsified(model())
    before = numpy(old(X))
    new = verb(old)
    fit(new)
    np.testing.assert_array_equal(numpy(old(X)), before)
    after = numpy(new(X))
    fit(old)
    np.testing.assert_array_equal(numpy(new(X)), after)
    assert not np.array_equal(numpy(old(X)), before)


def test_densify_grows_both_formats_alike():
    masked = ks.sparsify(model(), 0.95, topology="random_edge", exclude="last", seed=0)
    compact = ks.compact(masked)
    for network in (masked, compact):
        # Due at the end of the first epoch, where the masked and the compact format are at the same step.
        fit(network, ks.callbacks.Densify(lambda step: 0.2 if step < 4 else 0.6), epochs=3)
    check_cut_weights(masked)
    for one, other in zip(sparse_layers(masked), sparse_layers(compact), strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        assert one.mask.mean() == pytest.approx(0.6, abs=0.02)
        np.testing.assert_allclose(one.dense_kernel(), other.dense_kernel(), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(numpy(masked(X)), numpy(compact(X)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("criterion", ["magnitude", "movement", "saliency", "synflow"])
def test_prune_a_model_of_stock_layers(criterion, tmp_path):
    network = model()
    schedule = ks.schedules.Polynomial(0.0, 0.75, begin=1, end=6, frequency=2)
    fit(network, ks.callbacks.Prune(schedule, criterion, exclude="last", data=(X, Y)), epochs=2)
    check_cut_weights(network)
    assert [int(layer.mask.sum()) for layer in sparse_layers(network)] == [72, 512]
    assert type(network.get_layer("top")) is layers.Dense
    network.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    fit(again, epochs=1)
    check_cut_weights(again)


@pytest.mark.parametrize("grow", ["random", "gradient", "momentum"])
def test_rewire_keeps_the_number_of_connections(grow):
    network = sparsified(model())
    before = [layer.mask for layer in sparse_layers(network)]
    fit(network, ks.callbacks.Rewire(0.5, grow, frequency=3, exclude="last", data=(X, Y)), epochs=2)
    check_cut_weights(network)
    for mask, layer in zip(before, sparse_layers(network), strict=True):
        assert (mask & ~layer.mask).any()
        assert layer.mask.sum() == mask.sum()


@pytest.mark.parametrize("train", ["fit", "train_on_batch"])
def test_connections_that_move_between_batches(train):
    layer = ks.layers.MaskedDense(6, sparsity=0.6, seed=0)
    network = keras.Sequential([keras.Input((8,)), layer])
    network.compile(keras.optimizers.AdamW(0.1, weight_decay=0.1), "mse", jit_compile=BACKEND == "jax")
    x, y = RNG.normal(size=(4, 8)), RNG.normal(size=(4, 6))

    def steps():
        for _ in range(3):
            network.fit(x, y, verbose=0) if train == "fit" else network.train_on_batch(x, y)

    steps()
    mask = layer.mask[::-1]
    assert (mask != layer.mask).any()
    layer.set_mask(mask)
    steps()
    kernel = numpy(layer.trained_kernel)
    assert (kernel[~mask] == 0).all()  # although there is momentum
    assert (kernel[mask] != 0).all()


if BACKEND == "torch":

    @pytest.mark.parametrize("trained", [False, True])
    def test_parameters_of_the_module_are_the_variables(trained):
        network = ks.compact(sparsified(model()))
        if trained:
            fit(network, ks.callbacks.Densify(lambda step: 0.2 if step < 4 else 0.6), epochs=2)
        parameters = {id(parameter) for parameter in network.parameters()}
        assert parameters == {id(variable.value) for variable in network.variables}
