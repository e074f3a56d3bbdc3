"""Panels of a figure, one for each variant of a sweep."""

import math

COLUMNS = 3


def figure_size(variants, height=4.0):
    """Inches of a figure of `variants` panels, and of rows of that height."""
    return 4.4 * min(COLUMNS, variants), height * math.ceil(variants / COLUMNS)


def variant_panels(figure, variants, ylabel, **arguments):
    """Axes for each of the named variants, three in a row; the first of a row is labelled."""
    rows, columns = math.ceil(len(variants) / COLUMNS), min(COLUMNS, len(variants))
    grid = figure.subplots(rows, columns, squeeze=False, **arguments)
    for axes in grid[:, 0]:
        axes.set_ylabel(ylabel)
    for axes in grid.flat[len(variants) :]:
        axes.set_axis_off()
    panels = list(grid.flat[: len(variants)])
    for axes, variant in zip(panels, variants, strict=True):
        axes.set_title(variant)
        axes.grid(alpha=0.3)
    return panels


def label_degrees(axes):
    """The horizontal axis is the fraction of connections."""
    axes.set_xscale("log")
    axes.set_xlabel("fraction of connections")
