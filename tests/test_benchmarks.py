"""Each benchmark at its smallest: it runs to the end, and prints a table of numbers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).resolve().parent.parent
SMALLEST = {
    "depth": ["--depth", "22", "--form", "loop", "--steps", "2"],
    "graphs": ["--quick"],
    "first_gradient": ["--quick"],
    "incremental": ["--quick"],
    "kernels": ["--quick", "--case", "conv1x1"],
    "masked_training": ["--quick", "--case", "dense-512", "--optimizer", "adam"],
    "models": ["--quick", "--steps", "3"],
    "pipeline": ["--quick"],
    "stack": ["--quick"],
    "steady": ["--quick"],
}

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="once is enough: they are commands")


def test_none_is_left_out():
    programs = {file.stem for file in (ROOT / "benchmarks").glob("*.py") if "__main__" in file.read_text()}
    assert programs == set(SMALLEST)


@pytest.mark.parametrize("name", SMALLEST)
def test_it_prints_a_table(name, tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / f"{name}.py", *SMALLEST[name]],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(r"Keras 3\.\d+.*tensorflow 2\.\d+.*Python 3", done.stdout)
    head, rule, *rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert set(rule) == {"|", "-"}
    assert rows
    for row in rows:
        assert row.count("|") == head.count("|")
        assert any(float(number) > 0 for number in re.findall(r"\d+\.\d+", row))
    assert "nan" not in done.stdout
