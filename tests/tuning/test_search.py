import csv
import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from keras_sparse.cli import main
from keras_sparse.datasets import load
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.training import Recipe
from keras_sparse.tuning import HyperSparsity, search
from keras_sparse.tuning.hopeless import is_hopeless
from keras_sparse.tuning.tuner import Job
from small_search import FIELDS, small_search, space_of

WORKER = """
import json, sys
from small_search import small_search
small_search(sys.argv[1], **json.loads(sys.argv[2]))
"""


def start(output, **arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(output), json.dumps(arguments)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def found(result):
    """What must not depend on how often a search was killed."""
    return [(t.name, t.status, t.values, t.scores, t.test_accuracy, t.parameters, t.macs) for t in result.trials]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    output = tmp_path_factory.mktemp("finished") / "search"
    return small_search(output, trials=4, early_stopping=False, verbose=False)


def test_result_and_folder(finished):
    assert {path.name for path in finished.output.iterdir()} == {
        "search.json", "trials", "trials.csv", "table.txt", "pareto.png", "best_recipe.json",
    }  # fmt: skip
    assert len({json.dumps(trial.values) for trial in finished.trials}) == 4
    assert {trial.status for trial in finished.trials} == {"completed"}
    assert finished.best.score == max(trial.val_accuracy for trial in finished.trials) == finished.front()[-1].score
    rows = list(csv.DictReader((finished.output / "trials.csv").open(newline="")))
    assert [row["trial"] for row in rows] == ["0", "1", "2", "3"]
    assert [int(row["parameters"]) for row in rows] == [trial.parameters for trial in finished.trials]
    hidden = [json.loads(row["hidden"])[0] for row in rows]
    assert [int(row["parameters"]) for row in rows] == [256 * n + n + 10 * n + 10 for n in hidden]
    assert [row["trial"] for row in rows if row["on_front_macs"] == "1"] == sorted(
        trial.name for trial in finished.front("macs")
    )
    assert (finished.output / "pareto.png").read_bytes().startswith(b"\x89PNG")
    table = (finished.output / "table.txt").read_text()
    assert f"{finished.best.parameters:,}" in table
    assert table == f"{finished}\n"


def test_each_trial_is_a_run_that_can_be_reloaded_and_repeated(finished, tmp_path, capsys):
    model = finished.best.load_model()
    validation = load("digits", examples=FIELDS["examples"]).validation
    assert model.evaluate(validation.batches(256), verbose=0)[1] == pytest.approx(finished.best.val_accuracy, abs=1e-6)
    recipe = str(finished.output / "best_recipe.json")
    assert main(["train", "--recipe", recipe, "--output", str(tmp_path / "again"), "--quiet"]) == 0
    assert f"{finished.best.test_accuracy:.2%}" in capsys.readouterr().out
    assert Recipe.load(recipe) == Recipe.load(finished.best.folder)


def test_killed_and_resumed_it_finds_the_same(finished, tmp_path):
    arguments = {"trials": 4, "early_stopping": False, "resume": True}
    for lines in (0, 2):
        process = start(tmp_path, **arguments)
        for _ in range(lines):
            while "trial" not in process.stdout.readline():
                assert process.poll() is None
        while not list(tmp_path.glob("trials/trial_*/history.csv")):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert found(small_search(tmp_path, **arguments, verbose=False)) == found(finished)


def test_refused_and_more_trials(tmp_path, capsys):
    limits = {"max_connected_parameters": 3000}  # 8 units have 2146
    result = small_search(tmp_path, limits=limits, trials=1)
    assert "trial 0: hidden=" in capsys.readouterr().out
    with pytest.raises(ValueError, match="`output` of search must be a folder without a search"):
        small_search(tmp_path, limits=limits, trials=1)
    with pytest.raises(ValueError, match="They differ in: space"):
        small_search(tmp_path, trials=1, resume=True)
    more = small_search(tmp_path, limits=limits, trials=20, resume=True)
    assert found(more)[:1] == found(result)
    assert len(more.trials) == 4
    assert more.refused == 4
    assert max(trial.parameters for trial in more.trials) <= 3000
    assert "4 proposals were over the budget" in str(more)


def test_a_trial_that_fails_shows_its_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FAILS_AT", "8")
    limits = {"hidden": [[2], [8], [32]], "activation": "relu"}
    result = small_search(tmp_path, {"epochs": 1}, limits, oracle="grid", trials=3)
    assert [trial.status for trial in result.trials] == ["completed", "failed", "completed"]
    failed = result.trials[1]
    assert failed.error == "RuntimeError: no such width"
    assert "Traceback" in (failed.folder / "error.txt").read_text()
    assert "trial 1 failed: hidden=[8]: RuntimeError: no such width" in str(result)
    assert "trial 1: hidden=[8]: RuntimeError: no such width" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "trials.csv").open(newline="")))
    assert [row["error"] for row in rows] == ["", "RuntimeError: no such width", ""]


def test_a_penalty_for_connections_prefers_the_small(finished, tmp_path):
    job = Job(tmp_path, {}, connection_penalty=2.0)
    assert job.scores([{"val_accuracy": "0.5"}, {"val_accuracy": 0.75}], 100_000) == pytest.approx([0.3, 0.55])
    # The same training, with another winner.
    arguments = {"fields": {"epochs": 1}, "limits": {"hidden": [[2], [64]], "activation": "relu"}, "oracle": "grid"}
    result = small_search(tmp_path, **arguments, trials=2, connection_penalty=1e4, verbose=False)
    small, large = result.trials
    assert small.val_accuracy < large.val_accuracy
    assert result.best == small
    assert small.score == pytest.approx(small.val_accuracy - small.parameters * 1e-2)


def test_hyperband_goes_on_with_what_it_keeps(tmp_path):
    result = small_search(tmp_path, oracle="hyperband", trials=5, verbose=False)
    epochs = [trial.epochs for trial in result.trials]
    assert sorted(epochs) == [1, 1, 1, 3, 3]
    for longer in (trial for trial in result.trials if trial.epochs == 3):
        (before,) = [t for t in result.trials if t.epochs == 1 and t.values == longer.values] or [None]
        if before is not None:
            assert longer.scores[:1] == before.scores
            assert len(longer.scores) == 3
    assert {trial.status for trial in result.trials} == {"completed"}


def test_what_is_hopeless():
    others = [[0.3, 0.6, 0.9], [0.2, 0.5, 0.8], [0.1, 0.4, 0.7]]  # on average after two: 0.45, 0.35, 0.25
    assert is_hopeless([0.3, 0.34], others)
    assert is_hopeless([0.34, 0.3], others)
    assert not is_hopeless([0.35, 0.1], others)
    assert not is_hopeless([0.0], others)  # the first epoch is everyone's
    assert not is_hopeless([0.0, 0.0], others[:2])
    assert not is_hopeless([0.0, 0.0], [other[:1] for other in others])


def test_hopeless_trials_end_early(tmp_path):
    limits = {"hidden": [[64], [32], [16], [1]], "activation": "relu"}
    result = small_search(tmp_path, limits=limits, oracle="grid", trials=None, verbose=False)
    assert [(trial.status, trial.epochs) for trial in result.trials] == [("completed", 3)] * 3 + [("stopped", 2)]
    assert "2*" in str(result)


def test_a_searched_sparsity_comes_back_with_its_masks(tmp_path):
    space = HyperSparsity(
        lambda hp: keras.Sequential(
            [keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(16, "relu"), keras.layers.Dense(10)]
        ),
        sparsity=[0.75, 0.5],
        topology="random_fan_in",
        allocation="uniform",
        learning_rate=0.05,
    )
    result = search(space, tmp_path, {**FIELDS, "epochs": 1}, oracle="grid", trials=None, verbose=False)
    assert [trial.values["sparsity"] for trial in result.trials] == [0.75, 0.5]
    for trial in result.trials:
        model = trial.load_model()
        masks = [layer.mask for layer in model.layers if isinstance(layer, SparseKernel)]
        assert [mask.mean() for mask in masks] == [1 - trial.values["sparsity"]] * 2
        kernels = [layer.kernel for layer in model.layers if isinstance(layer, SparseKernel)]
        for kernel, mask in zip(kernels, masks, strict=True):
            assert not np.asarray(keras.ops.convert_to_numpy(kernel))[~mask].any()
        assert trial.parameters == sum(mask.sum() for mask in masks) + 26


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"oracle": "best"}, "`oracle` of search must be one of 'bayesian', 'grid', 'hyperband', 'random'"),
        ({"trials": 0}, "`trials` of search must be an integer >= 1"),
        ({"connection_penalty": -1}, "`connection_penalty` of search must be a number"),
        ({"fields": {"learning_rate": 1}}, "The space fills them in"),
        ({"fields": {"prune": {"sparsity": 0.5}}}, "They change what the budget is about"),
        ({"fields": {"epochs": 0}}, "`epochs` of Recipe must be an integer >= 1"),
        ({"fields": {"dataset": "mnist"}}, r"must be one for images \(28, 28, 1\) in 10 classes"),
        ({"chief": "here"}, "`chief` of search must be HOST:PORT"),
        ({"chief": "a:1", "worker": "a:1"}, "`worker` of search must be None in the process that is the chief"),
    ],
)
def test_errors_come_before_anything_is_written(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        small_search(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_space_of_the_helper_is_described():
    assert space_of(max_macs=5).describe() == {
        "kind": "HyperMLP",
        "model": "mlp",
        "images": [16, 16, 1, 10],
        "arguments": {
            "hidden": {"choices": [[2], [8], [32], [64]]},
            "activation": {"choices": ["relu", "sigmoid"]},
            "learning_rate": 0.05,
        },
        "budget": {"max_connected_parameters": None, "max_macs": 5},
    }
