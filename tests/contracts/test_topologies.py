"""Every registered topology, and whatever is registered later."""

import hashlib
import json
import math
import os
import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_sparse import topologies
from keras_sparse.topologies import NAMED, TOPOLOGIES, FromMask, RadixNet, Topology

ROOT = Path(__file__).resolve().parent.parent.parent
SHAPE = (24, 16)
DRAWN = {"expander", "random_edge", "random_fan_in", "random_rotating"}
REGULAR = sorted(set(NAMED) - {"radix_net", "random_edge"})


def degree_name(name):
    return "in_degree" if name == "random_fan_in" else "out_degree"


def example(name, block_size=1, seed=5):
    """One member of each, for layers of SHAPE."""
    if name != "from_mask":
        return topologies.get(name, sparsity=0.7, block_size=block_size, seed=seed)
    cells = np.arange(SHAPE[0] * SHAPE[1] // block_size**2).reshape(SHAPE[0] // block_size, -1)
    return FromMask(np.kron(cells % 3 == 1, np.ones((block_size, block_size))), block_size=block_size, seed=seed)


def variants(name):
    """Members that differ in how they were made."""
    made = [example(name), example(name, block_size=4)]
    if name in REGULAR:
        made.append(TOPOLOGIES.lookup(name, "test")(**{degree_name(name): 3}, seed=2))
    if name == "random_edge":
        made.append(TOPOLOGIES.lookup(name, "test")(out_degree=2.5, seed=2))
    if name == "radix_net":
        made.append(RadixNet(radices=(2, 4), widths=(3, 2, 1), layer=0, seed=2))
    return made


EVERY = [topology for name in TOPOLOGIES for topology in variants(name)]


def digests():
    """What two processes must agree on."""
    return [hashlib.sha256(np.packbits(topology(*SHAPE)).tobytes()).hexdigest()[:16] for topology in EVERY]


@pytest.mark.parametrize("topology", EVERY, ids=repr)
def test_config_round_trip(topology):
    again = type(topology).from_config(json.loads(json.dumps(topology.get_config())))
    assert again == topology
    assert repr(again) == repr(topology)
    np.testing.assert_array_equal(again(*SHAPE), topology(*SHAPE))


@pytest.mark.parametrize("topology", EVERY, ids=repr)
def test_keras_serialization_round_trip(topology):
    saved = json.loads(json.dumps(keras.saving.serialize_keras_object(topology)))
    again = keras.saving.deserialize_keras_object(saved)
    assert again == topology
    assert again is not topology
    assert hash(again) == hash(topology)
    np.testing.assert_array_equal(again(*SHAPE), topology(*SHAPE))
    assert topologies.get(saved) == topology


@pytest.mark.parametrize("topology", EVERY, ids=repr)
def test_the_mask_and_the_index_form_agree(topology):
    mask, connections = topology(*SHAPE), topology.connections(*SHAPE)
    assert mask.shape == SHAPE
    assert mask.dtype == bool
    np.testing.assert_array_equal(connections.mask(), mask)
    assert connections.count == mask.sum() == len(connections) * topology.block_size**2
    assert connections.inputs.dtype == connections.outputs.dtype == np.int32
    # Sorted by output, then by input, each pair once.
    pairs = list(zip(connections.outputs.tolist(), connections.inputs.tolist(), strict=True))
    assert pairs == sorted(set(pairs))


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_same_seed_same_mask_in_another_process(backend):
    if backend == "jax":
        pytest.importorskip("jax")
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "PYTHONHASHSEED": "77"}
    code = f"import runpy; print(*runpy.run_path({__file__!r})['digests']())"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, text=True, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.split() == digests()


@pytest.mark.parametrize("name", NAMED)
def test_the_seed_decides_where_something_is_drawn_and_nowhere_else(name):
    masks = [example(name, seed=seed)(*SHAPE) for seed in (5, 5, 6)]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert np.array_equal(masks[0], masks[2]) == (name not in DRAWN)


@pytest.mark.parametrize("name", NAMED)
def test_a_seed_that_is_not_given_is_drawn_by_pythons_generator_and_kept(name):
    seeds = []
    for _ in range(2):
        random.seed(3)
        seeds.append([example(name, seed=None).seed for _ in range(2)])
    assert seeds[0] == seeds[1]
    assert seeds[0][0] != seeds[0][1]
    topology = example(name, seed=None)
    np.testing.assert_array_equal(topology(*SHAPE), example(name, seed=topology.seed)(*SHAPE))


@pytest.mark.parametrize("name", TOPOLOGIES)
@pytest.mark.parametrize("block_size", [2, 4, 8])
def test_blocks_are_dense_and_are_the_topology_of_a_smaller_layer(name, block_size):
    topology = example(name, block_size)
    mask = topology(*SHAPE)
    tiles = mask.reshape(SHAPE[0] // block_size, block_size, SHAPE[1] // block_size, block_size)
    np.testing.assert_array_equal(tiles.any(axis=(1, 3)), tiles.all(axis=(1, 3)))
    if name != "from_mask":
        small = example(name)(SHAPE[0] // block_size, SHAPE[1] // block_size)
        np.testing.assert_array_equal(tiles.any(axis=(1, 3)), small)
    assert topology.connections(*SHAPE).block_size == block_size
    np.testing.assert_array_equal(topology.connections(*SHAPE).in_degrees(), mask.sum(axis=0))
    np.testing.assert_array_equal(topology.connections(*SHAPE).out_degrees(), mask.sum(axis=1))


@pytest.mark.parametrize("name", REGULAR)
def test_degrees_are_exact_over_random_shapes_degrees_and_seeds(name):
    rng = np.random.default_rng(0)
    for _ in range(60):
        block_size = int(rng.choice([1, 1, 2, 3]))
        fan_in, fan_out = (int(n) for n in rng.integers(1, 40, size=2))
        degree = int(rng.integers(1, (fan_in if degree_name(name) == "in_degree" else fan_out) + 1))
        arguments = {degree_name(name): degree, "block_size": block_size, "seed": int(rng.integers(2**31))}
        mask = TOPOLOGIES.lookup(name, "test")(**arguments)(fan_in * block_size, fan_out * block_size)
        degrees = mask.sum(axis=0 if degree_name(name) == "in_degree" else 1)
        assert set(degrees) == {degree * block_size}, (fan_in, fan_out, arguments)


@pytest.mark.parametrize("name", REGULAR)
@pytest.mark.parametrize("sparsity", ["0", "0.1", "0.25", "0.3", "0.7", "0.9", "0.97", "0.999"])
def test_the_degree_of_a_sparsity_is_rounded_up(name, sparsity):
    for units in (1, 3, 7, 10, 30, 64, 100):
        expected = math.ceil((1 - Fraction(sparsity)) * units)
        shape = (units, 5) if degree_name(name) == "in_degree" else (5, units)
        mask = topologies.get(name, sparsity=float(sparsity), seed=1)(*shape)
        assert set(mask.sum(axis=0 if degree_name(name) == "in_degree" else 1)) == {expected}


@pytest.mark.parametrize("name", NAMED)
def test_no_sparsity_connects_everything(name):
    assert topologies.get(name, sparsity=0, seed=1)(7, 5).all()


@pytest.mark.parametrize("name", REGULAR)
def test_a_degree_that_is_too_large(name):
    degree, side = degree_name(name), "fan_in" if degree_name(name) == "in_degree" else "fan_out"
    topology = TOPOLOGIES.lookup(name, "test")(**{degree: 9})
    with pytest.raises(ValueError) as caught:
        topology(8, 8)
    expected = f"`{degree}` of {type(topology).__name__} must be an integer in [1, {side}]. "
    assert str(caught.value) == f"{expected}Received: {degree}=9, {side}=8. Lower `{degree}` or widen the layer."
    blocked = TOPOLOGIES.lookup(name, "test")(**{degree: 5}, block_size=2)
    with pytest.raises(ValueError) as caught:
        blocked(8, 8)
    assert f"Received: {degree}=5, {side}=4 (blocks of 2)" in str(caught.value)


@pytest.mark.parametrize("name", [*REGULAR, "random_edge"])
@pytest.mark.parametrize("both", [True, False])
def test_sparsity_and_degree_exclude_each_other(name, both):
    degree, given = degree_name(name), 2 if both else None
    with pytest.raises(ValueError) as caught:
        TOPOLOGIES.lookup(name, "test")(**{"sparsity": 0.5 if both else None, degree: given})
    assert f"`sparsity` and `{degree}` of" in str(caught.value)
    assert f"exactly one of the two must be given. Received: sparsity={0.5 if both else None}" in str(caught.value)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparsity": 1.0}, "must be a number in [0, 1). Received: sparsity=1.0. It is the fraction of zeros"),
        ({"sparsity": 90}, "Received: sparsity=90."),
        ({"sparsity": -0.1}, "Received: sparsity=-0.1."),
        ({"sparsity": "0.9"}, "Received: sparsity='0.9'."),
        ({"block_size": 0}, "must be an integer >= 1. Received: block_size=0"),
        ({"block_size": 2.0}, "Received: block_size=2.0"),
        ({"seed": -1}, "must be an integer >= 0. Received: seed=-1"),
        ({"seed": True}, "Received: seed=True"),
    ],
    ids=str,
)
def test_arguments_out_of_range(name, arguments, message):
    with pytest.raises(ValueError) as caught:
        topologies.get(name, **{"sparsity": 0.5, "seed": 1, **arguments})
    (argument,) = arguments
    assert f"`{argument}` of {TOPOLOGIES.lookup(name, 'test').__name__} must be" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", NAMED)
def test_blocks_that_do_not_fit_list_those_that_do(name):
    with pytest.raises(ValueError, match=r"a divisor of both fan_in=24 and fan_out=16.*Pass one of \[1, 2, 4, 8\]"):
        topologies.get(name, sparsity=0.5, block_size=3)(24, 16)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize(("shape", "message"), [((0, 4), "`fan_in` of"), ((4, None), "`fan_out` of")])
def test_a_layer_without_units(name, shape, message):
    with pytest.raises(ValueError, match=message):
        example(name)(*shape)


def test_get():
    assert topologies.get("expander", sparsity=0.8, block_size=2, seed=3) == topologies.Expander(0.8, None, 2, 3)
    mask = np.eye(4, dtype=bool)
    assert topologies.get(mask, seed=3) == FromMask(mask, seed=3)
    assert topologies.get(mask.tolist(), seed=3) == FromMask(mask, seed=3)
    topology = example("rotating")
    assert topologies.get(topology) is topology
    with pytest.raises(ValueError, match=r"must come with its connections. Received: topology='from_mask'"):
        topologies.get("from_mask", owner="somebody")
    with pytest.raises(ValueError, match="Did you mean 'random_fan_in'"):
        topologies.get("random_fanin")
    with pytest.raises(ValueError, match="Pass a name or an instance"):
        topologies.get(3)


def test_from_mask_is_the_only_one_that_a_name_does_not_make():
    assert set(NAMED) == set(TOPOLOGIES.names()) - {"from_mask"}


def test_one_method_makes_a_topology():
    class Banded(Topology):
        def connect(self, fan_in, fan_out, rng):
            return np.abs(np.arange(fan_in)[:, None] - np.arange(fan_out)) <= 1

    topology = Banded(block_size=2)
    assert topology(10, 10).sum() == 13 * 4
    assert topology.connections(10, 10).block_size == 2
    assert len(topology.connections(10, 10)) == 13
