"""Random connections between channels against fewer channels: accuracy, parameters, multiply-adds."""

import itertools
import math

import numpy as np

from keras_sparse.analysis import profile
from keras_sparse.datasets.loading import SOURCES
from keras_sparse.studies.convolutional_networks import build, convolution_counts, recipe_fields
from keras_sparse.studies.counts import difference
from keras_sparse.studies.shared_legend import shared_legend
from keras_sparse.studies.spreads import by, differs, percent, points, spread
from keras_sparse.studies.study import Study
from keras_sparse.training import Recipe

COLUMNS = {"parameters": "parameters of convolutions", "macs": "multiply-adds of convolutions"}
NETWORKS = ("mnist_convnet", "cifarnet", "inception_v3", "vgg16n")  # in the order of the settings
PRINTED = ("printed_parameters", "printed_macs", "printed_accuracy")
# Table 1: (fraction of connections kept, depth multiplier) -> parameters, multiply-adds, precision of Inception-V3.
TABLE_1 = {
    (0.01, 0.5): (90e3, 43e6, 0.403),
    (0.003, 1.0): (158e3, 82e6, 0.461),
    (0.01, 1.0): (287e3, 104e6, 0.523),
    (0.03, 1.0): (724e3, 208e6, 0.595),
    (0.1, 1.0): (2.3e6, 628e6, 0.672),
    (0.3, 1.0): (6.6e6, 1.8e9, 0.73),
    (0.6, 1.0): (13e6, 3.5e9, 0.75),
    (1.0, 1.0): (22e6, 5.7e9, 0.77),
    (1.0, 0.05): (56e3, 55e6, 0.246),
    (1.0, 0.1): (170e3, 75e6, 0.386),
    (1.0, 0.2): (718e3, 183e6, 0.542),
    (1.0, 0.3): (1.8e6, 439e6, 0.64),
    (1.0, 0.5): (5.4e6, 1.4e9, 0.723),
    (1.0, 0.8): (13e6, 3.4e9, 0.756),
}
# Fig. 5 has no numbers: (kept, multiplier) as we choose them.
VGG = ((1.0, 1.0), (0.03, 1.0), (0.1, 1.0), (0.3, 1.0), (1.0, 0.2), (1.0, 0.3), (1.0, 0.5))
FULLY_TRAINED = {"mnist": "99.5%", "cifar10": "87%"}  # in the text, of the full networks


class SparseRandomVsWidth(Study):
    """Accuracy against parameters and multiply-adds of convolutions that are sparse at random, or narrow."""

    paper = "Changpinyo et al., 2017, Figs. 2 to 5, Table 1"
    claim = (
        "With as many parameters, networks with random connections between channels are as accurate as narrower ones, "
        "or more: much more where few connections are left. By multiply-adds narrow ones are better on MNIST."
    )
    protocol = (
        "Sparse: each filter reads a random fraction of the channels, at least one, so that no filter is dead. Narrow: "
        "a fraction of the filters, rounded up; on MNIST and CIFAR-10 its square is the sparse network's fraction, so "
        "that connections match; where rounding parts them, a sparse network is compared with the line between the "
        "narrow ones next to it. Of Inception-V3 filters are rounded down to a multiple of 8, 8 at least, of which the "
        "paper does not speak: that gives what it counts. Fully connected layers keep all connections. Test accuracy "
        "after the last epoch; Nesterov momentum 0.9, batches of 32, a rate of 0.03 divided by ten after half and "
        "after five sixths, images shifted, on CIFAR-10 mirrored. MNIST: the convolutional network of TensorFlow's "
        "tutorial; CIFAR-10: TensorFlow's cifarnet. Where a layer has one input channel the paper cuts filters; here "
        "it stays as it is. "
        "Inception-V3 and VGG-16n are counted at all scales, on images of 299 and 224 pixels (parameters and "
        "multiply-adds of convolutions, without normalisation and classifier), and trained, on ImageNet, at `full`, "
        "by the recipe of the SparseNet paper in 100 epochs."
    )
    published = (
        "Table 1, in the columns `printed`, precision after 100 epochs on ImageNet.",
        "Figs. 2 and 3 print no numbers; the text says 99.5% for the full network on MNIST and 87% on CIFAR-10, and "
        "that on MNIST from 2 million to 2,000 parameters accuracy falls by one point.",
        "VGG-16n: 7 times fewer parameters than VGG-16, and networks up to 30 times smaller than that.",
    )
    scales = {  # noqa: RUF012
        "smoke": {
            "datasets": ("digits", "digits"), "examples": (400, 400), "epochs": (1, 1), "seeds": (1, 1), "kept": (0.1,),
            "dropout": 0.0, "counted": 1,
        },
        "cpu": {
            "datasets": ("mnist", "cifar10"), "examples": (6000, 15000), "epochs": (4, 8), "seeds": (3, 2),
            "kept": (0.01, 0.03, 0.1, 0.3), "dropout": 0.0, "counted": len(TABLE_1),
        },
        "full": {
            "datasets": ("mnist", "cifar10", "imagenet2012", "imagenet2012"), "examples": (None, None, None, None),
            "epochs": (30, 100, 100, 100), "seeds": (5, 2, 1, 1), "kept": (0.003, 0.01, 0.03, 0.1, 0.3, 0.6),
            "dropout": 0.5, "counted": len(TABLE_1),
        },
    }  # fmt: skip

    def pieces(self):
        settings = self.settings
        pieces = {}
        for network, counted in (("inception_v3", TABLE_1), ("vgg16n", VGG), ("vgg16", VGG[:1])):
            for kept, multiplier in tuple(counted)[: settings["counted"]]:
                name = f"{network}, {label(kept, multiplier)}"
                pieces[name] = {"network": network, "kept": kept, "multiplier": multiplier}
        how = (settings[name] for name in ("datasets", "examples", "epochs", "seeds"))
        for network, data, examples, epochs, seeds in zip(NETWORKS, *how, strict=False):
            for (kept, multiplier), seed in itertools.product(designs(network, settings["kept"]), range(seeds)):
                pieces[f"{network}, {data}, {label(kept, multiplier)}, seed {seed}"] = {
                    "network": network, "kept": kept, "multiplier": multiplier, "data": data,
                    "examples": examples, "epochs": epochs, "seed": seed,
                }  # fmt: skip
        return pieces

    def work(self, data=None, examples=None, epochs=None, **arguments):
        # Seconds on a core of 2026: counting Inception-V3, or training on so many images.
        return 20 if data is None else epochs * (examples or 60_000) / 300

    def run_piece(self, data_dir, folder, network, kept, multiplier, data=None, examples=None, epochs=None, seed=0):
        accuracy = None
        if data is None:
            model = build(network, kept, multiplier, seed)
        else:
            source = SOURCES[data]
            arguments = {} if data == "imagenet2012" else {"dropout": self.settings["dropout"]}
            model = build(network, kept, multiplier, seed, source.image_shape, source.classes, **arguments)
            fields = recipe_fields(data, epochs=epochs, examples=examples, seed=seed)
            recipe = Recipe(self.keep(model, folder), **fields)
            accuracy = self.train(recipe, folder / "run", data_dir).test_accuracy
        profiled = profile(model)
        parameters, macs = convolution_counts(profiled)
        printed = TABLE_1[kept, multiplier] if network == "inception_v3" else (None,) * len(PRINTED)
        return [
            {
                "network": network,
                "data": data,
                "kept": kept,
                "multiplier": multiplier,
                "seed": seed,
                "parameters": parameters,
                "macs": macs,
                "all_parameters": profiled.connected_parameters,
                "all_macs": profiled.macs,
                "accuracy": accuracy,
                **dict(zip(PRINTED, printed, strict=True)),
            }
        ]

    def table(self, rows):
        titles = (
            "network", "data", "connections", "filters", "parameters of convolutions", "printed", "difference",
            "their multiply-adds (M)", "printed", "difference", "all parameters", "all multiply-adds (M)", "accuracy",
            "printed",
        )  # fmt: skip
        cells = []
        for (network, data, kept, multiplier), group in by(rows, "network", "data", "kept", "multiplier").items():
            row = group[0]
            compared = []
            for column, unit in (("parameters", 1), ("macs", 1e6)):
                printed = row[f"printed_{column}"]
                compared += [
                    f"{row[column] / unit:,.{0 if unit == 1 else 1}f}",
                    "" if printed is None else f"{printed / unit:,.0f}",
                    "" if printed is None else difference(row[column], printed),
                ]
            cells.append(
                (
                    network, data or "", f"{kept:.1%}", f"{multiplier:.1%}", *compared, f"{row['all_parameters']:,}",
                    f"{row['all_macs'] / 1e6:,.1f}", "" if data is None else percent(group, "accuracy"),
                    "" if row["printed_accuracy"] is None else f"{row['printed_accuracy']:.1%}",
                )
            )  # fmt: skip
        return titles, cells

    def findings(self, rows):
        lines = []
        for (network, data), group in by([row for row in rows if row["data"]], "network", "data").items():
            lines += _of_trained(f"{network} on {data}", group)
        counted = [row for row in rows if row["printed_macs"] and row["data"] is None]
        for which, chosen in (("sparse", lambda row: row["kept"] < 1), ("others", lambda row: row["kept"] == 1)):
            some = [row for row in counted if chosen(row)]
            if some:
                ranges = [_range(row[x] / row[f"printed_{x}"] - 1 for row in some) for x in ("parameters", "macs")]
                lines.append(
                    f"inception_v3, {len(some)} {which}: parameters are {ranges[0]} off the printed, multiply-adds "
                    f"{ranges[1]}."
                )
        sizes = by(rows, "network", "kept", "multiplier", "data")
        if ("vgg16", 1, 1, None) in sizes and ("vgg16n", 1, 1, None) in sizes:
            large, small = (sizes[name, 1, 1, None][0]["all_parameters"] for name in ("vgg16", "vgg16n"))
            lines.append(f"vgg16n has {large / small:.1f} times fewer parameters than vgg16; 7 times is printed.")
        return lines

    def plot(self, rows):
        from matplotlib.figure import Figure

        columns = by([row for row in rows if row["data"]], "network", "data")
        columns |= by([row for row in rows if row["printed_accuracy"] and row["data"] is None], "network", "data")
        figure = Figure(figsize=(4.4 * len(columns), 7.6), layout="constrained")
        grid = figure.subplots(2, len(columns), squeeze=False)
        for line, (column, name) in zip(grid, COLUMNS.items(), strict=True):
            for axes, ((network, data), group) in zip(line, columns.items(), strict=True):
                _panel(axes, group, column)
                axes.set_xlabel(name)
                title = f"{network}, {data}" if data else f"{network}, precision as printed"
                if data in FULLY_TRAINED:
                    title += f"\n(published, full network: {FULLY_TRAINED[data]})"
                axes.set_title(title, fontsize=10)
            line[0].set_ylabel("accuracy")
        shared_legend(figure)
        return figure


def designs(network, kept):
    """List of `(fraction of connections kept, multiplier of filters)`; on small networks the two match."""
    if network == "inception_v3":
        return list(TABLE_1)
    if network == "vgg16n":
        return list(VGG)
    return [(1.0, 1.0), *((k, 1.0) for k in kept), *((1.0, math.sqrt(k)) for k in kept)]


def label(kept, multiplier):
    return f"{kept:.1%} of connections, {multiplier:.1%} of filters"


def above_narrow(rows, column):
    """Dictionary from fractions of connections to what sparse networks are above narrow ones, for each seed.

    A sparse network is compared with the straight line between the narrow networks, of the same seed, that have a
    little less and a little more of what `column` counts, on a logarithmic axis; not where there are none.
    """
    found = {}
    for some in by(rows, "seed").values():
        narrow = sorted((math.log(row[column]), row["accuracy"]) for row in some if row["kept"] == 1)
        for row in some:
            x = math.log(row[column])
            if narrow and row["kept"] < 1 == row["multiplier"] and narrow[0][0] <= x <= narrow[-1][0]:
                expected = np.interp(x, *zip(*narrow, strict=True))
                found.setdefault(row["kept"], []).append(float(row["accuracy"] - expected))
    return found


def _of_trained(name, rows):
    lines = []
    for column, which in COLUMNS.items():
        gaps = above_narrow(rows, column)
        listed = ", ".join(f"{points(*spread(values))} at {kept:.1%}" for kept, values in gaps.items())
        clear = {kept: spread(values)[0] > 0 for kept, values in gaps.items() if differs(values)}
        better, worse = ([f"{kept:.1%}" for kept, above in clear.items() if above == sign] for sign in (True, False))
        lines.append(
            f"{name}, with as many {which}: sparse above narrow networks, in points: {listed or 'none yet'}. "
            f"With 95% confidence sparse ones are better at {', '.join(better) or 'none'}, worse at "
            f"{', '.join(worse) or 'none'}."
        )
    full, smallest = max(rows, key=lambda row: row["parameters"]), min(rows, key=lambda row: row["parameters"])
    groups = by(rows, "kept", "multiplier")
    means = [spread([row["accuracy"] for row in groups[x["kept"], x["multiplier"]]])[0] for x in (full, smallest)]
    lines.append(
        f"{name}: from {full['parameters']:,} to {smallest['parameters']:,} parameters of convolutions accuracy "
        f"changes by {100 * (means[1] - means[0]):+.2f} points."
    )
    return lines


def _range(values):
    values = list(values)
    return f"{min(values):+.1%} to {max(values):+.1%}"


def _panel(axes, rows, column):
    from matplotlib.ticker import LogLocator

    lines = {
        "sparse at random": lambda row: row["multiplier"] == 1,
        "narrow": lambda row: row["kept"] == 1,
        "both": lambda row: row["kept"] < 1 and row["multiplier"] < 1,
    }
    for i, (name, belongs) in enumerate(lines.items()):
        groups = by(filter(belongs, rows), "kept", "multiplier")
        found = sorted(groups.values(), key=lambda group: group[0][column])
        if not found:
            continue
        values = [[_accuracy(row) for row in group] for group in found]
        means, errors = zip(*map(spread, values), strict=True)
        x = [group[0][column] for group in found]
        axes.errorbar(x, means, errors, color=f"C{i}", marker="o", markersize=4, capsize=2, linewidth=1, label=name)
        printed = [group[0] for group in found if group[0]["printed_accuracy"]]
        if printed:
            axes.plot(
                [row[f"printed_{column}"] for row in printed], [row["printed_accuracy"] for row in printed], "s",
                color=f"C{i}", markersize=8, fillstyle="none", label=f"{name}, published",
            )  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))  # more labels would run into each other
    axes.grid(alpha=0.3)


def _accuracy(row):
    return row["printed_accuracy"] if row["accuracy"] is None else row["accuracy"]
