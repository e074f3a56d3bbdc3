"""The Python of the README and of the pages under `docs/`, run as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language, text=README):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def printed_by(code, folder):
    result = subprocess.run(
        [sys.executable, "-c", code.replace("/tmp/", f"{folder}/")],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_migration_page_runs(tmp_path):
    codes = blocks("python", (ROOT / "docs" / "from_tfmot.md").read_text(encoding="utf-8"))
    assert [printed_by(code, tmp_path).strip() for code in codes] == [
        "{'dense': 0.8, 'dense_1': 0.797}",
        "[0.8, 0.797]",
        "{'MaskedConv2D': 0.5, 'MaskedDense': 0.899}",
    ]


def test_python_runs_and_prints_accuracy_beside_parameters(tmp_path):
    # Each as a reader would paste it, alone; the last loads what another saved.
    printed = "".join(printed_by(code, tmp_path) for code in blocks("python"))
    lines = re.findall(r"(\w+) +accuracy (0\.\d+)  parameters ([\d,]+)", printed)
    assert [name for name, *_ in lines] == ["sparsenet", "densenet"]
    assert all(float(accuracy) > 0.7 for _, accuracy, _ in lines)
    sparse, dense = (int(count.replace(",", "")) for *_, count in lines)
    assert sparse < dense


def test_first_example_has_fifteen_lines():
    assert len(blocks("python")[0].strip().splitlines()) == 15


def test_commands_are_ones_that_parse():
    from keras_sparse.cli import build_parser

    commands = re.findall(r"^\$ keras-sparse ([^#\n]*)", "\n".join(blocks("console")), re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        build_parser().parse_args(command.split())


@pytest.mark.usefixtures("shapes_only")
def test_table_of_counts():
    from keras_sparse.analysis import profile
    from keras_sparse.analysis.text_table import short
    from keras_sparse.applications import DenseNet, DenseNet201, SparseNet, SparseNet201

    for name, decimals, model in (
        ("SparseNet-BC, depth 40, k=12", 3, SparseNet(40, 12, bottleneck=True)),
        ("DenseNet-BC, depth 40, k=12", 3, DenseNet(40, 12, bottleneck=True)),
        ("SparseNet-BC, depth 1001, k=12", 2, SparseNet(1001, 12, bottleneck=True)),
        ("SparseNet-201, ImageNet", 2, SparseNet201()),
        ("DenseNet-201, ImageNet", 2, DenseNet201()),
    ):
        counted = profile(model)
        row = f"| {name} | {counted.stored_parameters / 1e6:.{decimals}f}M | {short(counted.macs)} |"
        assert row in README
