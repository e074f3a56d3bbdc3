"""The notebooks of `examples/`, run as they stand: what they show, and what their text says of it."""

import importlib.util
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WALKTHROUGH = ROOT / "examples" / "walkthrough.ipynb"

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")


def printed_by(notebook):
    """All that cells print."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "".join(output.text for output in outputs if output.output_type == "stream")


def check_claims(printed):
    """Asserts what the text of the notebook says."""
    counts = re.findall(r"(\w+) +([\d,]+) parameters +([\d,]+) multiply-adds", printed)
    assert [name for name, *_ in counts] == ["densenet", "sparsenet"]
    dense, sparse = ([int(count.replace(",", "")) for count in row[1:]] for row in counts)
    assert all(few < many for few, many in zip(sparse, dense, strict=True))

    def accuracy(after):
        return float(re.search(rf"{after}: ([\d.]+)%", printed)[1])

    trained = accuracy("\ntrained")
    assert trained > 85
    cut, trained_on = accuracy("half of the connections left out"), accuracy("trained on")
    assert cut < trained - 20
    assert trained_on > trained - 10
    connected, all_ = (
        int(count.replace(",", "")) for count in re.search(r"([\d,]+) of ([\d,]+) param", printed).groups()
    )
    assert 0.45 < connected / all_ < 0.6
    sparsity = float(re.search(r"sparsity ([\d.]+)%: ", printed)[1])
    assert 78 < sparsity <= 80
    assert accuracy(rf"sparsity {sparsity}%") > trained - 5
    rising, falling = (
        [float(value) for value in re.search(rf"^{name} +((?: ?0\.\d+)+)$", printed, re.MULTILINE)[1].split()]
        for name in ("sparsity", "val_accuracy")
    )
    assert rising == sorted(rising)
    assert rising[2] == rising[-1]
    assert 100 * min(falling[:3]) < trained - 20
    assert falling[-1] > falling[1] + 0.2
    degrees = {
        side: numbers.split()
        for side, numbers in re.findall(r"^(\w+) \((?:out|in)-degree\)(.*)$", printed, re.MULTILINE)
    }
    channels, *_, unconnected = degrees["inputs"]
    assert int(unconnected) == 0
    _, smallest, _, largest, _ = degrees["outputs"]
    assert int(smallest) == int(largest) == int(channels) / 2
    files = dict(re.findall(r"^model(\S*) +([\d,]+) .*equal \(", printed, re.MULTILINE))
    sizes = {suffix: int(size.replace(",", "")) for suffix, size in files.items()}
    assert set(sizes) == {".keras", "_zipped.keras", ".tflite"}
    assert sizes["_zipped.keras"] < sizes[".keras"] / 4


def test_what_is_kept_is_a_whole_run():
    assert WALKTHROUGH.stat().st_size < 300_000
    text = WALKTHROUGH.read_text(encoding="utf-8")
    assert not re.search(r"/tmp|/home|/root|[Ww]arning|Traceback", text)
    notebook = nbformat.read(WALKTHROUGH, as_version=4)
    nbformat.validate(notebook)
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in codes] == list(range(1, len(codes) + 1))
    assert all(cell.outputs for cell in codes)
    assert sum("image/png" in output.get("data", {}) for cell in codes for output in cell.outputs) == 2
    check_claims(printed_by(notebook))


def test_run_anew_it_shows_the_same(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    # The kernel is a process of its own.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    spec = importlib.util.spec_from_file_location("execute", ROOT / "examples" / "execute.py")
    execute = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(execute)
    assert execute.NOTEBOOKS == [WALKTHROUGH]
    notebook = execute.executed(WALKTHROUGH)
    kept = nbformat.read(WALKTHROUGH, as_version=4)
    kinds = [[{o.output_type for o in c.get("outputs", [])} for c in one.cells] for one in (notebook, kept)]
    assert kinds[0] == kinds[1]
    check_claims(printed_by(notebook))
