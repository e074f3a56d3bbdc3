"""Panels, and what is on their axes."""

import pytest
from matplotlib.figure import Figure

from keras_sparse.studies.error_axis import error_of, log_errors
from keras_sparse.studies.variant_panels import figure_size, variant_panels


@pytest.mark.parametrize(("count", "size", "places"), [(1, (4.4, 4), 1), (3, (13.2, 4), 3), (5, (13.2, 8), 6)])
def test_three_in_a_row(count, size, places):
    figure = Figure()
    names = [f"{i} hidden" for i in range(count)]
    rows = [{"variant": name, "seed": seed} for seed in range(2) for name in names]
    panels = variant_panels(figure, rows, "error")
    assert [axes.get_title() for axes, _, _ in panels] == [variant for _, variant, _ in panels] == names
    assert all(group == [row for row in rows if row["variant"] == variant] for _, variant, group in panels)
    assert [axes.get_ylabel() for axes, _, _ in panels] == ["error" if i % 3 == 0 else "" for i in range(count)]
    assert len(figure.axes) == places
    assert all(not axes.axison for axes in figure.axes[count:])
    assert figure_size(rows) == pytest.approx(size)


def test_errors_have_plain_numbers():
    figure = Figure()
    axes = figure.subplots()
    axes.plot([0, 1], [error_of({"accuracy": accuracy}) for accuracy in (0.98, 0.7)])
    log_errors(axes)
    figure.canvas.draw()
    low, high = axes.get_ylim()
    shown = {
        label.get_text()
        for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
        if low <= place <= high
    }
    assert shown == {"2", "3", "5", "7", "10", "20", "30"}
