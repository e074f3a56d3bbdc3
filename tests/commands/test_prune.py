"""`keras-sparse prune`."""

import json

import keras
import numpy as np
import pytest

import keras_sparse
from keras_sparse.cli import build_parser, main
from keras_sparse.commands.sparse_options import given_verbs
from keras_sparse.datasets import load
from run_files import masks, rows_of


def test_prune_a_file(dense, tmp_path, capsys):
    path, accuracy = dense
    command = ["prune", str(path), "--to", "0.8", "--epochs", "3", "--examples", "600", "--output", str(tmp_path / "o")]
    assert main(command) == 0
    printed = capsys.readouterr().out
    last = keras.saving.load_model(tmp_path / "o" / "last.keras")
    after = last.evaluate(load("digits").test.batches(256), verbose=0)[1]
    kernels = 64 * 24 + 24 * 10
    left = kernels - int(0.8 * 64 * 24) - int(0.8 * 240)
    assert f"test accuracy {after:.2%} at a sparsity of {1 - left / kernels:.2%}, with {left + 34:,} par" in printed
    assert f"before: {accuracy:.2%}, {kernels + 34:,} parameters" in printed
    assert "epoch 3/3: loss" in printed
    assert f"Written to {tmp_path / 'o'}/" in printed
    assert {file.name for file in (tmp_path / "o").iterdir()} == {
        "recipe.json", "history.csv", "sparsity.csv", "best.keras", "last.keras", "profile.txt", "curves.png",
        "result.json", "tensorboard",
    }  # fmt: skip
    history = rows_of(tmp_path / "o" / "history.csv")
    assert [float(row["sparsity"]) for row in history] == sorted(float(row["sparsity"]) for row in history)
    assert float(history[-1]["sparsity"]) == pytest.approx(1 - left / kernels)
    assert [row["layer"] for row in rows_of(tmp_path / "o" / "sparsity.csv")] == ["hidden", "out", "all"] * 3
    for name in ("best.keras", "last.keras"):
        assert sum(mask.sum() for mask in masks(tmp_path / "o" / name)) == left
    assert (tmp_path / "o" / "curves.png").read_bytes().startswith(b"\x89PNG")
    # Once more: refused, or the same report.
    assert main(command) == 2
    assert "--resume" in capsys.readouterr().err
    assert main([*command, "--resume", "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == printed.splitlines()[-3:]
    assert main([*command, "--resume", "--seed", "7"]) == 2
    assert "They differ in: seed" in capsys.readouterr().err
    # And what was pruned can be pruned further.
    further = ["prune", str(tmp_path / "o" / "last.keras"), "--to", "0.95", "--once", "--epochs", "1", "--quiet"]
    assert main([*further, "--examples", "60", "--output", str(tmp_path / "p")]) == 0
    printed = capsys.readouterr().out
    assert f"before: {after:.2%}, {left + 34:,} parameters" in printed
    for new, old in zip(masks(tmp_path / "p" / "last.keras"), masks(tmp_path / "o" / "last.keras"), strict=True):
        assert not (new & ~old).any()


def test_prune_whole_channels_at_once_by_saliency(dense, tmp_path, capsys):
    command = f"prune {dense[0]} --to 0.5 --pattern channel --once --criterion saliency --exclude out --epochs 1"
    assert main([*command.split(), "--examples", "300", "--output", str(tmp_path), "--quiet"]) == 0
    (mask,) = masks(tmp_path / "last.keras")
    assert mask.shape == (64, 24)
    assert mask.any(axis=0).sum() == 12
    np.testing.assert_array_equal(mask.any(axis=0), mask.all(axis=0))
    saved = json.loads((tmp_path / "recipe.json").read_text())["recipe"]["prune"]
    assert saved == {
        "sparsity": 0.5, "once": True, "criterion": "saliency", "pattern": "channel", "exclude": ["out"],
    }  # fmt: skip
    assert f"sparsity of {64 * 12 / (64 * 24 + 24 * 10):.2%}" in capsys.readouterr().out  # of both layers
    shrunk = keras_sparse.shrink(keras.saving.load_model(tmp_path / "last.keras"))
    assert shrunk.get_layer("hidden").units == 12


def test_options_of_prune_become_a_recipe():
    command = (
        "prune model.keras --to 0.75 --begin 3 --end 30 --frequency 4 --criterion movement --scope global "
        "--pattern block:2x2 --exclude first out"
    )
    assert given_verbs(build_parser().parse_args(command.split())) == {
        "prune": {
            "sparsity": 0.75, "begin": 3, "end": 30, "frequency": 4, "criterion": "movement", "scope": "global",
            "pattern": "block:2x2", "exclude": ["first", "out"],
        }
    }  # fmt: skip


@pytest.mark.parametrize(("command", "missing"), [("prune --to 0.5", "MODEL.keras"), ("prune model.keras", "--to")])
def test_prune_says_what_is_missing(command, missing, capsys):
    assert main(command.split()) == 2
    assert f"`{missing}` is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((28, 28, 1), 10, "must be one from images (16, 16, 1) to 10 classes"),
        ((16, 16, 1), 7, "It takes (16, 16, 1) and gives (7,): choose the data set that it was made for."),
    ],
)
def test_prune_a_model_for_other_images(shape, classes, message, tmp_path, capsys):
    layers = keras.layers
    keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(classes)]).save(tmp_path / "m.keras")
    assert main(["prune", str(tmp_path / "m.keras"), "--to", "0.5", "--output", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_sparsity_in_percent_is_refused_by_the_name_of_the_option(dense, capsys):
    assert main(["prune", str(dense[0]), "--to", "90"]) == 2
    assert "--to" in capsys.readouterr().err


def test_layers_that_a_saved_model_does_not_have_are_refused_before_anything_is_written(dense, tmp_path, capsys):
    output = tmp_path / "out"
    assert main(f"prune {dense[0]} --to 0.5 --exclude hiden --epochs 1 --output {output}".split()) == 2
    assert "`--exclude` must name layers with a kernel" in capsys.readouterr().err
    assert not output.exists()


def test_prune_goes_on_as_it_was_begun(dense, tmp_path):
    command = ["prune", str(dense[0]), "--to", "0.8", "--epochs", "1", "--examples", "60", "--quiet"]
    assert main([*command, "--output", str(tmp_path)]) == 0
    assert main(["prune", "--resume", "--output", str(tmp_path), "--quiet"]) == 0


def test_prune_does_not_resume_another_run(dense, tmp_path, capsys):
    command = ["prune", str(dense[0]), "--to", "0.8", "--epochs", "1", "--examples", "60", "--quiet"]
    assert main([*command, "--output", str(tmp_path)]) == 0
    for options, named in (
        ("--to 0.3", "--to"),
        ("--begin 2 --once", "--begin, --once"),
        ("--epochs 5 --batch-size 8 --dataset mnist --seed 0", "--dataset, --epochs, --batch-size, --seed"),
    ):
        capsys.readouterr()
        assert main(["prune", "--resume", "--output", str(tmp_path), "--quiet", *options.split()]) == 2
        assert f"as it was begun. Received: {named}. Leave that out" in capsys.readouterr().err


def test_the_recipe_of_a_pruned_file_can_be_repeated_from_anywhere(dense, tmp_path, monkeypatch):
    monkeypatch.chdir(dense[0].parent)
    command = f"prune dense.keras --to 0.8 --epochs 1 --examples 60 --quiet --output {tmp_path / 'a'}"
    assert main(command.split()) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--recipe", "a", "--output", "b", "--quiet"]) == 0
