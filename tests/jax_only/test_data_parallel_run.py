"""JAX only, in processes of their own: runs on four devices, and of two processes, against one device."""

import importlib.util

import pytest

from lost_runs import check_lost_and_resumed
from several_processes import finish, free_ports, start
from shared_runs import SCRIPT, arguments, check_same

pytestmark = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")

NAMES = ["prune", "convolutions", "long"]
WATCHED = """
from keras_sparse.distribution.jax import AnyBatches
seen, arrays = {}, AnyBatches._arrays
def watched(self, data, whole):
    result = arrays(self, data, whole)
    seen.setdefault("of 32", result[0].sharding.shard_shape(result[0].shape)[0])
    return result
AnyBatches._arrays = watched
"""
FOUR = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}


def strategies():
    (port,) = free_ports(1)
    code = f"distribution.DataParallel(coordinator='127.0.0.1:{port}', processes=2, rank={{}})"
    return [code.format(rank) for rank in range(2)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    finish(start(SCRIPT, "jax", *arguments(folder, NAMES, "None")))
    return folder


def test_four_devices_train_what_one_trains(alone, tmp_path):
    script = WATCHED + SCRIPT + "print(seen)"
    (output,) = finish(start(script, "jax", *arguments(tmp_path, NAMES[:2], "'data_parallel'"), **FOUR))
    assert output.count("4 devices, with XLA") == 2
    assert "'of 32': 8" in output
    check_same(tmp_path, alone, NAMES[:2])


def test_divided_layers_train_what_whole_ones_train(alone, tmp_path):
    code = "distribution.ModelParallel(model_devices=2, minimum=16)"
    script = (
        WATCHED
        + SCRIPT
        + """
import keras, numpy as np
with strategy.scope():
    layer = ks.layers.MaskedDense(16, sparsity=0.5)
    layer.build((None, 8))
print(seen, [v.value.sharding.shard_shape(v.value.shape) for v in (layer.kernel, layer.bias)])
"""
    )
    (output,) = finish(start(script, "jax", *arguments(tmp_path, NAMES[:1], code), **FOUR))
    assert "2 x 2 devices, with XLA" in output
    assert "'of 32': 16" in output
    assert "[(8, 8), (8,)]" in output
    check_same(tmp_path, alone, NAMES[:1])


def test_two_processes_train_what_one_device_trains(alone, tmp_path):
    first, second = finish(*(start(SCRIPT, "jax", *arguments(tmp_path, NAMES[:1], code)) for code in strategies()))
    assert "2 devices in 2 processes, with XLA" in first
    assert "epoch" not in second  # rank 0 speaks, and writes
    check_same(tmp_path, alone, NAMES[:1])


def test_a_lost_process_ends_the_other_and_the_run_goes_on(alone, tmp_path):
    check_lost_and_resumed("jax", strategies, tmp_path, lost=0, alone=alone)
