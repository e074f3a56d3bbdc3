from keras_sparse.training import Recipe, RunResult, comparison_table
from keras_sparse.training.comparison import label


def result(recipe, seconds, **changes):
    history = [{"seconds": second} for second in seconds]
    values = {"test_accuracy": 0.98765, "test_loss": 0.1, "parameters": 124_246, "macs": 34_600_000, **changes}
    return RunResult(recipe=recipe, **values, seconds=sum(seconds), history=history, output=None)


def test_columns():
    sparse = Recipe("sparsenet", {"depth": 40, "growth_rate": 12}, epochs=3)
    dense = Recipe("densenet", {"depth": 100, "growth_rate": 12}, dataset="cifar100", epochs=2)
    small = {"parameters": 1_276, "macs": 5, "test_accuracy": 1.0}
    # The median of the epochs' seconds: the first one also traces the graph.
    assert comparison_table([result(sparse, (9.0, 2.0, 1.5)), result(dense, (150.0, 2.0), **small)]).splitlines() == [
        "model                              data      epochs  test accuracy  parameters   MACs  seconds  s/epoch",
        "-------------------------------------------------------------------------------------------------------",
        "sparsenet depth=40 growth_rate=12  digits         3         98.77%     124,246  34.6M     12.5     2.00",
        "densenet depth=100 growth_rate=12  cifar100       2        100.00%       1,276      5    152.0   150.00",
    ]


def test_top_5_accuracy_stands_beside_the_other():
    table = comparison_table([result(Recipe("sparsenet121", dataset="imagenet2012"), (1.0,), test_top_5_accuracy=0.9)])
    assert "98.77%, top-5 90.00%" in table


def test_labels_show_what_was_chosen():
    recipe = Recipe("sparsenet", {"depth": 40, "growth_rate": [8, 16, 32], "bottleneck": True})
    assert label(recipe) == "sparsenet depth=40 growth_rate=[8,16,32] bottleneck"


def test_a_file_is_labelled_by_its_name():
    assert label(Recipe("/a/long/way/to/dense.keras", prune={"sparsity": 0.9})) == "dense.keras prune=0.9"
