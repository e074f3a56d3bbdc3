"""JAX only, in processes of their own: runs on four devices, and of two processes, against one device."""

import importlib.util

import pytest

from lost_runs import check_lost_and_resumed
from several_processes import finish, free_ports, start
from shared_runs import SCRIPT, arguments, check_same

pytestmark = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")

NAMES = ["prune", "convolutions", "long"]
SHARDED = """
shardings = {}
from keras_sparse.distribution.jax import WholeBatches
arrays = WholeBatches._arrays
def watched(self, data, whole):
    result = arrays(self, data, whole)
    shardings.setdefault(bool(whole), result[0].sharding.shard_shape(result[0].shape)[0])
    return result
WholeBatches._arrays = watched
"""


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
    script = SHARDED + SCRIPT + "print(shardings)"
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    (output,) = finish(start(script, "jax", *arguments(tmp_path, NAMES[:2], "'data_parallel'"), **flags))
    assert output.count("4 devices, with XLA") == 2
    assert "False: 8" in output  # of 32 images each device has its part
    check_same(tmp_path, alone, NAMES[:2])


def test_two_processes_train_what_one_device_trains(alone, tmp_path):
    first, second = finish(*(start(SCRIPT, "jax", *arguments(tmp_path, NAMES[:1], code)) for code in strategies()))
    assert "2 devices in 2 processes, with XLA" in first
    assert "epoch" not in second  # rank 0 speaks, and writes
    check_same(tmp_path, alone, NAMES[:1])


def test_a_lost_process_ends_the_other_and_the_run_goes_on(alone, tmp_path):
    check_lost_and_resumed("jax", strategies, tmp_path, lost=0, alone=alone)
