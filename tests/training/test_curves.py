"""The history of a run as a figure."""

import pytest

from keras_sparse.training.curves import plot_history

ROWS = [
    {"epoch": e, "loss": 2 / e, "accuracy": 0.5 + 0.1 * e, "val_loss": 3 / e, "val_accuracy": 0.4 + 0.1 * e}
    for e in (1, 2, 3)
]
SPARSE = [{**row, "sparsity": 0.3 * row["epoch"], "churn": 0.4 / row["epoch"]} for row in ROWS]


def lines(axes):
    return {line.get_label(): list(zip(*line.get_data(), strict=True)) for line in axes.get_lines()}


def test_two_panels_where_nothing_moves():
    figure = plot_history(ROWS, title="a run")
    assert figure.get_suptitle() == "a run"
    assert [axes.get_ylabel() for axes in figure.axes] == ["cross-entropy", "accuracy"]
    loss, accuracy = map(lines, figure.axes)
    assert loss == {"training": [(1, 2), (2, 1), (3, 2 / 3)], "validation": [(1, 3), (2, 1.5), (3, 1)]}
    assert accuracy["validation"] == [(row["epoch"], row["val_accuracy"]) for row in ROWS]


def test_a_panel_of_sparsity_and_churn_where_connections_move():
    figure = plot_history(SPARSE, title="a run")
    assert len(figure.axes) == 3
    last = figure.axes[-1]
    curves = lines(last)
    assert curves["sparsity"] == [(row["epoch"], row["sparsity"]) for row in SPARSE]
    assert list(curves.values())[1] == [(row["epoch"], row["churn"]) for row in SPARSE]
    assert last.get_ylim() == (0, 1)
    assert [text.get_text() for text in last.get_legend().get_texts()] == list(curves)
    assert figure.get_size_inches()[0] == pytest.approx(1.5 * plot_history(ROWS, "").get_size_inches()[0])


def test_marks_at_the_end_of_an_axis_are_whole():
    perfect = [{**row, "accuracy": 1.0, "val_accuracy": 1.0} for row in ROWS]
    accuracy = plot_history(perfect, title="").axes[1]
    assert accuracy.get_ylim() == (0, 1)
    assert not any(line.get_clip_on() for line in accuracy.get_lines())


@pytest.mark.parametrize("rows", [[], ROWS[:1], SPARSE[:1]])
def test_no_epoch_or_one(rows, tmp_path):
    plot_history(rows, title="").savefig(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_epochs_are_whole_numbers():
    figure = plot_history(SPARSE[:2], title="")
    figure.canvas.draw()
    for axes in figure.axes:
        assert all(tick == round(tick) for tick in axes.get_xticks())
