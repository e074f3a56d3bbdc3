import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from keras_sparse.topologies import Expander

ROOT = Path(__file__).resolve().parent.parent.parent


def test_outputs_are_as_regular_as_the_counts_allow():
    rng = np.random.default_rng(1)
    for _ in range(150):
        fan_in, fan_out = (int(n) for n in rng.integers(1, 30, size=2))
        degree = int(rng.integers(1, fan_out + 1))
        mask = Expander(out_degree=degree, seed=int(rng.integers(2**31)))(fan_in, fan_out)
        assert set(mask.sum(axis=1)) == {degree}
        in_degrees = mask.sum(axis=0)
        assert in_degrees.max() - in_degrees.min() <= (fan_in * degree % fan_out != 0), (fan_in, fan_out, degree)


def test_which_outputs_get_one_more_is_chance():
    richer = {tuple(np.flatnonzero(Expander(out_degree=2, seed=s)(4, 7).sum(axis=0) == 2)) for s in range(20)}
    assert len(richer) > 5


@pytest.mark.parametrize(
    ("fan_in", "fan_out", "out_degree"), [(100, 100, 5), (60, 40, 6), (300, 100, 4), (90, 180, 8), (64, 64, 40)]
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_second_singular_value_is_near_the_smallest_possible(fan_in, fan_out, out_degree, seed):
    in_degree = fan_in * out_degree // fan_out
    assert in_degree * fan_out == fan_in * out_degree
    values = np.linalg.svd(Expander(out_degree=out_degree, seed=seed)(fan_in, fan_out).astype(float), compute_uv=False)
    assert values[0] == pytest.approx(np.sqrt(in_degree * out_degree))
    assert values[1] < np.sqrt(in_degree - 1) + np.sqrt(out_degree - 1) + 0.5


@pytest.mark.parametrize("seed", range(5))
def test_is_connected(seed):
    half = Expander(out_degree=3, seed=seed).connections(500, 400).to_scipy()
    whole = sparse.block_array([[None, half], [half.T, None]])
    assert connected_components(whole, directed=False, return_labels=False) == 1


@pytest.mark.parametrize(("name", "degree"), [("RandomFanIn", "in_degree"), ("Expander", "out_degree")])
def test_a_million_by_a_million_without_a_dense_mask(name, degree):
    code = f"""
import resource, sys
import numpy as np
from keras_sparse import topologies
c = topologies.{name}({degree}=32, seed=0).connections(10**6, 10**6)
assert len(c) == 32 * 10**6
assert np.all((c.outputs[1:] > c.outputs[:-1]) | (c.outputs[1:] == c.outputs[:-1]) & (c.inputs[1:] > c.inputs[:-1]))
assert np.all(c.in_degrees() == 32)
assert {name!r} == "RandomFanIn" or np.all(c.out_degrees() == 32)
if sys.platform == "linux":  # where ru_maxrss starts at what the parent had
    lines = dict(line.split(":") for line in open("/proc/self/status"))
    print(int(lines["VmHWM"].split()[0]) * 1024)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""
    environment = {**os.environ, "KERAS_BACKEND": "numpy"}  # the quickest to start
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, text=True, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert int(result.stdout) < 2 * 2**30
