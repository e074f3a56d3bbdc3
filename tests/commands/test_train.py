"""`keras-sparse train`: one model or several, from options, a recipe, or what was begun."""

import json

import keras

from keras_sparse.cli import build_parser, main
from keras_sparse.commands.train import recipes_of
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


def test_a_field_of_a_file_keeps_its_name(tmp_path, capsys):
    (tmp_path / "recipe.json").write_text(json.dumps({"recipe": {"model": "mlp", "epochs": 0}}))
    assert main(["train", "--recipe", str(tmp_path)]) == 2
    assert "`epochs` of Recipe must be an integer >= 1" in capsys.readouterr().err


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
