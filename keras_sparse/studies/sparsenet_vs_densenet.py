"""SparseNet against DenseNet of the same depth and growth rate: accuracy, parameters, time."""

import math

import numpy as np

from keras_sparse.applications import get_model
from keras_sparse.datasets import SOURCES
from keras_sparse.studies.published_counts import PUBLISHED_COUNTS, STUDY
from keras_sparse.studies.spreads import by, paired, percent, points, spread
from keras_sparse.studies.study import Study
from keras_sparse.studies.training_costs import clocked, prepare, random_batch
from keras_sparse.training import preset

NETWORKS = {"sparsenet": "SparseNet", "densenet": "DenseNet"}
EPOCH = 45_000  # images: what the study's 90% leave to train on
FIGURES = {"cifar10": f"{STUDY}, Fig. 5", "cifar100": f"{STUDY}, Fig. 7"}

# data set -> configuration -> for SparseNet, then DenseNet: the study's accuracy (percent) and seconds for an epoch,
# and the error of Zhu et al., Table 2 (percent). Times that are only drawn are left out.
PRINTED = {
    "cifar10": {
        "BC 40, k=12": ((83, 35.60, None), (84, 39.8, None)),
        "BC 100, k=24": ((87, 134.88, 4.03), (88, 256.86, None)),
        "BC 100, k=36": ((86, 306.70, 3.91), (88, 529.28, None)),
        "BC 100, k=64": ((87, None, None), (84, None, None)),
        "BC 100, k=16,32,64": ((87, None, 3.43), (84, None, 4.02)),
        "100, k=24": ((87, 241.66, 4.64), (87, 1709.40, 4.04)),
        "100, k=36": ((86, 470.84, 4.34), (83, 3420.24, None)),
    },
    "cifar100": {
        "BC 40, k=12": ((47, None, None), (54, None, None)),
        "BC 100, k=24": ((57, 134.88, 22.12), (65, 256.21, None)),
        "BC 100, k=36": ((59, 306.42, 20.31), (64, 529.87, None)),
        "BC 100, k=64": ((63, None, None), (63, None, None)),
        "BC 100, k=16,32,64": ((59, None, 19.71), (62, None, 19.55)),
        "100, k=24": ((60, 242.33, 22.41), (62, 1705.37, 19.61)),
        "100, k=36": ((61, 472.36, 20.50), (52, 3433.46, None)),
    },
}


def configuration(arguments):
    """`"BC 100, k=24"`: what the two networks of a pair have in common."""
    rate = arguments["growth_rate"]
    rate = ",".join(map(str, rate)) if isinstance(rate, (list, tuple)) else rate
    return f"{'BC ' if arguments.get('bottleneck') else ''}{arguments['depth']}, k={rate}"


# (data set, configuration, network) -> what the study prints about its size
SIZES = {
    (dataset, configuration(count.arguments), count.model): count
    for dataset, figure in FIGURES.items()
    for count in PUBLISHED_COUNTS
    if count.source == figure
}
ALL, TINY = tuple(PRINTED["cifar10"]), "BC 10, k=4"
ARGUMENTS = {
    name: {key: value for key, value in count.arguments.items() if key != "classes"}
    for (_, name, _), count in SIZES.items()
} | {TINY: {"depth": 10, "growth_rate": 4, "bottleneck": True}}


class SparsenetVsDensenet(Study):
    """SparseNet and DenseNet in seven configurations: accuracy, parameters and time for an epoch."""

    paper = "Nijhawan et al., Figs. 5 to 8; Zhu et al., 2018, Table 2"
    claim = (
        "Of a depth and growth rate, SparseNet has about half the parameters of DenseNet or fewer, takes less time for "
        "an epoch, the less the wider the networks (0.9 to 0.14 of DenseNet's), and is about as accurate: on CIFAR-10 "
        "a point or two below in small configurations, above in wide ones."
    )
    protocol = (
        "The study's recipe: rate 0.1, momentum 0.9, batches of 32, no augmentation, a tenth of the training images "
        "held out; its number of epochs is not printed, 50 are ours. Accuracy is that of the last weights on the test "
        "images. `cpu` scale trains the smallest pair alone, on CIFAR-10, 6 epochs on 7,500 of the images, and lowers "
        "the rate tenfold for the last one, without which accuracy depends on the step one stops at. Times are taken "
        f"of all seven pairs: the median of training steps that both of a pair take in turns, scaled to {EPOCH:,} "
        "images. With two cores or more other pieces of work go on beside them, on one thread each: only ratios are "
        "to be compared."
    )
    published = (
        "Accuracies and times of the study (CIFAR-10 and CIFAR-100), and 100 minus the errors of Zhu et al. (300 "
        "epochs, augmented), are in the table. The study prints times in milliseconds; for 45,000 images seconds must "
        "be meant. The SparseNet-BC of Zhu et al. have stems twice as wide.",
    )
    scales = {  # noqa: RUF012
        "smoke": {
            "datasets": ("digits",), "trained": (TINY,), "timed": (TINY,), "timed_batch": 8, "rounds": 3,
            "examples": 200, "epochs": 2, "learning_rate_drops": (1,), "seeds": (0,),
        },
        "cpu": {
            "datasets": ("cifar10",), "trained": ("BC 40, k=12",), "timed": ALL, "timed_batch": 4, "rounds": 9,
            "examples": 7_500, "epochs": 6, "learning_rate_drops": (5,), "seeds": (0, 1, 2),
        },
        "full": {
            "datasets": ("cifar10", "cifar100"), "trained": ALL, "timed": ALL, "timed_batch": 32, "rounds": 20,
            "examples": None, "epochs": 50, "learning_rate_drops": (), "seeds": (0, 1, 2),
        },
    }  # fmt: skip

    def pieces(self):
        pieces = {}
        for dataset in self.settings["datasets"]:
            for name in self.settings["timed"]:
                pieces[f"{dataset}, {name}, times"] = {"dataset": dataset, "name": name, "seed": None}
            for name in self.settings["trained"]:
                for seed in self.settings["seeds"]:
                    pieces[f"{dataset}, {name}, seed {seed}"] = {"dataset": dataset, "name": name, "seed": seed}
        return pieces

    def run_piece(self, data_dir, folder, dataset, name, seed):
        if seed is None:
            return self._time(dataset, name)
        rows = []
        for network in NETWORKS:
            fields = {key: self.settings[key] for key in ("examples", "epochs", "learning_rate_drops")}
            recipe = preset("sparsenet_study", network, ARGUMENTS[name], dataset=dataset, seed=seed, **fields)
            result = self.train(recipe, folder / network, data_dir)
            rows.append(_row(dataset, name, network, result.parameters, seed=seed, accuracy=result.test_accuracy))
        return rows

    def _time(self, dataset, name):
        """The two networks take steps in turns, so that what disturbs one disturbs the other."""
        source, batch = SOURCES[dataset], self.settings["timed_batch"]
        x, y = random_batch(batch, source.image_shape, source.classes)
        models = [
            get_model(network, **ARGUMENTS[name], input_shape=source.image_shape, classes=source.classes)
            for network in NETWORKS
        ]
        for model in models:
            prepare(model)
            model.train_on_batch(x, y)
        rounds = [[clocked(model.train_on_batch, x, y)[0] for model in models] for _ in range(self.settings["rounds"])]
        rows = []
        for network, model, seconds in zip(NETWORKS, models, np.median(rounds, axis=0), strict=True):
            parameters = sum(math.prod(variable.shape) for variable in model.trainable_variables)
            rows.append(_row(dataset, name, network, parameters, seconds=float(seconds) * EPOCH / batch))
        return rows

    def table(self, rows):
        titles = (
            "data set", "configuration", "network", "parameters (M)", "printed", "test accuracy (%)", "printed",
            "Zhu et al.", "seconds for an epoch", "printed",
        )  # fmt: skip
        cells = []
        for (dataset, name, network), group in by(rows, "dataset", "configuration", "network").items():
            count = SIZES.get((dataset, name, network))
            accuracy, seconds, error = printed(dataset, name, network)
            trained = _with(group, "accuracy")
            timed = _with(group, "seconds")
            cells.append(
                (
                    dataset,
                    name,
                    NETWORKS[network],
                    f"{group[0]['parameters'] / 1e6:.4f}",
                    f"{count.parameters:.4f}" if count else "",
                    percent(trained, "accuracy") if trained else "",
                    "" if accuracy is None else f"{accuracy}",
                    "" if error is None else f"{100 - error:.2f}",
                    f"{timed[0]['seconds']:,.0f}" if timed else "",
                    "" if seconds is None else f"{seconds:g}",
                )
            )
        return titles, cells

    def findings(self, rows):
        lines = []
        for (dataset, name), group in by(rows, "dataset", "configuration").items():
            sparse, dense = (by(group, "network")[network,] for network in NETWORKS)
            found = [f"parameters {sparse[0]['parameters'] / dense[0]['parameters']:.2f}"]
            ours, paper = time_ratio(group), printed_ratio(dataset, name)
            if ours is not None:
                found.append(f"time for an epoch {ours:.2f}" + (f" (published {paper:.2f})" if paper else ""))
            gaps = accuracy_gaps(group)
            if gaps:
                published = [printed(dataset, name, network)[0] for network in NETWORKS]
                beside = f", published {published[0] - published[1]:+d}" if None not in published else ""
                seeds = f"{len(gaps)} seed{'s' if len(gaps) > 1 else ''}"
                found.append(f"accuracy {points(*spread(gaps))} points ({seeds}{beside})")
            lines.append(f"{dataset}, {name}, SparseNet to DenseNet: {'; '.join(found)}.")
        ratios = [time_ratio(group) for group in by(rows, "dataset", "configuration").values()]
        ratios = [ratio for ratio in ratios if ratio is not None]
        faster = sum(ratio < 1 for ratio in ratios)
        lines.append(f"SparseNet takes less time for an epoch in {faster} of {len(ratios)} pairs.")
        return lines

    def plot(self, rows):
        from matplotlib.figure import Figure

        datasets = list(by(rows, "dataset"))
        figure = Figure(figsize=(5 * len(datasets) + 5, 4.8), layout="constrained")
        *panels, ratios = figure.subplots(1, len(datasets) + 1)
        for axes, (dataset,) in zip(panels, datasets, strict=True):
            self._plot_accuracies(axes, dataset, rows)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=3, fontsize=8)
        groups = by(rows, "dataset", "configuration")
        names = list(dict.fromkeys(name for _, name in groups))
        for i, (dataset,) in enumerate(datasets):
            ours = {at: time_ratio(groups.get((dataset, name), ())) for at, name in enumerate(names)}
            paper = {at: printed_ratio(dataset, name) for at, name in enumerate(names)}
            for mark, title, found in (("o", "ours", ours), ("s", "published", paper)):
                marks = [point for point in found.items() if point[1] is not None]
                if marks:
                    ratios.plot(
                        *zip(*marks, strict=True), mark, color=f"C{i}", markersize=6 if found is ours else 9,
                        fillstyle="full" if found is ours else "none", label=f"{dataset}, {title}",
                    )  # fmt: skip
        ratios.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=8)
        ratios.set_xlim(-0.5, len(names) - 0.5)
        ratios.axhline(1, color="0.6", linewidth=0.8)
        ratios.set_ylim(bottom=0)
        ratios.set_ylabel("time for an epoch, SparseNet / DenseNet")
        ratios.grid(alpha=0.3)
        if ratios.lines[1:]:  # the first is that of equal times
            ratios.legend(fontsize=8)
        return figure

    @staticmethod
    def _plot_accuracies(axes, dataset, rows):
        for i, (network, title) in enumerate(NETWORKS.items()):
            own = [row for row in rows if (row["dataset"], row["network"]) == (dataset, network)]
            trained = by(_with(own, "accuracy"), "parameters")
            if trained:
                means, errors = zip(
                    *(spread([100 * row["accuracy"] for row in some]) for some in trained.values()), strict=True
                )
                sizes = [parameters / 1e6 for (parameters,) in trained]
                axes.errorbar(sizes, means, errors, color=f"C{i}", fmt="o", capsize=3, label=f"{title}, ours")
            paper = [
                (SIZES[dataset, name, network].parameters, printed(dataset, name, network))
                for name in PRINTED.get(dataset, ())
            ]
            if paper:
                sizes, values = zip(*paper, strict=True)
                axes.plot(
                    sizes, [accuracy for accuracy, _, _ in values], "s", color=f"C{i}", fillstyle="none",
                    label=f"{title}, study",
                )  # fmt: skip
                others = [(size, 100 - error) for size, (_, _, error) in paper if error is not None]
                axes.plot(*zip(*others, strict=True), "x", color=f"C{i}", label=f"{title}, Zhu et al.")
        axes.set_xscale("log")
        axes.set_xlabel("parameters (millions)")
        axes.set_ylabel("test accuracy (%)")
        axes.set_title(dataset)
        axes.grid(alpha=0.3)


def printed(dataset, name, network):
    """`(accuracy, seconds, error)` as they are printed, None where they are not."""
    pair = PRINTED.get(dataset, {}).get(name)
    return (None,) * 3 if pair is None else pair[list(NETWORKS).index(network)]


def printed_ratio(dataset, name):
    """SparseNet's printed time for an epoch in DenseNet's, or None."""
    sparse, dense = (printed(dataset, name, network)[1] for network in NETWORKS)
    return None if sparse is None or dense is None else sparse / dense


def time_ratio(rows):
    """SparseNet's time for an epoch in DenseNet's, or None if the rows of this pair hold no times."""
    seconds = {row["network"]: row["seconds"] for row in _with(rows, "seconds")}
    return seconds["sparsenet"] / seconds["densenet"] if seconds else None


def accuracy_gaps(rows):
    """Accuracy of SparseNet minus that of DenseNet, for each seed."""
    networks = by(_with(rows, "accuracy"), "network")
    return paired(*(networks.get((network,), ()) for network in NETWORKS))


def _with(rows, column):
    return [row for row in rows if row[column] is not None]


def _row(dataset, name, network, parameters, seed=None, accuracy=None, seconds=None):
    return {
        "dataset": dataset, "configuration": name, "network": network, "parameters": parameters, "seed": seed,
        "accuracy": accuracy, "seconds": seconds,
    }  # fmt: skip
