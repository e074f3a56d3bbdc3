"""Networks that pruning has left, and new weights on their connections."""

import math

from keras_sparse.studies.error_axis import error_of, log_errors
from keras_sparse.studies.pruning_runs import (
    DENSE,
    FASTER,
    FOUND,
    ITERATIVE,
    LONGER,
    NEW,
    ONE_TIME,
    SCALED,
    PruningRuns,
)
from keras_sparse.studies.shared_legend import shared_legend
from keras_sparse.studies.spreads import by, paired, percent, points, spread

PUBLISHED = {("lenet5", ONE_TIME, 0.95): 0.9832, ("lenet5", ITERATIVE, 0.95): 0.9854}


class PrunedStructures(PruningRuns):
    """Iterative and one-time pruning, then new weights on the connections that are left."""

    paper = "Alford et al., 2018, Figs. 7 and 8"
    claim = (
        "Iterative pruning reaches 95% sparsity without loss and 99% with less than a point; trained anew on its "
        "connections, LeNet-300-100 is as good as dense up to 90%; on those of one-time pruning it is worse. LeNet-5 "
        "with new weights gets stuck at different levels, less so at a higher learning rate."
    )
    published = (
        "LeNet-5 with new weights at 95%: 98.32 on the connections of one-time pruning, 98.54 on those of iterative "
        "pruning, of the runs that went well.",
        "The other points of the figures are not printed.",
    )

    def table(self, rows):
        titles = ("network", "pruning", "sparsity", FOUND, NEW, "lowest to highest", FASTER, SCALED)
        cells = []
        for (network, method, sparsity), group in by(self._last(rows), "network", "method", "sparsity").items():
            some = {weights: found for (weights,), found in by(group, "weights").items()}
            accuracies = [row["accuracy"] for row in some.get(NEW, ())]
            extremes = f"{100 * min(accuracies):.2f} to {100 * max(accuracies):.2f}" if len(accuracies) > 1 else ""
            means = [percent(some[weights], "accuracy") if weights in some else "" for weights in titles[3:]]
            means[2] = extremes
            cells.append((network, method, f"{sparsity:.0%}", *means))
        return titles, cells

    def findings(self, rows):
        lines = []
        for (network,), group in by(self._last(rows), "network").items():
            dense, longer = ([row for row in group if row["method"] == method] for method in (DENSE, LONGER))
            if not dense:  # not done yet
                continue
            some = by(group, "method", "weights", "sparsity")
            lines += [
                f"{network}: dense {percent(dense, 'accuracy')}, trained on {percent(longer, 'accuracy')}; above the "
                "former, in points, after iterative pruning (claim: no loss at 95%, less than 1 point at 99%): "
                f"{self._above(some, ITERATIVE, FOUND, dense)}.",
                f"{network}: with new weights on those connections (claim, for LeNet-300-100: no loss up to 90%): "
                f"{self._above(some, ITERATIVE, NEW, dense)}; on those of one-time pruning (claim: worse): "
                f"{self._above(some, ONE_TIME, NEW, dense)}.",
            ]
            higher, scaled = (self._above(some, ITERATIVE, weights, dense) for weights in (FASTER, SCALED))
            if higher:
                lines.append(
                    f"{network}: with new weights and the higher rate (claim, for LeNet-5: better): {higher}; with "
                    f"scaled weights: {scaled}."
                )
            compared = {
                "iterative": (ITERATIVE, NEW),
                "one-time": (ONE_TIME, NEW),
                "iterative at the higher rate (claim: smaller)": (ITERATIVE, FASTER),
                "iterative with scaled weights": (ITERATIVE, SCALED),
            }
            for what, column, unit in (("accuracy, in points,", "accuracy", 100), ("test loss", "loss", 1)):
                deviations = {name: _deviations(some, *which, column, unit) for name, which in compared.items()}
                found = [f"{name} {values}" for name, values in deviations.items() if values]
                if found:
                    lines.append(
                        f"{network}: standard deviation of the {what} with new weights (claim, for LeNet-5: large): "
                        f"{'; '.join(found)}."
                    )
            for (name, method, sparsity), published in PUBLISHED.items():
                found = some.get((method, NEW, sparsity))
                if name == network and found:
                    best = max(row["accuracy"] for row in found)
                    lines.append(
                        f"{network}, {method} {sparsity:.0%}, new weights: {percent(found, 'accuracy')}, best "
                        f"{best:.2%}; published {published:.2%}."
                    )
        return lines

    def _above(self, some, method, weights, dense):
        gaps = {one: paired(some.get((method, weights, one), ()), dense) for one in self.settings["sparsities"]}
        return ", ".join(f"{one:.0%} {points(*spread(gap))}" for one, gap in gaps.items() if gap)

    def plot(self, rows):
        from matplotlib.figure import Figure

        networks = by(rows, "network")
        figure = Figure(figsize=(11, 8), layout="constrained")
        top, bottom = figure.subfigures(2, 1, height_ratios=(1.1, 1))
        panels = top.subplots(1, len(networks), squeeze=False)[0]
        for axes, ((network,), group) in zip(panels, networks.items(), strict=True):
            self._plot_accuracies(axes, network, self._last(group))
        shared_legend(top)
        shown = [sparsity for sparsity in self.settings["sparsities"] if sparsity != 0.5]
        network = max(networks, key=lambda one: self.settings["networks"][one[0]]["initializations"])[0]
        panels = bottom.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, sparsity in zip(panels, shown, strict=True):
            self._plot_curves(axes, [row for row in networks[network,] if row["sparsity"] == sparsity])
            axes.set_title(f"{network}, new weights, {sparsity:.0%}", fontsize=10)
        panels[0].set_ylabel("test error (%)")
        shared_legend(bottom)
        return figure

    def _plot_accuracies(self, axes, network, rows):
        sparsities = self.settings["sparsities"]
        lines = ((ITERATIVE, FOUND), (ITERATIVE, NEW), (ONE_TIME, FOUND), (ONE_TIME, NEW), (ITERATIVE, SCALED))
        for i, (method, weights) in enumerate(lines):
            some = by([row for row in rows if (row["method"], row["weights"]) == (method, weights)], "sparsity")
            found = sorted(some)
            if not found:
                continue
            means, errors = zip(*(spread([error_of(row) for row in some[one]]) for one in found), strict=True)
            axes.errorbar(
                [sparsities.index(one) for (one,) in found], means, errors, color=f"C{i // 2 if i < 4 else 2}",
                linestyle="-:"[weights != FOUND], marker="os"[weights != FOUND], markersize=4, capsize=2, linewidth=1,
                label=f"{method}, {'as pruned' if weights == FOUND else weights}",
            )  # fmt: skip
        for (name, method, sparsity), published in PUBLISHED.items():
            if name == network and sparsity in sparsities:
                axes.plot(
                    sparsities.index(sparsity), 100 - 100 * published, "*", color=f"C{int(method == ONE_TIME)}",
                    markersize=11, markeredgecolor="k", label=f"{method}, new weights, published",
                )  # fmt: skip
        dense = [error_of(row) for row in rows if row["method"] == DENSE]
        if dense:
            axes.axhline(spread(dense)[0], color="0.3", linewidth=1, linestyle="--", label="dense")
        log_errors(axes)
        axes.set_xticks(range(len(sparsities)), [f"{sparsity:.0%}" for sparsity in sparsities])
        axes.set_xlabel("sparsity")
        axes.set_ylabel("test error (%)")
        axes.set_title(network)

    @staticmethod
    def _plot_curves(axes, rows):
        for i, (method, weights) in enumerate(((ITERATIVE, NEW), (ONE_TIME, NEW), (ITERATIVE, SCALED))):
            chosen = [row for row in rows if (row["method"], row["weights"]) == (method, weights)]
            for j, curve in enumerate(by(chosen, "seed", "initialization").values()):
                axes.plot(
                    [row["epoch"] for row in curve], [error_of(row) for row in curve], color=f"C{i}", linewidth=1,
                    label=None if j else f"{method}, {weights}",
                )  # fmt: skip
        log_errors(axes)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("epoch")


def _deviations(some, method, weights, column, unit):
    """Of rows with at least two initializations, by sparsity."""
    found = []
    for (one, kind, sparsity), rows in some.items():
        if (one, kind) == (method, weights) and len(rows) > 1:
            found.append(f"{sparsity:.0%} {unit * spread([row[column] for row in rows])[1] * math.sqrt(len(rows)):.2f}")
    return ", ".join(found)
