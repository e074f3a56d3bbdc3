"""The rooms that go through `keras.ops`, once more on the JAX backend, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.skipif(os.environ.get("KERAS_BACKEND", "tensorflow") == "jax", reason="is what this test starts")
def test_layers_models_and_training_on_jax():
    pytest.importorskip("jax")
    # Without XLA's optimizations, which take longer than they save on small nets.
    environment = {
        **os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }  # fmt: skip
    tests = [
        "tests/aggregation",
        "tests/kernels",
        "tests/layers",
        "tests/contracts/test_layers.py",
        "tests/contracts/test_patterns_and_operators.py",
        "tests/training/test_optimizer.py",
        "tests/training/test_run.py::test_folder_and_result",
        "tests/training/test_run.py::test_resuming_a_finished_run_only_reports",
        "tests/training/test_run.py::test_a_history_ahead_of_the_checkpoint_is_cut",
        "tests/applications/test_architectures.py",
        "tests/applications/test_transplant.py::test_same_predictions[True-ResNet50]",
        "tests/analysis/test_profile.py",
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    selected = ["-k", "not keras_applications"]
    result = subprocess.run(
        [*command, *selected], cwd=ROOT, env=environment, text=True, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stdout[-6000:]
    assert " passed" in result.stdout
