import json

import pytest

from keras_sparse.training.run_folder import RunFolder
from keras_sparse.tuning.trials import Trial


def folder_of(tmp_path, name, status="COMPLETED", message=None, **values):
    folder = RunFolder(tmp_path / "trials" / f"trial_{name}")
    state = {"trial_id": name, "status": status, "message": message, "hyperparameters": {"values": values}}
    folder.write_text("trial.json", json.dumps(state))
    return folder


def test_trials_come_in_the_order_of_their_numbers(tmp_path):
    """Also if there were to be nine at first, and then twelve."""
    for name in ("8", "9", "10", "00"):
        folder_of(tmp_path, name, "RUNNING")
    trials = Trial.read_all(tmp_path)
    assert [trial.name for trial in trials] == ["00", "8", "9", "10"]
    assert {trial.status for trial in trials} == {"running"}


def test_an_error_is_one_line_of_many(tmp_path):
    folder = folder_of(tmp_path, "0", "FAILED", depth=3)
    try:
        raise ValueError("What it says.\n\nArguments received:\n  • x=None")
    except ValueError as error:
        Trial.write_error(folder, error)
    trial = Trial.read(folder.path)
    assert trial.error == "ValueError: What it says."
    assert trial.line() == "trial 0: depth=3: ValueError: What it says."
    assert "Arguments received" in folder.file("error.txt").read_text()


@pytest.mark.parametrize(
    ("message", "error"), [("Its process was lost.", "Its process was lost."), (None, "It failed without a message.")]
)
def test_a_failure_of_which_nothing_was_written(message, error, tmp_path):
    assert Trial.read(folder_of(tmp_path, "0", "FAILED", message).path).error == error


def test_words(tmp_path):
    values = {"depth": 22, "growth_rate": "[8, 16]", "bottleneck": True, "loop": False, "sparsity/conv*": 0.5}
    trial = Trial.read(folder_of(tmp_path, "0", "RUNNING", **values, **{"tuner/epochs": 3}).path)
    assert trial.words() == "depth=22 growth_rate=[8,16] bottleneck conv*=0.5"
    assert "tuner/epochs" not in trial.values
