"""`keras-sparse export`."""

import json

import keras
import numpy as np
import pytest

import keras_sparse as ks
from keras_sparse.cli import main


@pytest.fixture
def pruned(tmp_path):
    model = keras.Sequential([keras.Input((40,)), ks.layers.MaskedDense(30, sparsity=0.9), keras.layers.Dense(3)])
    model.compile("adam", "mse")
    model.fit(np.ones((2, 40)), np.ones((2, 3)), verbose=0)
    model.save(tmp_path / "pruned.keras")
    return tmp_path / "pruned.keras"


def test_files_and_table(pruned, tmp_path, capfd):
    output = tmp_path / "out"
    assert main(["export", str(pruned), "--output", str(output), "--formats", "keras", "keras_zipped"]) == 0
    printed = capfd.readouterr()
    assert sorted(path.name for path in output.iterdir()) == ["model.keras", "model_zipped.keras"]
    (row,) = [line for line in printed.out.splitlines() if line.startswith("as given (pruned.keras)")]
    assert f" {pruned.stat().st_size:,} " in row
    assert "Zeros are stored like other numbers" in printed.out
    assert printed.out.endswith(f"Written to {output}/\n")
    assert printed.err == ""


def test_figures_as_json(pruned, tmp_path, capsys):
    command = ["export", str(pruned), "--output", str(tmp_path / "out"), "--formats", "keras", "--json"]
    assert main(command) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["given"]["bytes"] == pruned.stat().st_size
    assert figures["connections"] == 30 * 4 + 30 * 3
    assert figures["files"][0]["is_equal"] is True


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("export nowhere.keras --output {tmp}/out", "There is no such file"),
        ("export {pruned} --output {tmp}/out --formats tflite", "one of 'keras', 'keras_zipped', 'litert'"),
        ("export {pruned} --output {pruned} --formats keras", "`output` of export must be a folder"),
    ],
)
def test_bad_values(command, message, pruned, tmp_path, capfd):
    assert main(command.format(tmp=tmp_path, pruned=pruned).split()) == 2
    printed = capfd.readouterr()
    assert message in printed.err
    assert printed.err.startswith("keras-sparse export: error: ")
    assert printed.out == ""


def test_missing_packages_are_one_message(pruned, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(ks.exports.Keras, "packages", ("no_such_package",))
    assert main(["export", str(pruned), "--output", str(tmp_path / "out"), "--formats", "keras"]) == 2
    assert "pip install no_such_package" in capfd.readouterr().err


def test_help_shows_an_example(capsys):
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert "keras-sparse export runs/first/best.keras --output exported" in capsys.readouterr().out.split("example")[-1]
