"""Which implementation a compact layer takes."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import pytest

from keras_sparse.kernels import choice, native
from keras_sparse.kernels.choice import Workload, choose, fastest
from keras_sparse.kernels.compact import IMPLEMENTATIONS
from keras_sparse.layers import MaskedConv2D, MaskedDense, SparseConv2D

ROOT = Path(__file__).resolve().parent.parent.parent
FEW, MANY = Workload(40_000, None, 2048, 2048), Workload(4_000_000, None, 2048, 2048)


@pytest.fixture
def without_native(monkeypatch):
    """As where it cannot be had."""
    monkeypatch.setattr(native, "refusal", lambda dtype, build=True: "It is out today.")
    choice._warn.cache_clear()
    yield
    choice._warn.cache_clear()


@pytest.mark.parametrize(
    ("workload", "with_native", "without"),
    [
        (FEW, "native", "gather"),
        (MANY, "scattered", "scattered"),
        (Workload(400, None, 2048, 2048, block_size=32), "blocked", "blocked"),
        (Workload(26_000, None, 2048, 2048, block_size=4), "native", "scattered"),
        (Workload(650, 9, 256, 256), "native", "gather"),
        (Workload(6_500, 9, 256, 256), "native", "scattered"),
        (Workload(65_536, 9, 256, 256), "scattered", "scattered"),
    ],
)
def test_the_fastest_by_estimate(workload, with_native, without, monkeypatch):
    monkeypatch.setattr(choice, "has_accelerator", lambda: False)
    assert fastest(workload, True) == with_native
    assert fastest(workload, False) == without


def test_more_connections_never_bring_an_implementation_for_fewer():
    order = ["native", "scattered"]
    chosen = [fastest(Workload(n, 9, 256, 256), True) for n in range(100, 65_536, 1000)]
    assert chosen == sorted(chosen, key=order.index)


def test_what_is_asked_for_by_name_is_taken(without_native):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose("scattered", FEW, "float32") == "scattered"
        assert choose("gather", MANY, "float32") == "gather"
        assert choose("auto", FEW, "float32") == fastest(FEW, False)  # nobody asked for what is missing


def test_what_cannot_be_had_is_replaced_with_one_warning(without_native):
    with pytest.warns(UserWarning, match="'native', which cannot be had.*It is out today"):
        assert choose("native", FEW, "float32") == fastest(FEW, False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose("native", FEW, "float32") == fastest(FEW, False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"implementation": "fast", "format": "compact"}, "'native', 'blocked', 'gather', 'scattered'.*'fast'"),
        ({"implementation": "native"}, "'auto' with format='masked'.*Received: implementation='native'"),
        ({"implementation": "blocked", "format": "compact"}, "auto, native, gather, scattered with block_size=1"),
        ({"implementation": "gather", "format": "compact", "block_size": 2}, "block_size=2.*gather single ones"),
    ],
)
def test_errors(arguments, words):
    with pytest.raises(ValueError, match=words):
        MaskedDense(4, **arguments)


@pytest.mark.parametrize("implementation", ["gather", "scattered"])
def test_layers_compute_with_what_they_are_told_and_keep_it(implementation, monkeypatch):
    module, called = IMPLEMENTATIONS[implementation], []
    for name in ("dense", "convolution"):
        plain = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, plain=plain, name=name: (called.append(name), plain(*a))[1])
    arguments = {"format": "compact", "implementation": implementation, "sparsity": 0.5, "seed": 0}
    for layer, shape in (
        (MaskedDense(4, **arguments), (2, 6)),
        (SparseConv2D(4, 3, **arguments), (2, 5, 5, 4)),
        (MaskedConv2D(4, 3, **arguments), (2, 5, 5, 4)),
    ):
        layer = type(layer).from_config(layer.get_config())
        layer(keras.ops.ones(shape))
        assert layer.implementation == layer.implementation_in_use == implementation
    own = [] if implementation == "scattered" else ["dense"]  # MaskedConv2D: a stock convolution
    assert called == ["dense", "convolution", *own]


SCRIPT = """
import warnings
import keras
from keras_sparse.layers import MaskedDense
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(2):
        layer = MaskedDense(512, sparsity=0.99, format="compact", seed=0)
        layer(keras.ops.ones((2, 512)))
print(layer.implementation_in_use, *[str(w.message) for w in caught if "native" in str(w.message)], sep="|")
"""


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the native product is TensorFlow's")
@pytest.mark.parametrize("environment", [{"PATH": "/nowhere", "CXX": ""}, {"KERAS_SPARSE_NATIVE": "0"}])
def test_without_a_compiler_one_warning_switched_off_none(environment, tmp_path):
    own = {"KERAS_SPARSE_CACHE": str(tmp_path / "cache"), "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environment = {**os.environ, **own, **environment}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    used, *told = done.stdout.strip().splitlines()[-1].split("|")
    assert used == "gather"
    if "PATH" in environment and environment["PATH"] == "/nowhere":
        assert len(told) == 1
        assert "no C++ compiler on the path" in told[0]
        assert "stock operations" in told[0]
    else:
        assert not told
