import csv
import dataclasses
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from keras_sparse.callbacks.moves_connections import MovesConnections
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.training import Recipe, comparison_table, preset, run
from keras_sparse.training.callbacks import KeepRun
from keras_sparse.training.run_folder import RunFolder

# Dropout, drop-path, augmentation and a drop of the learning rate: all that has a state to lose.
FRACTAL = preset(
    "quick", "fractalnet", {"columns": 2, "filters": [4, 8], "drop_path": 0.3}, epochs=5, examples=160, seed=11
)
SPARSE = preset("quick", "sparsenet", {"depth": 10, "growth_rate": 4, "bottleneck": True}, epochs=2, examples=100)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of SPARSE, its result and its folder; for tests that change the folder, `copied`."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return run(SPARSE, folder, verbose="none"), folder


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished[1], tmp_path / "run")


WORKER = """
import json, sys
from keras_sparse.training import Recipe, run
recipe = Recipe.from_dict(json.loads(sys.argv[1]))
run(recipe, sys.argv[2], resume=True, verbose="lines")
"""


def start(recipe, output):
    arguments = [sys.executable, "-c", WORKER, json.dumps(recipe.to_dict()), str(output)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def state(output):
    model = keras.saving.load_model(output / "last.keras")
    optimizer = [np.asarray(keras.ops.convert_to_numpy(v)) for v in model.optimizer.variables]
    return model.get_weights() + optimizer


def history(output):
    with open(output / "history.csv", newline="") as file:
        return [{k: float(v) for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_folder_and_result(tmp_path, capsys):
    result = run(SPARSE, tmp_path / "run")
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert files == {
        "recipe.json", "history.csv", "best.keras", "last.keras", "profile.txt", "curves.png", "result.json",
        "tensorboard",
    }  # fmt: skip
    rows = history(tmp_path / "run")
    assert [row["epoch"] for row in rows] == [1, 2]
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.1, 0.01])
    assert result.parameters == keras.saving.load_model(tmp_path / "run" / "last.keras").count_params() - _moving(
        tmp_path
    )
    assert RunFolder(tmp_path / "run").read_recipe() == SPARSE
    saved = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert saved["environment"]["keras"] == keras.__version__
    assert f"{result.parameters:,}" in (tmp_path / "run" / "profile.txt").read_text()
    assert (tmp_path / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "sparsenet epoch 2/2: loss" in printed
    assert "\b" not in printed
    assert 0 <= result.test_accuracy <= 1
    figures = RunFolder(tmp_path / "run").read_result()
    assert figures == result.figures()
    assert figures["val_accuracy"] == max(row["val_accuracy"] for row in rows)
    assert (figures["epochs"], figures["test_accuracy"]) == (2, result.test_accuracy)
    table = comparison_table([result, result])
    assert "sparsenet depth=10 growth_rate=4 bottleneck" in table
    assert f"{result.test_accuracy:.2%}" in table


def _moving(tmp_path):
    model = keras.saving.load_model(tmp_path / "run" / "last.keras")
    return sum(int(np.prod(v.shape)) for v in model.non_trainable_variables)


def test_best_is_the_epoch_with_the_highest_validation_accuracy(tmp_path):
    from keras_sparse.datasets import load

    run(dataclasses.replace(SPARSE, epochs=3, learning_rate_drops=()), tmp_path, verbose="none")
    best = keras.saving.load_model(tmp_path / "best.keras")
    validation = load("digits", examples=100).validation
    _, accuracy = best.evaluate(validation.batches(100), verbose=0)
    assert accuracy == pytest.approx(max(row["val_accuracy"] for row in history(tmp_path)), abs=1e-6)


def test_paused_and_gone_on_with_is_the_whole(finished, tmp_path):
    class Ends(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert len(history(tmp_path)) == epoch + 1  # the run has kept it
            self.model.stop_training = True

    for arguments in ({"until": 1}, {"until": 1}, {"callbacks": [Ends()]}):
        paused = run(SPARSE, tmp_path, resume=True, verbose="none", **arguments)
    assert history(tmp_path) == history(finished[1])
    assert paused.test_loss == finished[0].test_loss


def test_killed_at_any_moment_ends_with_the_same_weights(tmp_path):
    undisturbed = start(FRACTAL, tmp_path / "whole")
    # As soon as anything is written, when the model stands, after an epoch, within one.
    for lines, pause in ((0, 0.0), (1, 0.0), (2, 0.0), (2, 0.05)):
        process = start(FRACTAL, tmp_path / "killed")
        while process.poll() is None and not (tmp_path / "killed" / "recipe.json").exists():
            time.sleep(0.01)
        for _ in range(lines):
            process.stdout.readline()
        time.sleep(pause)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert start(FRACTAL, tmp_path / "killed").wait() == 0
    assert undisturbed.wait() == 0
    assert history(tmp_path / "killed") == history(tmp_path / "whole")
    for killed, whole in zip(state(tmp_path / "killed"), state(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(killed, whole)


def test_a_history_ahead_of_the_checkpoint_is_cut(finished, tmp_path):
    """Killed between the two writes: the checkpoint is what counts."""
    _, whole = finished
    run(dataclasses.replace(SPARSE, epochs=1, learning_rate_drops=()), tmp_path / "cut", verbose="none")
    folder = RunFolder(tmp_path / "cut")
    folder.write_recipe(SPARSE)  # what was cut short
    folder.write_history(history(whole))
    run(SPARSE, tmp_path / "cut", resume=True, verbose="none")
    assert history(tmp_path / "cut") == history(whole)
    for one, other in zip(state(tmp_path / "cut"), state(whole), strict=True):
        np.testing.assert_array_equal(one, other)


def test_two_runs_of_a_recipe_are_the_same_and_another_seed_is_not(finished, tmp_path):
    for name, recipe in (("b", SPARSE), ("c", dataclasses.replace(SPARSE, seed=1))):
        run(recipe, tmp_path / name, verbose="none")
    a, b, c = (state(folder)[0] for folder in (finished[1], tmp_path / "b", tmp_path / "c"))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_resuming_a_finished_run_only_reports(finished):
    first, folder = finished
    written = (folder / "last.keras").stat().st_mtime_ns
    again = run(SPARSE, folder, resume=True, verbose="none")
    assert again.test_accuracy == first.test_accuracy
    assert again.seconds == first.seconds
    assert (folder / "last.keras").stat().st_mtime_ns == written


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_and_is_left_behind(tmp_path, precision):
    recipe = dataclasses.replace(SPARSE, precision=precision, epochs=1, learning_rate_drops=())
    result = run(recipe, tmp_path, verbose="none")
    assert np.isfinite(result.test_loss)
    assert keras.config.dtype_policy().name == "float32"
    model = keras.saving.load_model(tmp_path / "last.keras")
    assert model.get_layer("conv2").compute_dtype == precision.removeprefix("mixed_")
    # The optimizer comes back whole, also where another precision is in force.
    assert int(model.optimizer.iterations) > 0
    assert any(np.any(keras.ops.convert_to_numpy(v)) for v in model.optimizer.variables if v.ndim > 1)


def test_a_folder_with_a_run_is_not_overwritten(copied):
    with pytest.raises(
        ValueError, match=r"`output` of run must be a folder without completed epochs.*by resume=True, or"
    ):
        run(SPARSE, copied)
    with pytest.raises(
        ValueError, match=r"Received: weight_decay=.*, not .*, seed=.*They differ in: weight_decay, seed\."
    ):
        run(dataclasses.replace(SPARSE, seed=1, weight_decay=0.0), copied, resume=True)


def test_a_start_that_failed_leaves_nothing_in_the_way(tmp_path):
    recipe = dataclasses.replace(SPARSE, dataset="mnist", examples=None)
    with pytest.raises(FileNotFoundError):
        run(recipe, tmp_path / "run", data_dir=tmp_path)
    run(dataclasses.replace(SPARSE, epochs=1, learning_rate_drops=()), tmp_path / "run", verbose="none")


def test_a_resumed_run_finds_its_data(tmp_path):
    recipe = dataclasses.replace(SPARSE, epochs=1, learning_rate_drops=())
    run(recipe, tmp_path / "run", data_dir=tmp_path / "data", verbose="none")
    assert RunFolder(tmp_path / "run").read_data_dir() == str(tmp_path / "data")
    run(recipe, tmp_path / "run", resume=True, verbose="none")
    assert RunFolder(tmp_path / "run").read_data_dir() == str(tmp_path / "data")


def test_channels_first_and_a_file_for_a_folder_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="`output` of run must be a folder"):
        run(SPARSE, tmp_path / "file")
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="'channels_last', as the data sets are"):
            run(SPARSE, tmp_path / "run")
    finally:
        keras.config.set_image_data_format("channels_last")


def test_damaged_files_say_so(copied):
    (copied / "last.keras").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"last.keras' is no checkpoint"):
        run(SPARSE, copied, resume=True)
    (copied / "recipe.json").write_text("{}")
    with pytest.raises(ValueError, match=r"recipe.json' is no recipe"):
        run(SPARSE, copied, resume=True)


# Two batches of training images an epoch; dropout has a state, too.
MOVING = Recipe("mlp", {"hidden": [16, 8], "dropout": 0.2}, epochs=5, examples=60, learning_rate=0.05, seed=3)
# Each with a criterion that takes gradients or chance, and updates in every epoch but the last.
VERBS = {
    "prune": {"prune": {"sparsity": 0.9, "frequency": 1, "criterion": "saliency", "scope": "global"}},
    "rewire": {"sparsify": {"sparsity": 0.8}, "rewire": {"grow": "gradient", "drop": 0.4, "frequency": 1}},
    "densify": {"sparsify": {"sparsity": 0.9}, "densify": {"initial": 0.1, "period": 3}},
}


def masks(output, name="last.keras"):
    model = keras.saving.load_model(output / name, compile=False)
    return [layer.mask for layer in model.layers if isinstance(layer, SparseKernel)]


class Killed(BaseException):
    """As a signal would end it: nothing in between catches it."""


def kill_once(monkeypatch, owner, method, when, before=True):
    """Lets a method raise at the first call for which `when` is true."""
    original, pending = getattr(owner, method), [True]

    def patched(self, *arguments, **options):
        dies = pending and when(*arguments)
        if dies:
            pending.clear()
            if before:
                raise Killed
        result = original(self, *arguments, **options)
        if dies:
            raise Killed
        return result

    monkeypatch.setattr(owner, method, patched)


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """A finished run for each verb: its result and its folder, made when it is asked for."""
    made = {}

    def get(verb):
        if verb not in made:
            folder = tmp_path_factory.mktemp(verb) / "run"
            made[verb] = run(dataclasses.replace(MOVING, **VERBS[verb]), folder, verbose="none"), folder
        return made[verb]

    return get


BATCHES = itertools.count()
# Where each of them is killed, after one epoch or two were saved.
MOMENTS = {
    "prune": (KeepRun, "on_epoch_end", lambda epoch, *rest: epoch == 2),  # all of an epoch is there but its checkpoint
    "rewire": (MovesConnections, "on_train_batch_end", lambda *rest: next(BATCHES) == 3, False),  # within one
    "densify": (KeepRun, "on_epoch_end", lambda epoch, *rest: epoch == 1, False),  # between two epochs
}


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """The folder of such a run that was killed and resumed."""
    made = {}

    def get(verb):
        if verb not in made:
            folder, recipe = tmp_path_factory.mktemp(verb) / "killed", dataclasses.replace(MOVING, **VERBS[verb])
            with pytest.MonkeyPatch.context() as patch:
                kill_once(patch, *MOMENTS[verb])
                with pytest.raises(Killed):
                    run(recipe, folder, verbose="none")
            assert 0 < len(RunFolder(folder).read_checkpoint()[1]) < 3
            run(recipe, folder, resume=True, verbose="none")
            made[verb] = folder
        return made[verb]

    return get


@pytest.mark.parametrize("verb", VERBS)
def test_a_run_whose_connections_move_is_killed_and_resumed(verb, moved, resumed):
    killed, whole = resumed(verb), moved(verb)[1]
    assert history(killed) == history(whole)
    for one, other in zip(masks(killed), masks(whole), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(state(killed), state(whole), strict=True):
        np.testing.assert_array_equal(one, other)
    # Else there would be nothing to lose.
    assert len({row["sparsity"] for row in history(whole)}) == (1 if verb == "rewire" else 4)
    assert [row["churn"] > 0 for row in history(whole)[:3]] == [verb != "densify", True, True]


@pytest.mark.parametrize("verb", VERBS)
def test_the_log_of_sparsities_is_that_of_a_run_that_was_not_killed(verb, moved, resumed):
    assert (resumed(verb) / "sparsity.csv").read_text() == (moved(verb)[1] / "sparsity.csv").read_text()


def test_a_pruned_run(moved):
    result, folder = moved("prune")
    rows = history(folder)
    sparsities = [row["sparsity"] for row in rows]
    assert sparsities == sorted(sparsities)
    assert sparsities[0] > 0
    assert sparsities[-2:] == pytest.approx([0.9, 0.9], abs=1e-3)
    now, best = masks(folder), masks(folder, "best.keras")
    connected, entries = sum(mask.sum() for mask in now), sum(mask.size for mask in now)
    assert 1 - connected / entries == sparsities[-1]
    assert entries - connected == int(0.9 * entries)
    biases = sum(mask.shape[1] for mask in now)
    assert result.parameters == connected + biases
    assert result.macs == connected
    # Of the two sparsest epochs one is the best, though earlier ones were more accurate.
    assert [mask.sum() for mask in best] == [mask.sum() for mask in now]
    with open(folder / "sparsity.csv", newline="") as file:
        logged = [row for row in csv.DictReader(file) if row["layer"] == "all"]
    assert [float(row["sparsity"]) for row in logged] == sparsities
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert f"{result.parameters:,}" in (folder / "profile.txt").read_text()


def test_best_is_the_most_accurate_of_the_sparsest_epochs():
    class Folder:
        written = ()

        def write_best(self, model):
            self.written += (len(rows),)

        def write_history(self, rows):
            pass

        def write_checkpoint(self, model, rows):
            pass

    seen = [(0.0, 0.9), (0.5, 0.8), (0.5, 0.7), (0.5 + 1e-9, 0.85), (0.5, 0.95), (0.2, 0.99), (0.9, 0.1), (0.9, 0.1)]
    for sparsest, expected in ((True, (0, 1, 3, 4, 6)), (False, (0, 4, 5))):
        rows, folder = [], Folder()
        keeper = KeepRun(folder, rows, sparsest)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd")
        keeper.set_model(model)
        for epoch, (sparsity, accuracy) in enumerate(seen):
            keeper.on_epoch_begin(epoch)
            keeper.on_epoch_end(epoch, {"sparsity": sparsity, "val_accuracy": accuracy})
        assert folder.written == expected


def test_a_rewired_run_keeps_its_number_of_connections(moved):
    result, folder = moved("rewire")
    rows = history(folder)
    assert len({row["sparsity"] for row in rows}) == 1
    assert [row["churn"] > 0 for row in rows] == [True, True, True, True, False]  # until three quarters of the run
    assert result.parameters == sum(mask.sum() + mask.shape[1] for mask in masks(folder))


def test_a_densified_run_ends_dense(moved):
    result, folder = moved("densify")
    rows = history(folder)
    # Ten steps: 0.1 at first, doubled at 3, 6 and 9.
    assert [row["density"] for row in rows] == pytest.approx([0.1, 0.2, 0.4, 0.4, 0.8], abs=0.01)
    assert [row["sparsity"] for row in rows] == pytest.approx([1 - row["density"] for row in rows])
    assert result.parameters == sum(mask.sum() + mask.shape[1] for mask in masks(folder))


def test_a_run_from_a_file_restarts_the_clock(moved, tmp_path):
    """A model that was pruned to 0.9 in ten steps is pruned further from step 0 of this run."""
    _, folder = moved("prune")
    recipe = dataclasses.replace(
        MOVING, model=str(folder / "last.keras"), model_arguments={}, epochs=2,
        prune={"sparsity": 0.95, "once": True, "begin": 3},
    )  # fmt: skip
    run(recipe, tmp_path / "run", verbose="none")
    sparsities = [row["sparsity"] for row in history(tmp_path / "run")]
    assert sparsities == pytest.approx([0.9, 0.95], abs=1e-3)
    for new, old in zip(masks(tmp_path / "run"), masks(folder), strict=True):
        assert not (new & ~old).any()


def test_rewire_and_densify_want_a_sparse_model(tmp_path):
    for verb in ("rewire", "densify"):
        recipe = dataclasses.replace(MOVING, **{verb: VERBS[verb][verb]})
        with pytest.raises(ValueError, match="sparsify"):
            run(recipe, tmp_path / verb, verbose="none")
