"""The command as a whole: help, errors, and what no other file tests."""

import keras
import pytest

from keras_sparse.applications import list_models
from keras_sparse.cli import main


def test_profile_of_a_name_and_of_a_file(tmp_path, capsys):
    assert main(["profile", "--model", "sparsenet", "--depth", "40", "--growth-rate", "12", "--bottleneck"]) == 0
    printed = capsys.readouterr().out
    assert "124,246" in printed
    assert max(map(len, printed.splitlines())) <= 100
    keras.Sequential([keras.Input((5,)), keras.layers.Dense(7)]).save(tmp_path / "m.keras")
    assert main(["profile", "--file", str(tmp_path / "m.keras"), "--total"]) == 0
    assert "MACs per example                           35" in capsys.readouterr().out


def test_models_lists_all(capsys):
    assert main(["models"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in list_models())


@pytest.mark.parametrize(
    "command", [[], ["train"], ["prune"], ["search"], ["profile"], ["study"], ["report"], ["models"]], ids=str
)
def test_help_shows_an_example(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    assert f"keras-sparse {' '.join(command)}".strip() in capsys.readouterr().out.split("example")[-1]


def test_no_command_prints_the_help(capsys):
    assert main([]) == 0
    assert "keras-sparse train" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train --model sparsenett", "Did you mean 'sparsenet'"),
        ("train --model sparsenet sparsenet", "must name each model once"),
        ("train --model resnet50 --depth 50", "`--depth` is not for resnet50, which takes --base, --aggregation"),
        ("train --model sparsenet --depth 3", "`depth` of SparseNet must be an integer >= 7. Received: depth=3"),
        ("train --model resnet50", "height and width >= 32. Received: input_shape=(16, 16, 1)"),
        ("train --epochs 0", "`--epochs` must be an integer >= 1"),
        ("train --dataset imagenet", "`--dataset` must be one of"),
        ("train --dataset digit", "Received: dataset='digit'. Did you mean 'digits'?"),
        ("train --resume", "`--resume` needs the folder of the run"),
        ("train --model sparsenet --dataset cifar10 --data-dir /nowhere --output {tmp}/x", "tfds build cifar10"),
        ("profile --model densenet --growth-rate 0", "`growth_rate` of DenseNet"),
        ("profile --file nowhere.keras", "nowhere.keras"),
        ("profile --model fractalnet --columns 40", "`columns` of FractalNet must be an integer in [1, 10]"),
        ("train --model sparsenet --examples 1 --validation-fraction 0.9", "`validation_fraction` of datasets.load"),
        ("train --batch-size 99999999999999999999", "`--batch-size` must be an integer in"),
        ("train --recipe nowhere.json", "nowhere.json"),
        ("train --model resnet --pattern window:x", "Write it as in 'window:5'"),
        ("train --model mlp --topology expander", "`--topology` is of sparse layers, and there are none"),
        ("train --model mlp --sparsity 2", "`sparsity` of MLP must be a number in [0, 1). Received: sparsity=2.0"),
        ("profile --model sparsenet --sparsity 0.5", "`--sparsity` is not for sparsenet"),
        ("profile --model densenet121 --input-shape 224 224", "three numbers"),
        ("train --model mlp --prune-frequency 5", "`--prune-frequency` belongs to --prune. Pass that, too."),
        ("train --model mlp --prune-once", "`--prune-once` belongs to --prune"),
        ("train --model mlp --prune 0.9 --rewire-drop 0.2", "`--rewire-drop` belongs to --rewire"),
        ("train --model mlp --densify-period 5", "`--densify-period` belongs to --densify"),
        ("train --model mlp --sparsify-exclude last", "`--sparsify-exclude` belongs to --sparsify"),
        (
            "train --model mlp --prune 1.5",
            "`--prune` must be a number in [0, 1). Received: sparsity=1.5. It is a fraction",
        ),
        ("train --model mlp --sparsify 1", "must be a number in [0, 1)"),
        ("train --model mlp --densify 0", "must be a number in [1e-09, 1]"),
        ("train --model mlp --prune 0.9 --prune-pattern stripes", "'unstructured'"),
        ("train --model mlp --sparsify 0.5 --sparsify-exclude nowhere", "`--sparsify-exclude` must name layers with a"),
        ("train --model mlp --sparsify 0.5 --sparsify-exclude nowhere", "They are: hidden1, predictions."),
        (
            "train --model mlp --prune 0.9 --prune-begin 9 --prune-end 3",
            "`--prune-end` must be an integer >= 9. Received: end=3. It may not lie before `--prune-begin`.",
        ),
        ("train --model mlp --prune 0.9 --prune-begin -1 --prune-once", "`--prune-begin` must be an integer >= 0"),
        ("train --model mlp --prune 0.9 --prune-frequency 0", "`--prune-frequency` must be an integer >= 1"),
        ("train --model mlp --prune 0.9 --prune-once --prune-end 2", "`--prune-once` must be false with `--prune-end`"),
        ("train --model mlp --prune 0.5 --prune-pattern 3:2", "`n` of `--prune-pattern 3:2` must be an integer in [1"),
        ("train --model mlp --prune 0.9 --prune-pattern 2:4", "`--prune` must be a number in [0, 0.5]"),
        ("train --model mlp --sparsify 0.5 --rewire set --rewire-drop 2", "`--rewire-drop` must be a number in [0, 1)"),
        (
            "train --model mlp --sparsify 0.9 --densify 0.5 --densify-final 0.1",
            "`--densify-final` must be a number in [0.5, 1]. Received: final=0.1. It may not lie below `--densify`.",
        ),
        ("prune nowhere.keras --to 0.9", "`MODEL.keras` must be a saved Keras model. Received: model='"),
        ("prune nowhere.keras --to 0.9", "nowhere.keras'. There is no such file."),
        (
            "prune --resume --output nowhere",
            "must be a folder in which a run was begun, to resume it. Received: nowhere",
        ),
        ("prune m.keras --to 90", "`--to` must be a number in [0, 1). Received: sparsity=90.0. It is a fraction"),
        ("train --model sparsenett", "`--model` must be one of"),
        ("prune nowhere.keras --to 0.9 --resume", "`--resume` needs the folder of the run"),
        ("prune nowhere.keras --to 0.9 --dataset mnits", "Did you mean 'mnist'?"),
        ("prune nowhere.keras --to 0.9 --epochs 0", "`--epochs` must be an integer >= 1"),
        ("prune mlp --to 0.9", "saved Keras model"),
        ("prune m.keras --to 0.5 --pattern 3:2", "`n` of `--pattern 3:2` must be"),
        ("study", "`NAME` must be a study: beyond, complexity, "),
        ("study complexities", "Did you mean 'complexity'?"),
        ("report nowhere", "'nowhere' is no folder. Pass what `--output` of train, prune, search or study named."),
        ("report nowhere --output report.pdf", "`--output` must be a file, *.html. Received: output='report.pdf'"),
        ("study complexity --jobs 0 --output {tmp}/x", "`--jobs` must be an integer >= 1"),
        ("prune m.keras --to 0.5 --begin 9 --end 3", "`--end` must be an integer >= 9. Received: end=3. It may not"),
    ],
)
def test_bad_values_exit_with_2_and_one_message(command, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(command.format(tmp=tmp_path).split()) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith(f"keras-sparse {command.split()[0]}: error: ")
    assert "Traceback" not in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    "command",
    [
        "train --epochs two",
        "train --bogus",
        "fly",
        "profile",
        "train --precision half",
        "train --sparsity x",
        "prune model.keras --to much",
        "prune model.keras --to 0.9 --criterion size",
        "train --rewire rogl",
        "train --prune",
    ],
)
def test_unusable_command_lines_exit_with_2(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(command.split())
    assert stopped.value.code == 2
    assert "usage: keras-sparse" in capsys.readouterr().err
