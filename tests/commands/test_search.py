"""`keras-sparse search`."""

import json

import keras
import pytest

from keras_sparse.cli import build_parser, main
from keras_sparse.commands.search import _fields, _options, _space
from keras_sparse.layers.sparse_kernel import SparseKernel


def space_of(command, tmp_path):
    arguments = build_parser().parse_args(["search", *command.split(), "--output", str(tmp_path)])
    return _space(_options(arguments, tmp_path))


def test_search_resume_and_train_the_best(tmp_path, capsys):
    output = ["--output", str(tmp_path / "out")]
    command = "search --space sparsity --model mlp --sparsity 0.5 0.9 --topology expander --allocation uniform"
    settings = [*command.split(), "--learning-rate", "0.05", "--epochs", "1", "--examples", "100", *output]
    assert main([*settings, "--trials", "1", "--max-parameters", "200k"]) == 0
    printed = capsys.readouterr().out
    assert "trial 0: sparsity=" in printed
    assert f"Written to {tmp_path / 'out'}/: trials.csv, table.txt, pareto.png" in printed
    assert main([*settings, "--trials", "1"]) == 2
    assert "a folder without a search" in capsys.readouterr().err
    assert main(["search", "--resume", *output, "--quiet", "--trials", "2"]) == 0
    printed = capsys.readouterr().out
    assert "trial 1:" not in printed
    assert {"sparsity=0.5", "sparsity=0.9"} <= set(printed.split())
    assert main(["search", "--resume", *output, "--seed", "3"]) == 2
    assert "They differ in: space, fields" in capsys.readouterr().err
    recipe = ["--recipe", str(tmp_path / "out" / "best_recipe.json"), "--output", str(tmp_path / "again")]
    assert main(["train", *recipe, "--quiet"]) == 0
    model = keras.saving.load_model(tmp_path / "again" / "best.keras")
    assert any(isinstance(layer, SparseKernel) for layer in model.layers)


def test_options_reach_the_space(tmp_path):
    space = space_of(
        "--depth 22 40 --growth-rate 12 8,16,32 --bottleneck true --pattern all,exponential,hybrid:2 window:3 "
        "--base 2 --learning-rate 0.1 0.05 --max-parameters 200k --max-macs 1.5M",
        tmp_path,
    )
    assert space.describe()["kind"] == "HyperSparseNet"
    assert space.arguments == {
        "depth": [22, 40],
        "growth_rate": [12, [8, 16, 32]],
        "bottleneck": True,
        "pattern": [["all", "exponential", "hybrid:2"], "window:3"],
        "base": 2,
        "operator": "concat",
        "compression": [0.5, 1.0],
        "learning_rate": [0.1, 0.05],
    }
    assert (space.budget.max_connected_parameters, space.budget.max_macs) == (200_000, 1_500_000)
    assert space_of("--growth-rate 8,16,32", tmp_path / "b").arguments["growth_rate"] == (8, 16, 32)


def test_options_reach_the_space_of_a_models_sparsity(tmp_path):
    space = space_of(
        "--space sparsity --model sparsenet --depth 22 --sparsity conv*=0.5 conv*=0.9 last=0.5 --exclude first "
        "--block-size 1 2 --format masked compact --seed 4",
        tmp_path,
    )
    assert space.model_arguments == {"depth": 22, "growth_rate": 12}
    assert space.arguments["sparsity"] == {"conv*": [0.5, 0.9], "last": [0.5]}
    assert space.arguments["exclude"] == ("first",)
    assert space.arguments["block_size"] == [1, 2]
    assert space.arguments["format"] == ["masked", "compact"]
    assert space.seed == 4


def test_without_options_it_is_quick(tmp_path):
    arguments = build_parser().parse_args(["search", "--output", str(tmp_path)])
    options = _options(arguments, tmp_path)
    assert options == {}
    assert _fields(options)["epochs"] == 3
    assert _space(options).describe()["images"] == [16, 16, 1, 10]
    assert json.loads((tmp_path / "command.json").read_text()) == {}


def test_a_worker_takes_what_is_searched_from_the_folder(tmp_path):
    begun = build_parser().parse_args(["search", "--depth", "16", "22", "--output", str(tmp_path)])
    _options(begun, tmp_path)
    worker = build_parser().parse_args(["search", "--worker", "a:1", "--output", str(tmp_path)])
    assert _options(worker, tmp_path) == {"depth": [16, 22]}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("--max-parameters 200x", "'200x' is no number such as 200000, 200k or 1.5M"),
        ("--max-macs 0", "is no number such as"),
        ("--bottleneck yes", "'yes' is neither true nor false"),
        ("--space widenet", "invalid choice"),
        ("--growth-rate x", "invalid _per_stage value"),
    ],
)
def test_unusable_command_lines(command, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["search", *command.split()])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("--space sparsity", "`--space sparsity` needs a model"),
        ("--model mlp", "`--model` is for --space sparsity, not for sparsenet"),
        ("--space densenet --base 2 3", "--base: not for --space densenet, which takes --depth, --growth-rate"),
        ("--space sparsity --model mlp --depth 3", "`--depth` is not for mlp"),
        ("--space sparsity --model mpl", "Did you mean 'mlp'"),
        ("--space sparsity --model mlp --sparsity 0.5 h=0.5", "`--sparsity` must be numbers, or all of layers"),
        ("--dataset digit", "`--dataset` must be one of"),
        ("--trials 0", "`--trials` must be an integer >= 1"),
        ("--epochs 0", "`--epochs` must be an integer >= 1"),
        ("--connection-penalty -1", "`--connection-penalty` must be a number in"),
        ("--resume", "`--resume` needs the folder"),
        ("--resume --output nowhere", "must be a folder in which a run was begun"),
        ("--worker a:1", "`--worker` needs the folder of the search"),
        ("--worker a:1 --output x --trials 3", "`--worker` takes from x what is searched. Leave out: trials"),
        ("--chief nowhere", "`--chief` must be HOST:PORT, of the chief"),
        ("--dataset mnist --data-dir /nowhere", "tfds build mnist"),
    ],
)
def test_bad_values_exit_with_2_and_one_message(command, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["search", *command.split()]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("keras-sparse search: error: ")
    assert printed.out == ""
