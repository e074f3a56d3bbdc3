"""Published counts of parameters and operations beside ours."""

import math

import keras

from keras_sparse.analysis import profile
from keras_sparse.studies.published_counts import PUBLISHED_COUNTS
from keras_sparse.studies.shared_legend import shared_legend
from keras_sparse.studies.study import Study


class Counts(Study):
    """Every parameter count and FLOP figure of the two SparseNet papers, beside what this package builds."""

    paper = "Zhu et al., 2018, Tables 2 to 4; Nijhawan et al., Figs. 5 and 7"
    claim = (
        "SparseNets have fewer parameters and operations than DenseNets of the same depth and growth rate; as printed."
    )
    protocol = (
        "Each network is built, its trained values are counted and, for ImageNet, its multiply-adds for one image, two "
        "operations each. A count is right if it rounds to what is printed (figures of the study: rounds or is cut "
        "to). Left out are networks of others that the tables list to compare with and this package does not build: "
        "wide ResNets, FractalNet, pruned ones, and the ResNet of two 3x3 convolutions."
    )
    published = (
        "All counts are in the columns `printed`. Where no reading of the paper gives the printed count, `by rule` is "
        "what its own rule for building the network gives.",
    )
    scales = {"smoke": {"deepest": 40}, "cpu": {"deepest": 2000}, "full": {"deepest": 2000}}  # noqa: RUF012

    def pieces(self):
        return {
            f"{row.source}: {row.label}": {"index": index}
            for index, row in enumerate(PUBLISHED_COUNTS)
            if row.arguments.get("depth", 121) <= self.settings["deepest"]
        }

    def run_piece(self, data_dir, folder, index):
        published = PUBLISHED_COUNTS[index]
        with keras.StatelessScope(initialize_variables=False):  # shapes are enough
            model = published.build()
            gflops = None if published.gflops is None else 2 * profile(model).macs / 1e9
        return [
            {
                "source": published.source,
                "network": published.label,
                "printed": published.parameters,
                "decimals": published.decimals,
                "by_rule": published.by_rule,
                "ours": sum(math.prod(variable.shape) for variable in model.trainable_variables) / 1e6,
                "printed_gflops": published.gflops,
                "ours_gflops": gflops,
            }
        ]

    def table(self, rows):
        titles = (
            "source", "network", "printed (M)", "ours (M)", "difference", "by rule (M)", "printed GFLOPs", "ours",
            "difference",
        )  # fmt: skip
        cells = []
        for row in rows:
            printed, ours = row["printed_gflops"], row["ours_gflops"]
            has_flops = printed is not None
            cells.append(
                (
                    row["source"],
                    row["network"],
                    f"{row['printed']:.{row['decimals']}f}",
                    f"{row['ours']:.{row['decimals'] + 1}f}",
                    difference(row["ours"], row["printed"]),
                    "" if row["by_rule"] is None else f"{row['by_rule']:g}",
                    f"{printed:g}" if has_flops else "",
                    f"{ours:.2f}" if has_flops else "",
                    difference(ours, printed) if has_flops else "",
                )
            )
        return titles, cells

    def findings(self, rows):
        right = [row for row in rows if is_as_printed(row)]
        lines = [f"{len(right)} of {len(rows)} counts of parameters are as printed."]
        for row in rows:
            if row not in right:
                lines.append(
                    f"{row['source']}, {row['network']}: {row['printed']}M is printed, {row['ours']:.4g}M is what the "
                    "rule gives."
                )
        flops = [row for row in rows if row["printed_gflops"] is not None]
        if flops:
            near = [row for row in flops if abs(row["ours_gflops"] / row["printed_gflops"] - 1) < 0.01]
            lines.append(f"{len(near)} of {len(flops)} figures of operations agree within 1%.")
        return lines

    def plot(self, rows):
        from matplotlib.figure import Figure

        panels = {"million parameters": ("printed", "ours", rows)}
        counted = [row for row in rows if row["printed_gflops"] is not None]
        if counted:
            panels["thousand million operations"] = ("printed_gflops", "ours_gflops", counted)
        figure = Figure(figsize=(5.4 * len(panels), 5.4), layout="constrained")
        sources = sorted({row["source"] for row in rows})
        row = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (unit, (x, y, some)) in zip(row, panels.items(), strict=True):
            for i, source in enumerate(sources):
                pairs = [(row[x], row[y]) for row in some if row["source"] == source]
                if pairs:
                    axes.loglog(
                        *zip(*pairs, strict=True), "ox+s^"[i % 5], color=f"C{i}", markersize=7, fillstyle="none",
                        label=source,
                    )  # fmt: skip
            ends = [limit(row[x] for row in some) for limit in (min, max)]
            axes.loglog(ends, ends, color="0.6", linewidth=0.8, label="the same")
            axes.set_xlabel(f"printed ({unit})")
            axes.set_ylabel("ours")
            axes.grid(alpha=0.3)
        shared_legend(figure)
        return figure


def difference(ours, printed):
    return f"{ours / printed - 1:+.2%}"


def is_as_printed(row):
    """Whether our count rounds, or with four decimals is cut, to the printed one."""
    tolerance = 1.01e-4 if row["decimals"] == 4 else 0.51 * 10 ** -row["decimals"]
    return abs(row["ours"] - row["printed"]) <= tolerance
