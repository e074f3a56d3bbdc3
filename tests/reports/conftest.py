"""Folders as the commands leave them, and the page about them."""

import pytest

from keras_sparse.cli import main
from keras_sparse.reports import write_report
from keras_sparse.studies import run_study
from keras_sparse.training import Recipe, run
from small_search import small_search

JOB = '<b>job & "1" $x$'  # an HTML page has to escape it, matplotlib takes dollars for formulas
TINY = {"epochs": 2, "examples": 100}


@pytest.fixture(scope="package")
def runs(tmp_path_factory):
    """A job of two runs, a pruned run, a search and a study, below one folder."""
    folder = tmp_path_factory.mktemp("runs")
    train = f"train --model mlp lenet_300_100 --epochs {TINY['epochs']} --examples {TINY['examples']} --quiet --output"
    assert main([*train.split(), str(folder / JOB)]) == 0
    pruned = Recipe("mlp", {"hidden": [16]}, prune={"sparsity": 0.9, "frequency": 1}, **TINY)
    run(pruned, folder / "pruned", verbose="none")
    small_search(folder / "search", {"epochs": 1, "examples": 100}, trials=2, verbose=False)
    run_study("counts", "smoke", folder / "studies" / "counts", verbose=False)
    return folder


@pytest.fixture(scope="package")
def report(runs, tmp_path_factory):
    """The file about all of them."""
    return write_report([runs], tmp_path_factory.mktemp("page") / "report.html").output
