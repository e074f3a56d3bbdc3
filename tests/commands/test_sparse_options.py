"""`--sparsify`, `--prune`, `--rewire` and `--densify` of `keras-sparse train`."""

import re

import pytest

from keras_sparse.cli import build_parser, main
from keras_sparse.commands.train import recipes_of
from run_files import masks, rows_of


def test_options_of_all_verbs_reach_the_recipes():
    command = (
        "train --model mlp lenet5 --sparsify 0.9 --sparsify-topology random_edge --sparsify-allocation erdos_renyi "
        "--sparsify-exclude last --prune 0.95 --prune-frequency 5 --prune-once --rewire snfs --rewire-drop 0.2 "
        "--rewire-frequency 4 --rewire-until 40 --densify 0.1 --densify-period 20 --densify-final 0.5"
    ).replace("--prune-frequency 5 ", "")
    for recipe in recipes_of(build_parser().parse_args(command.split())):
        assert recipe.sparsify == {
            "sparsity": 0.9, "topology": "random_edge", "allocation": "erdos_renyi", "exclude": ["last"]
        }  # fmt: skip
        assert recipe.prune == {"sparsity": 0.95, "once": True}
        assert recipe.rewire == {"grow": "momentum", "drop": 0.2, "frequency": 4, "until": 40}
        assert recipe.densify == {"initial": 0.1, "period": 20, "final": 0.5}
    for word, grow in (("set", "random"), ("rigl", "gradient")):
        (recipe,) = recipes_of(build_parser().parse_args(f"train --model mlp --rewire {word}".split()))
        assert recipe.rewire == {"grow": grow}
    (recipe,) = recipes_of(build_parser().parse_args(["train", "--model", "mlp"]))
    assert (recipe.sparsify, recipe.prune, recipe.rewire, recipe.densify) == (None,) * 4


@pytest.mark.parametrize(
    ("options", "sparsities"),
    [
        ("--prune 0.9 --prune-frequency 5", (0.5, 0.9)),
        ("--sparsify 0.9 --rewire rigl --rewire-frequency 2", (0.9, 0.9)),
        ("--sparsify 0.9 --densify 0.2 --densify-period 8", (0.6, 0.2)),
    ],
)
def test_train_while_connections_move(options, sparsities, tmp_path, capsys):
    command = f"train --model mlp --hidden 20 --epochs 2 --examples 360 {options} --output {tmp_path / 'out'}"
    assert main(command.split()) == 0  # 11 steps an epoch
    printed = capsys.readouterr().out
    history = rows_of(tmp_path / "out" / "history.csv")
    last = float(history[-1]["sparsity"])
    assert last == pytest.approx(sparsities[1], abs=0.02)
    assert f"sparsity {last:.4f}" in printed
    if "prune" in options:
        assert float(history[0]["sparsity"]) > sparsities[0]
    else:
        assert float(history[0]["sparsity"]) == pytest.approx(sparsities[0], abs=0.02)
    assert any(float(row["churn"]) > 0 for row in history)
    assert [row["layer"] for row in rows_of(tmp_path / "out" / "sparsity.csv")][-1] == "all"
    connected = sum(mask.sum() + mask.shape[1] for mask in masks(tmp_path / "out" / "last.keras"))
    assert re.search(rf"\b{connected:,}\b", printed.split("test accuracy")[1])
    # It is finished: it only reports, also without the options, and a change of them is refused.
    assert main(["train", "--resume", "--output", str(tmp_path / "out"), "--quiet"]) == 0
    assert f"{connected:,}" in capsys.readouterr().out
    assert main([*command.split(), "--resume", "--prune", "0.3"]) == 2
    assert "They differ in: prune" in capsys.readouterr().err


@pytest.mark.parametrize(("verb", "option"), [("rewire", "--rewire set"), ("densify", "--densify 0.5")])
def test_a_dense_model_is_neither_rewired_nor_densified(verb, option, tmp_path, capsys):
    output = tmp_path / "out"
    assert main(f"train --model mlp --epochs 1 --examples 60 {option} --output {output} --quiet".split()) == 2
    error = capsys.readouterr().err
    assert f"`--{verb}` must be left out for a model in which all is connected" in error
    assert "Let 'mlp' start with few connections, by `--sparsify`." in error
    assert not output.exists()


def test_a_dense_model_is_pruned_and_rewired(tmp_path):
    command = f"train --model mlp --hidden 20 --epochs 2 --examples 360 --prune 0.5 --rewire set --output {tmp_path}"
    assert main([*command.split(), "--quiet"]) == 0
    history = rows_of(tmp_path / "history.csv")
    assert float(history[-1]["sparsity"]) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("prune {file} --to 0.5 --begin 9", "--begin"),
        ("prune {file} --to 0.5 --end 9", "--end"),
        ("train --model mlp lenet5 --prune 0.5 --prune-begin 9", "--prune-begin"),
        ("train --model mlp --sparsify 0.5 --rewire set --rewire-until 9", "--rewire-until"),
    ],
)
def test_connections_that_would_move_after_the_run_are_refused_before_it(dense, command, option, tmp_path, capsys):
    command = f"{command.format(file=dense[0])} --epochs 1 --examples 60 --output {tmp_path / 'out'}"
    assert main(command.split()) == 2  # two steps
    error = capsys.readouterr().err
    assert f"`{option}` must be at most 2, the updates of the whole run. Received: " in error
    assert "Train for more epochs" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--model mlp lenet5 --prune 0.9 --prune-exclude hiden1", "`--prune-exclude` must name layers with a kernel"),
        ("--model mlp --prune 0.9 --prune-exclude *", "`model` of Prune must have layers with a kernel"),
        ("--model mlp --sparsify 0.9 --rewire set --rewire-exclude nowhere", "`--rewire-exclude` must name layers"),
        (
            "--model mlp --prune 0.5 --prune-pattern 2:4 --prune-allocation erdos_renyi",
            "`--prune-allocation` must be sparsities, numbers in [0, 0.5]",
        ),
        ("--model lenet_300_100 --sparsity 0.9 --format compact --prune 0.95", "sparse layers in the masked format"),
    ],
)
def test_connections_that_cannot_move_are_refused_before_anything_is_written(options, message, tmp_path, capsys):
    output = tmp_path / "out"
    assert main(f"train {options} --epochs 1 --examples 60 --output {output}".split()) == 2
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_the_table_says_what_was_pruned(tmp_path, capsys):
    command = f"train --model mlp --hidden 20 --epochs 1 --examples 60 --prune 0.75 --output {tmp_path} --quiet"
    assert main(command.split()) == 0
    assert "0.75" in capsys.readouterr().out
