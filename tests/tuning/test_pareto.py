from pathlib import Path

import pytest

from keras_sparse.tuning.paper_points import PAPER_POINTS, paper_points
from keras_sparse.tuning.pareto import pareto_front
from keras_sparse.tuning.pareto_figure import plot_pareto
from keras_sparse.tuning.trials import Trial


def trial(name, accuracy, parameters, macs, status="completed"):
    scores = [] if accuracy is None else [accuracy]
    return Trial(name, status, {}, Path(name), scores, accuracy, accuracy, parameters, macs, 1, 1.0)


TRIALS = [
    trial("large", 0.9, 300, 10),
    trial("small", 0.5, 100, 30),
    trial("worse", 0.4, 200, 20),
    trial("equal", 0.9, 300, 10),
    trial("best", 0.95, 400, 40),
    trial("failed", None, None, None, "failed"),
    trial("ended", 0.6, 100, 50, "stopped"),
]


def test_front():
    assert [t.name for t in pareto_front(TRIALS, "parameters")] == ["ended", "large", "best"]
    assert [t.name for t in pareto_front(TRIALS, "macs")] == ["large", "best"]
    assert pareto_front([], "macs") == []


@pytest.mark.parametrize(("dataset", "papers"), [("digits", 0), ("cifar10", 4), ("cifar100", 4)])
def test_figure(dataset, papers):
    figure = plot_pareto(TRIALS, dataset)
    left, right = figure.axes
    labels = left.get_legend_handles_labels()[1]
    assert {"trials", "ended early", "Pareto front"} <= set(labels)
    assert sum("as printed" in label for label in labels) == papers
    assert not any("as printed" in label for label in right.get_legend_handles_labels()[1])
    front = next(line for line in left.lines if line.get_label() == "Pareto front")
    assert front.get_xydata().ravel() == pytest.approx([100, 0.4, 300, 0.1, 400, 0.05])


def test_no_marker_is_cut_off():
    """Errors that are high, and close to each other."""
    trials = [trial("a", 0.1, 100, 10), trial("b", 0.12, 200, 20)]
    assert plot_pareto(trials, "digits").axes[0].get_ylim() == pytest.approx((0, 1.06 * 0.9))
    assert plot_pareto([trial("right", 1.0, 100, 10)], "digits").axes[0].get_ylim() == (0, 1.06)


def test_papers_points():
    assert paper_points("digits") == {}
    smallest, *_, largest = paper_points("cifar10")["SparseNet-BC"]
    assert smallest == pytest.approx((1.5e6, 0.0403))
    assert largest == pytest.approx((16.7e6, 0.0322))
    assert paper_points("cifar100")["DenseNet"][0] == pytest.approx((1.1e6, 0.2479))
    assert sum(map(len, PAPER_POINTS.values())) == 17
