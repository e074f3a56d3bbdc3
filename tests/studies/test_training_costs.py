"""What the measures of the two SparseNet papers' studies compute, on numbers that are known."""

from pathlib import Path

import numpy as np
import pytest

from keras_sparse.applications import get_model
from keras_sparse.studies.depth import loss
from keras_sparse.studies.peak_memory import peak_memory
from keras_sparse.studies.training_costs import clocked, exponent, prepare


def test_an_exponent_is_that_of_the_law():
    depths = [10, 40, 100, 1001]
    assert exponent(depths, [3 * depth**1.5 for depth in depths]) == pytest.approx(1.5)
    assert exponent(depths, [7] * 4) == pytest.approx(0)
    assert exponent([10, 100], [0, 0]) == 0  # too little to be measured


def test_a_rate_of_zero_leaves_the_weights_as_they_are():
    model = get_model("mlp", hidden=(4,), input_shape=(3,), classes=2)
    before = [np.copy(weight) for weight in model.get_weights()]
    prepare(model, learning_rate=0.0)
    x, y = np.ones((2, 3), "float32"), np.array([0, 1])
    seconds, _ = clocked(model.train_on_batch, x, y)
    assert seconds > 0
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
    model.optimizer.learning_rate = 0.1
    model.train_on_batch(x, y)
    assert not np.array_equal(before[0], model.get_weights()[0])


STATUS = Path("/proc/self/status")


@pytest.mark.skipif(not STATUS.exists(), reason="what Linux says about a process")
def test_peak_memory_is_what_the_system_says():
    (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:")]
    assert peak_memory() == pytest.approx(int(line.split()[1]) / 2**20, rel=0.01)


def test_seeds_that_diverge_are_counted():
    assert loss([{"loss": 1.0}, {"loss": 3.0}]) == "2 ± 1"
    assert loss([{"loss": 1.0}, {"loss": None}]) == "diverged (1 of 2 seeds)"
