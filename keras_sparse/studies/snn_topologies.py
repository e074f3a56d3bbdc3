"""Accuracy of six constructions against their degree."""

from keras_sparse.studies.error_axis import error_of, log_errors
from keras_sparse.studies.shared_legend import shared_legend
from keras_sparse.studies.snn_sweep import CONSTRUCTIONS, DENSE, SnnSweep
from keras_sparse.studies.spreads import by, differs, paired, percent, points, spread
from keras_sparse.studies.variant_panels import figure_size, label_degrees, variant_panels


class SnnTopologies(SnnSweep):
    """Accuracy of the six constructions of the SNN paper against degree, with sizes, dropout and a second layer."""

    paper = "Bourely et al., 2017, Figs. 1 to 4"
    claim = (
        "Accuracy does not drop steeply until well below 10% of the connections remain; regular and Fibonacci rotating "
        "networks exceed dense ones at medium sparsity, also with dropout and with two hidden layers; of few "
        "connections, Fibonacci makes the best use."
    )
    published = (
        "The figures print no numbers. The one in the text: 784-500-300-10 with 30% of the connections is 0.15 points "
        "above dense.",
    )

    def table(self, rows):
        titles = ["network", "construction", *(f"{degree:.1%}" for degree in self._degrees(rows))]
        cells = []
        for (variant, construction), group in by(rows, "variant", "construction").items():
            found = by(group, "degree")
            values = [found.get((degree,)) for degree in self._degrees(rows)]
            cells.append([variant, construction, *(percent(one, "accuracy") if one else "" for one in values)])
        return titles, cells

    def findings(self, rows):
        lines = []
        for (variant,), group in by(rows, "variant").items():
            dense = [row for row in group if row["construction"] == DENSE]
            values = {}
            for (construction, degree), some in by(group, "construction", "degree").items():
                if construction != DENSE:
                    values[construction, degree] = paired(some, dense)
            gaps = {one: spread(differences) for one, differences in values.items()}
            degrees = [degree for degree in self._degrees(rows) if degree < 1]
            best = {degree: max(CONSTRUCTIONS, key=lambda one: gaps[one, degree][0]) for degree in degrees}
            worst = {degree: min(CONSTRUCTIONS, key=lambda one: gaps[one, degree][0]) for degree in degrees}
            lines.append(
                f"{variant}: above dense, in points, best and worst construction at "
                + "; ".join(
                    f"{degree:.1%}: {best[degree]} {points(*gaps[best[degree], degree])}, {worst[degree]} "
                    f"{points(*gaps[worst[degree], degree])}"
                    for degree in degrees
                )
                + "."
            )
            exceeding = [one for one in gaps if gaps[one][0] > 0 and differs(values[one])]
            lines.append(
                f"{variant}: above dense, with 95% confidence over seeds for each: "
                + (", ".join(f"{construction} at {degree:.1%}" for construction, degree in exceeding) or "none")
                + "."
            )
        return lines

    def plot(self, rows):
        from matplotlib.figure import Figure

        figure = Figure(figsize=figure_size(rows), layout="constrained")
        for axes, variant, group in variant_panels(figure, rows, "test error (%)"):
            for i, construction in enumerate(CONSTRUCTIONS):
                found = by([row for row in group if row["construction"] == construction], "degree")
                means, errors = zip(*(spread(list(map(error_of, some))) for some in found.values()), strict=True)
                axes.errorbar(
                    [degree for (degree,) in found], means, errors, color=f"C{i}", marker="o", markersize=4,
                    capsize=2, linewidth=1, label=CONSTRUCTIONS[construction],
                )  # fmt: skip
            mean, error = spread([error_of(row) for row in group if row["construction"] == DENSE])
            axes.axhline(mean, color="0.3", linewidth=1, linestyle="--", label="dense")
            axes.axhspan(mean - error, mean + error, color="0.3", alpha=0.15)
            if variant == "784-500-300-10":
                axes.plot(0.3, mean - 0.15, "k*", markersize=9, zorder=3, label="published: dense - 0.15 points")
            label_degrees(axes)
            log_errors(axes)
        shared_legend(figure)
        return figure

    @staticmethod
    def _degrees(rows):
        return sorted({row["degree"] for row in rows})
