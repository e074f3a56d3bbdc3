"""Files of sparse layers: the very connections come back, and what does not fit is refused."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from keras_sparse.layers import MaskedDense, SparseConv2D
from keras_sparse.topologies import Connections, RandomFanIn
from sparse_pair import COMPILED, FORMATS, INPUTS, LAYERS, built, images, network, sparse_layers
from tensors import numpy

ROOT = Path(__file__).resolve().parent.parent.parent


def moved(model):
    for layer in sparse_layers(model):
        layer.set_mask(np.roll(layer.mask, 2, axis=1))
        layer.set_dense_kernel(np.random.default_rng(1).normal(size=layer.dense_kernel().shape))
    return model


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("block_size", [1, 2])
def test_connections_are_weights(format, block_size, tmp_path):
    """A file has the connections as they are, and not as the topology would draw them."""

    def make(seed):
        layers = [SparseConv2D(6, 3, sparsity=0.5, format=format, seed=seed, block_size=block_size)]
        layers += [keras.layers.Flatten(), MaskedDense(4, sparsity=0.8, format=format, seed=seed, topology="expander")]
        return keras.Sequential([keras.Input((5, 5, 4)), *layers])

    model = moved(make(seed=1))
    x, _ = images()
    for layer in sparse_layers(model):
        layer.mask_step.assign([17, 3])
    expected = numpy(model(x))
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    other = make(seed=2)
    assert not np.array_equal(sparse_layers(other)[0].mask, sparse_layers(model)[0].mask)
    other.load_weights(tmp_path / "model.weights.h5")
    for again in (other, keras.saving.load_model(tmp_path / "model.keras")):
        np.testing.assert_array_equal(numpy(again(x)), expected)
        for one, two in zip(sparse_layers(model), sparse_layers(again), strict=True):
            np.testing.assert_array_equal(one.mask, two.mask)
            assert numpy(two.mask_step).tolist() == [17, 3]


def test_saved_here_and_loaded_in_another_process(tmp_path):
    x, _ = images()
    np.save(tmp_path / "x.npy", x)
    for format in FORMATS:
        model = moved(network(format))
        model.save(tmp_path / f"{format}.keras")
        np.save(tmp_path / f"{format}.npy", numpy(model(x)))
    code = """
import keras, numpy, sys, keras_sparse
for format in ("masked", "compact"):
    model = keras.saving.load_model(f"{format}.keras")
    answer = keras.ops.convert_to_numpy(model(numpy.load("x.npy")))
    numpy.testing.assert_allclose(answer, numpy.load(f"{format}.npy"), rtol=1e-5, atol=1e-6)
    print(*(layer.mask.sum() for layer in model.layers if hasattr(layer, "mask_step")))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, text=True, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    counts = " ".join(str(layer.mask.sum()) for layer in sparse_layers(model))
    assert result.stdout.split("\n")[:2] == [counts] * 2


def test_a_compiled_compact_model_with_another_number_of_connections_is_saved_whole(tmp_path):
    model = network("compact")
    for layer in sparse_layers(model):
        shape = layer.mask.shape
        more = Connections.from_mask(layer.mask | RandomFanIn(sparsity=0.6, seed=5)(*shape))
        layer.relay(more, layer.kernel_initializer)
    x, y = images()
    model.compile("adam", "mse", jit_compile=COMPILED)
    model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numpy(again(x)), numpy(model(x)))
    for one, two in zip(sparse_layers(model), sparse_layers(again), strict=True):
        np.testing.assert_array_equal(one.mask, two.mask)
        assert len(one.connections) == len(two.connections)
    assert np.isfinite(again.train_on_batch(x, y))
    # A weights file alone has no room to tell.
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ValueError, match=r"has room for \d+ connections. Received: \d+ in the file"):
        network("compact").load_weights(tmp_path / "model.weights.h5")


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("format", FORMATS)
def test_weights_of_another_kind_of_layer(kind, format, tmp_path):
    stock = keras.layers.Dense(6) if kind == "dense" else keras.layers.Conv2D(6, 3)
    other = FORMATS[1 - FORMATS.index(format)]
    for number, source in enumerate((stock, built(kind, format=other))):
        keras.Sequential([keras.Input(INPUTS[kind]), source]).save_weights(tmp_path / f"{number}.weights.h5")
        model = keras.Sequential([keras.Input(INPUTS[kind]), built(kind, format=format)])
        with pytest.raises(ValueError) as caught:
            model.load_weights(tmp_path / f"{number}.weights.h5")
        assert f"with format={format!r} looks for" in str(caught.value)
        assert "The file was saved from a layer of another kind or format" in str(caught.value)


@pytest.mark.parametrize("index", ["inputs", "outputs"])
@pytest.mark.parametrize("value", [-1, 8])
def test_a_file_that_points_outside_is_refused(index, value, tmp_path):
    model = keras.Sequential([keras.Input((8,)), built("dense", format="compact")])
    model.save_weights(tmp_path / "model.weights.h5")
    with h5py.File(tmp_path / "model.weights.h5", "r+") as file:
        found = []
        file.visit(lambda name: found.append(name) if name.endswith(f"vars/{index}") else None)
        (name,) = found
        file[name][0] = value
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"inside 8 x 6. Received: 24 pairs, some of them outside"):
        model.load_weights(tmp_path / "model.weights.h5")
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_file_in_another_order_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((8,)), built("dense", format="compact")])
    model.save_weights(tmp_path / "model.weights.h5")
    with h5py.File(tmp_path / "model.weights.h5", "r+") as file:
        found = []
        file.visit(lambda name: found.append(name) if name.endswith(("vars/0", "inputs", "outputs")) else None)
        for name in found:
            file[name][:] = np.array(file[name])[::-1]
    with pytest.raises(ValueError, match=r"must be sorted by output, then by input. Received: a file with another"):
        model.load_weights(tmp_path / "model.weights.h5")
