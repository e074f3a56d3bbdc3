"""How the trained weights of the first layer are distributed, against sparsity."""

from keras_sparse.studies.shared_legend import shared_legend
from keras_sparse.studies.snn_sweep import CONSTRUCTIONS, DENSE, STANDARDIZED, VARIANTS, SnnSweep
from keras_sparse.studies.spreads import brief, by, rank_correlation, spread
from keras_sparse.studies.variant_panels import figure_size, label_degrees, variant_panels

MEASURES = ("standard deviation", "minimum", "maximum")


class WeightStatistics(SnnSweep):
    """Standard deviation, minimum and maximum of the trained connected weights against degree and hidden units."""

    paper = "Bourely et al., 2017, Fig. 6"
    claim = (
        "The more connections and hidden units, the smaller the standard deviation, maximum and (absolute) minimum of "
        "the connected weights; the construction matters little."
    )
    published = ("A figure without numbers.",)

    def table(self, rows):
        titles = ("network", "construction", "degree", *MEASURES)
        cells = [
            (variant, construction, f"{degree:.1%}", *(brief([row[one] for row in group]) for one in MEASURES))
            for (variant, construction, degree), group in by(rows, "variant", "construction", "degree").items()
        ]
        return titles, cells

    def findings(self, rows):
        lines = []
        for (variant,), group in by(rows, "variant").items():
            degrees = [row["degree"] for row in group]
            found = []
            for measure in MEASURES:
                coefficient, low, high = rank_correlation(degrees, [abs(row[measure]) for row in group])
                found.append(f"{measure} {coefficient:.2f} [{low:.2f}, {high:.2f}]")
            lines.append(f"{variant}: rank correlation of degree with {', '.join(found)}; the claim is that all fall.")
        # By size, where nothing else differs.
        plain = {variant: VARIANTS[variant].hidden[0] for (variant,) in by(rows, "variant") if _is_plain(variant)}
        for (degree,), group in by([row for row in rows if row["variant"] in plain], "degree").items():
            found = by(group, "variant")
            means = {plain[one]: spread([row[MEASURES[0]] for row in found[one,]])[0] for one in plain}
            listed = ", ".join(f"{size}: {means[size]:.3g}" for size in sorted(means))
            lines.append(f"{MEASURES[0]} at {degree:.1%} by hidden units: {listed}.")
        return lines

    def plot(self, rows):
        from matplotlib.figure import Figure

        figure = Figure(figsize=figure_size(rows), layout="constrained")
        panels = variant_panels(figure, rows, "weight: deviation (line), minimum, maximum", sharey=True)
        for axes, _, group in panels:
            for i, construction in enumerate([*CONSTRUCTIONS, DENSE]):
                found = by([row for row in group if row["construction"] == construction], "degree")
                for measure, style in zip(MEASURES, ("-o", ":v", ":^"), strict=True):
                    spreads = [spread([row[measure] for row in some]) for some in found.values()]
                    axes.errorbar(
                        [degree for (degree,) in found], *zip(*spreads, strict=True), fmt=style, color=f"C{i}",
                        markersize=4, linewidth=1, label=construction if measure == MEASURES[0] else None,
                    )  # fmt: skip
            label_degrees(axes)
        shared_legend(figure)
        return figure


def _is_plain(variant):
    how = VARIANTS[variant]
    return len(how.hidden) == 1 and not how.dropout and variant != STANDARDIZED
