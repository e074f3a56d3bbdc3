"""Connectivity of the graph between inputs and hidden units against accuracy."""

import math

from keras_sparse.studies.shared_legend import shared_legend
from keras_sparse.studies.snn_sweep import CONSTRUCTIONS, DENSE, SnnSweep
from keras_sparse.studies.spreads import by, percent, rank_correlation, spread
from keras_sparse.studies.variant_panels import figure_size, variant_panels

MEASURES = ("algebraic connectivity", "spectral gap")


class Connectivity(SnnSweep):
    """Algebraic connectivity and spectral gap of the first layer's graph against accuracy."""

    paper = "Bourely et al., 2017, Fig. 5"
    claim = (
        "Connectivity differs between constructions, most where they are sparse, and correlates highly with accuracy."
    )
    protocol = (
        f"{SnnSweep.protocol} Constructions that come out as the same graph, as the rotating ones do with few "
        "connections, count as networks of their own; so do seeds, for the intervals."
    )
    published = ("A figure without numbers, and no coefficient.",)

    def table(self, rows):
        titles = ("network", "construction", "degree", *MEASURES, "accuracy")
        cells = []
        for (variant, construction, degree), group in by(rows, "variant", "construction", "degree").items():
            values = [f"{spread([row[measure] for row in group])[0]:.3g}" for measure in MEASURES]
            cells.append((variant, construction, f"{degree:.1%}", *values, percent(group, "accuracy")))
        return titles, cells

    def findings(self, rows):
        lines = []
        for (variant,), group in by(rows, "variant").items():
            for measure in MEASURES:
                lines.append(f"{variant}: {_in_words(measure, 'all sparse networks', _sparse(group))}")
            for (degree,), some in by(_sparse(group), "degree").items():
                lines.append(f"{variant}: {_in_words(MEASURES[0], f'networks of {degree:.1%}', some)}")
        return lines

    def plot(self, rows):
        from matplotlib.figure import Figure

        width, height = figure_size(rows, 3.4)
        figure = Figure(figsize=(width, len(MEASURES) * height), layout="constrained")
        for measure, part in zip(MEASURES, figure.subfigures(len(MEASURES), 1), strict=True):
            for axes, _, group in variant_panels(part, rows, "test accuracy"):
                for i, construction in enumerate([*CONSTRUCTIONS, DENSE]):
                    points = [row for row in group if row["construction"] == construction]
                    x, y = ([row[column] for row in points] for column in (measure, "accuracy"))
                    axes.plot(x, y, "o", color=f"C{i}", markersize=4, label=construction)
                axes.set_xscale("symlog", linthresh=0.1)
                axes.set_xlabel(measure)
        shared_legend(figure)
        return figure


def _in_words(measure, which, rows):
    coefficient, low, high = rank_correlation([row[measure] for row in rows], [row["accuracy"] for row in rows])
    if math.isnan(coefficient):
        return f"{measure} of {which} does not differ, or there are too few of them."
    return (
        f"rank correlation of {measure} and accuracy, {which} ({len(rows)}): {coefficient:.2f} [{low:.2f}, {high:.2f}]."
    )


def _sparse(rows):
    return [row for row in rows if row["construction"] != DENSE]
