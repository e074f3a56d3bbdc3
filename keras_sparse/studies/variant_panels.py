"""Panels of a figure, one for each variant of a sweep."""

import math

from keras_sparse.studies.spreads import by

COLUMNS = 3


def figure_size(rows, height=4.0):
    """Inches of a figure with a panel for each variant in `rows`, and of that height in each row of panels."""
    count = len(by(rows, "variant"))
    return 4.4 * min(COLUMNS, count), height * math.ceil(count / COLUMNS)


def variant_panels(figure, rows, ylabel, **arguments):
    """Panels, three in a row, of which the first is labelled: list of `(axes, variant, its rows)`."""
    variants = by(rows, "variant")
    lines, columns = math.ceil(len(variants) / COLUMNS), min(COLUMNS, len(variants))
    grid = figure.subplots(lines, columns, squeeze=False, **arguments)
    for axes in grid[:, 0]:
        axes.set_ylabel(ylabel)
    for axes in grid.flat[len(variants) :]:
        axes.set_axis_off()
    panels = []
    for axes, ((variant,), group) in zip(grid.flat, variants.items(), strict=False):  # there may be places left over
        axes.set_title(variant)
        axes.grid(alpha=0.3)
        panels.append((axes, variant, group))
    return panels


def label_degrees(axes):
    """The horizontal axis is the fraction of connections."""
    axes.set_xscale("log")
    axes.set_xlabel("fraction of connections")
