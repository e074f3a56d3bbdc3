import csv
import json
import re

import keras
import numpy as np
import pytest

import keras_sparse
from keras_sparse.applications import list_models
from keras_sparse.cli import build_parser, main
from keras_sparse.commands.sparse_options import given_verbs
from keras_sparse.commands.train import recipes_of
from keras_sparse.datasets import load
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.training.job import begin_job, read_job

TINY = ["--depth", "10", "--growth-rate", "4", "--epochs", "1", "--examples", "60"]
# Where it does not matter what is trained: what trains fastest.
QUICK = ["--model", "mlp", "lenet_300_100", "--epochs", "1", "--examples", "60"]


def test_train_two_models_side_by_side(tmp_path, capsys):
    arguments = ["train", "--model", "sparsenet", "densenet", *TINY, "--output", str(tmp_path / "out")]
    assert main([*arguments, "--quiet"]) == 0
    table = capsys.readouterr().out
    assert all(word in table for word in ("test accuracy", "parameters", "MACs", "seconds", "sparsenet", "densenet"))
    assert "epoch 1/1" not in table
    assert (tmp_path / "out" / "densenet" / "best.keras").is_file()
    # Once more without --resume is refused, with it reports the same.
    assert main([*arguments, "--quiet"]) == 2
    assert "--resume" in capsys.readouterr().err
    assert main(["train", "--resume", "--output", str(tmp_path / "out"), "--quiet"]) == 0
    assert capsys.readouterr().out == table
    assert main([*arguments, "--resume", "--seed", "9"]) == 2
    assert "They differ in: seed" in capsys.readouterr().err
    assert main([*arguments, "--resume", "--quiet"]) == 0


def test_several_models_are_resumed_whole_and_in_order(tmp_path, capsys):
    """Killed while the first of two trained: nothing of the second is there but its name."""
    begin_job(tmp_path, recipes_of(build_parser().parse_args(["train", *QUICK])), None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.json"]
    assert main(["train", "--resume", "--output", str(tmp_path), "--quiet"]) == 0
    table = capsys.readouterr().out
    assert table.index("\nmlp") < table.index("\nlenet_300_100")


def test_nothing_to_resume(tmp_path, capsys):
    assert main(["train", "--resume", "--output", str(tmp_path / "mistyped")]) == 2
    assert "folder in which a run was begun" in capsys.readouterr().err
    assert not (tmp_path / "mistyped").exists()


def test_a_start_that_failed_can_be_repeated(tmp_path, capsys):
    output = ["--output", str(tmp_path / "out")]
    assert main(["train", *TINY[:4], "--dataset", "cifar10", "--data-dir", str(tmp_path), *output]) == 2
    assert "tfds build cifar10" in capsys.readouterr().err
    assert main(["train", *QUICK, *output, "--quiet"]) == 0


def test_a_failed_start_does_not_lend_its_data_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    twins = ["train", *QUICK]
    begin_job(tmp_path / "out", recipes_of(build_parser().parse_args(twins)), "somewhere")
    assert read_job(tmp_path / "out")[1] == str(tmp_path / "somewhere")
    assert main([*twins, "--output", "out", "--quiet"]) == 0
    assert read_job(tmp_path / "out")[1] is None


def test_a_recipe_is_repeated(tmp_path, capsys):
    chosen = ["--model", "mlp", "--hidden", "20", *QUICK[3:]]
    assert main(["train", *chosen, "--output", str(tmp_path / "a"), "--quiet"]) == 0
    first = capsys.readouterr().out
    recipe = str(tmp_path / "a" / "recipe.json")
    assert main(["train", "--recipe", recipe, "--output", str(tmp_path / "b"), "--quiet"]) == 0
    rows = [
        line.split()[:-2]  # all columns but the seconds
        for text in (first, capsys.readouterr().out)
        for line in text.splitlines()
        if line.startswith("mlp hidden=[20]")
    ]
    assert len(rows) == 2
    assert rows[0] == rows[1]
    assert main(["train", "--recipe", recipe, "--epochs", "3"]) == 2


def test_without_arguments_the_twins_are_trained_on_digits():
    recipes = recipes_of(build_parser().parse_args(["train"]))
    assert [recipe.model for recipe in recipes] == ["sparsenet", "densenet"]
    assert {recipe.dataset for recipe in recipes} == {"digits"}
    assert all(r.model_arguments == {"depth": 40, "growth_rate": 12, "bottleneck": True} for r in recipes)


def test_options_change_the_twins_only_where_they_say():
    recipes = recipes_of(build_parser().parse_args(["train", "--depth", "22"]))
    assert all(r.model_arguments == {"depth": 22, "growth_rate": 12, "bottleneck": True} for r in recipes)


def test_options_reach_the_recipe():
    command = (
        "train --model sparsenet --depth 100 --growth-rate 16 32 64 --no-bottleneck --pattern all exponential hybrid "
        "--preset sparsenet_paper --dataset cifar100 --epochs 30 --learning-rate-drops 10 20 --precision mixed_bfloat16"
    )
    (recipe,) = recipes_of(build_parser().parse_args(command.split()))
    assert recipe.model_arguments == {
        "depth": 100,
        "growth_rate": [16, 32, 64],
        "bottleneck": False,
        "pattern": ["all", "exponential", "hybrid"],
    }
    assert (recipe.dataset, recipe.epochs, recipe.learning_rate_drops) == ("cifar100", 30, (10, 20))
    assert (recipe.batch_size, recipe.precision) == (64, "mixed_bfloat16")


def test_a_sparse_twin_is_trained_beside_another(tmp_path, capsys):
    command = "train --model lenet_300_100 mlp --width 0.2 --sparsity 0.9 --topology expander --format compact"
    command += f" --epochs 1 --examples 60 --quiet --output {tmp_path / 'out'}"
    assert main(command.split()) == 0
    table = capsys.readouterr().out
    assert "lenet_300_100 width=0.2 sparsity=0.9 topology=expander format=compact  digits" in table
    again = keras.saving.load_model(tmp_path / "out" / "lenet_300_100" / "best.keras")
    assert again.get_layer("hidden1").mask.sum() == 256 * 6


def test_options_of_sparse_twins_reach_the_recipe():
    command = "train --model mlp --hidden 500 300 --activation relu --sparsity 0.9 0.5 --topology rotating expander"
    (recipe,) = recipes_of(build_parser().parse_args([*command.split(), "--sparse-layers", "hidden1", "predictions"]))
    assert recipe.model_arguments == {
        "hidden": [500, 300],
        "activation": "relu",
        "sparsity": [0.9, 0.5],
        "topology": ["rotating", "expander"],
        "sparse_layers": ["hidden1", "predictions"],
    }
    (recipe,) = recipes_of(
        build_parser().parse_args(["train", "--model", "lenet5", "--width", "2", "--sparsity", "same_connections"])
    )
    assert recipe.model_arguments == {"width": 2.0, "sparsity": "same_connections"}


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


@pytest.mark.parametrize("command", [[], ["train"], ["prune"], ["profile"], ["models"]], ids=str)
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


@pytest.mark.parametrize(("command", "missing"), [("prune --to 0.5", "MODEL.keras"), ("prune model.keras", "--to")])
def test_prune_says_what_is_missing(command, missing, capsys):
    assert main(command.split()) == 2
    assert f"`{missing}` is missing" in capsys.readouterr().err


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def masks(path):
    model = keras.saving.load_model(path, compile=False)
    return [layer.mask for layer in model.layers if isinstance(layer, SparseKernel)]


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """File of a model of stock layers that has learnt a little, and its accuracy on the test images."""
    keras.utils.set_random_seed(1)
    dataset = load("digits")
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(dataset.image_shape),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(24, activation="relu", name="hidden"),
            layers.Dense(10, name="out"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], jit_compile=False)
    model.fit(
        dataset.train.training_batches(32, 2),
        steps_per_epoch=dataset.train.steps(32),
        epochs=2,
        shuffle=False,
        verbose=0,
    )
    path = tmp_path_factory.mktemp("dense") / "dense.keras"
    model.save(path)
    return path, model.evaluate(dataset.test.batches(256), verbose=0)[1]


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
        "tensorboard",
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


def test_layers_that_a_saved_model_does_not_have_are_refused_before_anything_is_written(dense, tmp_path, capsys):
    output = tmp_path / "out"
    assert main(f"prune {dense[0]} --to 0.5 --exclude hiden --epochs 1 --output {output}".split()) == 2
    assert "`--exclude` must name layers with a kernel" in capsys.readouterr().err
    assert not output.exists()


def test_a_field_of_a_file_keeps_its_name(tmp_path, capsys):
    (tmp_path / "recipe.json").write_text(json.dumps({"recipe": {"model": "mlp", "epochs": 0}}))
    assert main(["train", "--recipe", str(tmp_path)]) == 2
    assert "`epochs` of Recipe must be an integer >= 1" in capsys.readouterr().err


def test_the_table_says_what_was_pruned(tmp_path, capsys):
    command = f"train --model mlp --hidden 20 --epochs 1 --examples 60 --prune 0.75 --output {tmp_path} --quiet"
    assert main(command.split()) == 0
    assert "0.75" in capsys.readouterr().out


def test_the_recipe_of_a_pruned_file_can_be_repeated_from_anywhere(dense, tmp_path, monkeypatch):
    monkeypatch.chdir(dense[0].parent)
    command = f"prune dense.keras --to 0.8 --epochs 1 --examples 60 --quiet --output {tmp_path / 'a'}"
    assert main(command.split()) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--recipe", "a", "--output", "b", "--quiet"]) == 0
