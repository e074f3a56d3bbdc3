"""Networks of great depth: what they cost, and whether they train."""

import math

import keras
import numpy as np

from keras_sparse.applications import get_model
from keras_sparse.datasets import SOURCES, load
from keras_sparse.studies.peak_memory import peak_memory
from keras_sparse.studies.spreads import brief, by, paired, spread
from keras_sparse.studies.study import Study
from keras_sparse.studies.training_costs import clocked, exponent, prepare, random_batch
from keras_sparse.training import preset

# network -> (model, its arguments but depth, depth -> printed error on CIFAR-100 in percent)
NETWORKS = {
    "ResNet": ("resnet", {}, {56: 27.00, 110: 24.70, 200: 23.10, 1001: 21.42, 2000: 22.76}),
    "SparseNet[+]": (
        "sparsenet", {"growth_rate": 16, "operator": "sum"},
        {56: 27.70, 110: 26.10, 200: 25.77, 1001: 22.10, 2000: 21.01},
    ),
    "DenseNet k=12": ("densenet", {"growth_rate": 12}, {40: 24.79, 100: 20.97}),
    "DenseNet-BC k=24": ("densenet", {"growth_rate": 24, "bottleneck": True}, {250: 17.6}),
    "DenseNet-BC k=12": ("densenet", {"growth_rate": 12, "bottleneck": True}, {}),
    "DenseNet-BC k=4": ("densenet", {"growth_rate": 4, "bottleneck": True}, {400: 32.94, 1001: 28.50}),
    "SparseNet-BC k=12": (
        "sparsenet", {"growth_rate": 12, "bottleneck": True}, {100: 27.99, 400: 24.41, 1001: 22.10},
    ),
}  # fmt: skip
# column -> what is written above it
COSTS = {
    "build": "build (s)", "first step": "first step (s)", "step": "step (s)", "peak": "peak (GiB)",
    "above": "of it above imports",
}  # fmt: skip


class Depth(Study):
    """ResNet, SparseNet[+], DenseNet and SparseNet from 40 to 2000 layers: time, memory, and whether they learn."""

    paper = "Zhu et al., 2018, Table 3"
    claim = (
        "SparseNets of more than a thousand layers are practical to build, sparing with memory, and gain from depth; "
        "DenseNets must be narrow to be so deep, and lose accuracy. SparseNet[+] is behind ResNet up to 1001 layers "
        "and ahead of it at 2000, where ResNet has begun to lose."
    )
    protocol = (
        "Each network is built in a process of its own, with all cores, and takes steps on a batch of random images "
        "at a rate of 0: the first includes tracing, of the others the median counts. Of the seeds the lowest time "
        "counts, for other work on the machine only adds to it; bars in the figure reach up to the highest. Peak "
        "memory is that of the process; what imports took is taken off in a column of its own. Then it trains on a "
        "few images in several passes, at a rate of 0.01 and Nesterov momentum 0.9; loss is the mean of the last "
        "pass. That says whether a network learns at all, not how well. `full` scale goes on to train anew by the "
        "paper's recipe, 300 epochs of CIFAR-100, for the test error; `cpu` scale does not. Networks take their "
        "default form: a stage of 40 units or more is a loop, but in DenseNet, which has none, and whose 1001 layers, "
        "minutes to trace, are left to `full`."
    )
    published = ("The errors on CIFAR-100, in the column `printed`. No times, no memory.",)
    alone = True
    scales = {  # noqa: RUF012
        "smoke": {
            "dataset": "digits",
            "depths": {"ResNet": (11,), "SparseNet-BC k=12": (10,)},
            "batch_size": 8, "steps": 2, "examples": 32, "passes": 2, "epochs": 1, "epoch_examples": 64, "seeds": (0,),
        },
        "cpu": {
            "dataset": "cifar10",
            "depths": {
                "ResNet": (56, 200, 1001, 2000), "SparseNet[+]": (56, 200, 1001, 2000),
                "DenseNet-BC k=12": (40, 100, 400), "DenseNet-BC k=4": (400,),
                "SparseNet-BC k=12": (40, 100, 400, 1001),
            },
            "batch_size": 8, "steps": 3, "examples": 64, "passes": 2, "epochs": 0, "epoch_examples": None,
            "seeds": (0, 1),
        },
        "full": {
            "dataset": "cifar100",
            "depths": {
                "ResNet": (56, 110, 200, 1001, 2000), "SparseNet[+]": (56, 110, 200, 1001, 2000),
                "DenseNet k=12": (40, 100), "DenseNet-BC k=24": (250,), "DenseNet-BC k=12": (40, 100, 400),
                "DenseNet-BC k=4": (400, 1001), "SparseNet-BC k=12": (40, 100, 400, 1001),
            },
            "batch_size": 64, "steps": 10, "examples": 640, "passes": 4, "epochs": 300, "epoch_examples": None,
            "seeds": (0, 1, 2),
        },
    }  # fmt: skip

    def pieces(self):
        return {
            f"{network}, {depth} layers, seed {seed}": {"network": network, "depth": depth, "seed": seed}
            for network, depths in self.settings["depths"].items()
            for depth in depths
            for seed in self.settings["seeds"]
        }

    def work(self, network, depth, seed):
        return depth

    def run_piece(self, data_dir, folder, network, depth, seed):
        name, arguments, _ = NETWORKS[network]
        arguments = {**arguments, "depth": depth}
        found = self._measure(name, arguments, data_dir, seed)
        accuracy = None
        if self.settings["epochs"]:
            recipe = preset(
                "sparsenet_paper", name, arguments, dataset=self.settings["dataset"], epochs=self.settings["epochs"],
                examples=self.settings["epoch_examples"], seed=seed,
            )  # fmt: skip
            accuracy = self.train(recipe, folder / "run", data_dir).test_accuracy
        return [{"network": network, "depth": depth, "seed": seed, **found, "accuracy": accuracy}]

    def _measure(self, name, arguments, data_dir, seed):
        """Costs of building and training a network, and its loss after a few passes."""
        settings, source = self.settings, SOURCES[self.settings["dataset"]]
        keras.utils.set_random_seed(seed)
        x, y = random_batch(settings["batch_size"], source.image_shape, source.classes, seed)
        imports = peak_memory()
        build, model = clocked(
            lambda: get_model(name, **arguments, input_shape=source.image_shape, classes=source.classes)
        )
        prepare(model, learning_rate=0.0)  # these steps leave the weights as they are
        first, *others = (clocked(model.train_on_batch, x, y)[0] for _ in range(settings["steps"] + 1))
        peak = peak_memory()
        # Not before: reading a data set takes more memory than a small network.
        train = load(settings["dataset"], data_dir, 0.0, settings["examples"]).train
        model.optimizer.learning_rate = 0.01
        batches = train.training_batches(settings["batch_size"], settings["passes"], seed=seed).as_numpy_iterator()
        losses = [float(model.train_on_batch(*batch)[0]) for batch in batches]
        loss = float(np.mean(losses[-train.steps(settings["batch_size"]) :]))
        return {
            "parameters": sum(math.prod(variable.shape) for variable in model.trainable_variables),
            "build": build,
            "first step": first,
            "step": float(np.median(others)),
            "peak": peak,
            "above": peak - imports,
            "loss": loss if math.isfinite(loss) else None,
        }

    def table(self, rows):
        titles = (
            "network", "layers", "parameters", *COSTS.values(), "loss", "test error (%)", "printed, CIFAR-100",
        )  # fmt: skip
        cells = []
        for (network, depth), group in by(rows, "network", "depth").items():
            printed = NETWORKS[network][2].get(depth)
            errors = [100 - 100 * row["accuracy"] for row in group if row["accuracy"] is not None]
            cells.append(
                (
                    network,
                    str(depth),
                    f"{group[0]['parameters']:,}",
                    *(f"{least(group, cost):.3g}" for cost in COSTS),
                    loss(group),
                    brief(errors) if errors else "",
                    "" if printed is None else f"{printed:.2f}",
                )
            )
        return titles, cells

    def findings(self, rows):
        lines = []
        for (network,), group in by(rows, "network").items():
            found = {depth: some for (depth,), some in by(group, "depth").items()}
            if len(found) > 1:
                grown = ", ".join(
                    f"{cost} {exponent(found, [least(some, cost) for some in found.values()]):.2f}"
                    for cost in ("parameters", *COSTS)
                )
                lines.append(f"{network}, {min(found)} to {max(found)} layers, exponents of depth: {grown}.")
        for (network,), group in by(rows, "network").items():
            listed = ", ".join(f"{loss(some)} at {depth}" for (depth,), some in by(group, "depth").items())
            lines.append(f"{network}, loss: {listed}.")
        for (depth,), group in by(sorted(rows, key=lambda row: row["depth"]), "depth").items():
            networks = by(group, "network")
            if len(networks) > 1:
                listed = "; ".join(
                    f"{network} {least(some, 'step'):.3g} s, {least(some, 'above'):.3g} GiB"
                    for (network,), some in networks.items()
                )
                lines.append(f"{depth} layers, step and memory above imports: {listed}.")
            lines += _errors(depth, networks)
        return lines

    def plot(self, rows):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(13, 7.6), layout="constrained")
        panels = figure.subplots(2, 3).ravel()
        shown = {"first step": COSTS["first step"], "step": COSTS["step"], "above": "memory above imports (GiB)"}
        shown |= {"parameters": "parameters", "loss": "loss (none where it diverged)"}
        for (network,), group in by(rows, "network").items():
            i = list(NETWORKS).index(network)
            style = {"color": f"C{i}", "marker": "osv^D*P"[i], "markersize": 5, "linewidth": 1}
            for axes, column in zip(panels, shown, strict=False):
                # None: it diverged; 0: too little to be measured.
                found = {depth: [row[column] for row in some] for (depth,), some in by(group, "depth").items()}
                found = {depth: values for depth, values in found.items() if all(values)}
                if column == "loss":
                    points = [(mean, error, error) for mean, error in map(spread, found.values())]
                else:
                    points = [(min(values), 0, max(values) - min(values)) for values in found.values()]
                if found:
                    middle, down, up = zip(*points, strict=True)
                    axes.errorbar(list(found), middle, [down, up], capsize=2, label=network, **style)
            self._plot_errors(panels[-1], network, group, style)
        for axes, name in zip(panels, [*shown.values(), "test error (%)"], strict=True):
            axes.set_xscale("log")
            axes.set_xlabel("layers")
            axes.set_title(name)
            axes.grid(alpha=0.3, which="both")
        for axes in panels[:4]:
            axes.set_yscale("log")
        panels[-1].set_title("test error (%); open: as printed, CIFAR-100")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
        return figure

    @staticmethod
    def _plot_errors(axes, network, rows, style):
        trained = by([row for row in rows if row["accuracy"] is not None], "depth")
        if trained:
            values = [spread([100 - 100 * row["accuracy"] for row in some]) for some in trained.values()]
            axes.errorbar([depth for (depth,) in trained], *zip(*values, strict=True), capsize=2, **style)
        printed = NETWORKS[network][2]
        axes.plot(printed.keys(), printed.values(), **{**style, "linestyle": ":"}, fillstyle="none")


def _errors(depth, networks):
    """SparseNet[+] against ResNet in test error, where both were trained to the end."""
    twins = (networks.get((network,), ()) for network in ("SparseNet[+]", "ResNet"))
    sparse, dense = ([row for row in rows if row["accuracy"] is not None] for rows in twins)
    gaps = paired(sparse, dense)
    if not gaps:
        return []
    mean, error = spread([-100 * gap for gap in gaps])
    printed = NETWORKS["SparseNet[+]"][2][depth] - NETWORKS["ResNet"][2][depth]
    return [
        f"{depth} layers, error of SparseNet[+] minus that of ResNet: {mean:+.2f} ± {error:.2f} points, printed "
        f"{printed:+.2f}."
    ]


def least(rows, cost):
    """Of the seeds: whatever else the machine does only adds to a time."""
    return min(row[cost] for row in rows)


def loss(rows):
    """Mean and standard error over seeds, or how many of them diverged."""
    finite = [row["loss"] for row in rows if row["loss"] is not None]
    if len(finite) == len(rows):
        return brief(finite)
    return f"diverged ({len(rows) - len(finite)} of {len(rows)} seeds)"
