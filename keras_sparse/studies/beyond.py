"""The same number of connections, come by in six ways: which of them is the most accurate."""

import math

import keras

from keras_sparse.analysis import profile
from keras_sparse.applications import CifarNet, SparseNet
from keras_sparse.datasets.loading import SOURCES
from keras_sparse.studies.convolutional_networks import recipe_fields
from keras_sparse.studies.spreads import by, differs, paired, percent, points, spread
from keras_sparse.studies.study import Study
from keras_sparse.training import Recipe
from keras_sparse.transforms import sparsify

SPARSE = ("conv2", "hidden1", "hidden2")
DENSE_LAYERS = ["conv1", "predictions"]
METHODS = {
    "pruned": "magnitude pruning",
    "set": "SET",
    "rigl": "RigL",
    "expander": "expander",
    "radix_net": "RadiX-Net",
    "sparse_aggregation": "sparse aggregation",
}
DENSE = "dense"


class Beyond(Study):
    """Pruning, SET, RigL, expanders, RadiX-Nets and sparse aggregation with the same budget of connections."""

    paper = "Of no paper: methods of all of them side by side"
    claim = (
        "No paper compares these. The question: which is the most accurate with 1, 3, 10 and 30% of the connections of "
        "one network?"
    )
    protocol = (
        "CIFAR-10, cifarnet without dropout; at `cpu` scale half as wide. Its second convolution and both hidden "
        "layers are sparse. The expander, whose degrees are whole, sets the budget: of each layer the degree nearest "
        "to the stated fraction, at least one. SET and RigL begin with its graph and move 30% of its connections, "
        "falling along a cosine until three quarters of the run, twenty times in a run or every 200 steps. Pruning "
        "begins dense and has cut each layer to as many weights by then; its connections are single weights in the "
        "convolution too, where those of the others are 5x5 kernels. RadiX-Nets have densities of 1/b with integers b; "
        "the nearest is taken, which for 30% is 1/3. Sparse aggregation is a SparseNet of depth 16, not a sparse "
        "cifarnet: its growth rate, then the filters of its stem, are chosen such that it has as many trained values "
        "in all as the expander network. It takes many more multiply-adds, which are in a column. One recipe for all: "
        "Nesterov momentum 0.9, batches of 32, a rate of 0.03 divided by ten after half and after five sixths, images "
        "shifted and mirrored; test accuracy after the last epoch."
    )
    published = ("Nothing.",)
    scales = {  # noqa: RUF012
        "smoke": {
            "dataset": "digits", "examples": 200, "epochs": 1, "width": 0.25, "depth": 7,
            "budgets": (0.1,), "seeds": 1,
        },
        "cpu": {
            "dataset": "cifar10", "examples": 10_000, "epochs": 8, "width": 0.5, "depth": 16,
            "budgets": (0.01, 0.03, 0.1, 0.3), "seeds": 3,
        },
        "full": {
            "dataset": "cifar10", "examples": None, "epochs": 100, "width": 1, "depth": 16,
            "budgets": (0.01, 0.03, 0.1, 0.3), "seeds": 5,
        },
    }  # fmt: skip

    def pieces(self):
        seeds = range(self.settings["seeds"])
        pieces = {f"{DENSE}, seed {seed}": {"method": DENSE, "budget": 1.0, "seed": seed} for seed in seeds}
        for budget in self.settings["budgets"]:
            for method in METHODS:
                for seed in seeds:
                    name = f"{method}, {budget:.0%}, seed {seed}"
                    pieces[name] = {"method": method, "budget": budget, "seed": seed}
        return pieces

    def work(self, method, budget, seed):
        return 3 + 24 * budget if method == "sparse_aggregation" else 1  # by its multiply-adds and many small layers

    def run_piece(self, data_dir, folder, method, budget, seed):
        settings = self.settings
        source = SOURCES[settings["dataset"]]
        model, verbs = contender(method, budget, settings["width"], settings["depth"], seed, source)
        fields = recipe_fields(
            settings["dataset"], epochs=settings["epochs"], examples=settings["examples"], seed=seed, **verbs
        )
        result = self.train(Recipe(self.keep(model, folder), **fields), folder / "run", data_dir)
        return [
            {
                "method": method,
                "budget": budget,
                "seed": seed,
                "parameters": result.parameters,
                "macs": result.macs,
                "accuracy": result.test_accuracy,
            }
        ]

    def table(self, rows):
        titles = ("budget", "method", "trained values", "of the expander's", "multiply-adds (M)", "test accuracy")
        cells = []
        for (budget, method), group in by(rows, "budget", "method").items():
            reference = [row["parameters"] for row in rows if (row["budget"], row["method"]) == (budget, "expander")]
            parameters = group[0]["parameters"]
            cells.append(
                (
                    f"{budget:.0%}", METHODS.get(method, method), f"{parameters:,}",
                    f"{parameters / reference[0]:.1%}" if reference else "", f"{group[0]['macs'] / 1e6:.2f}",
                    percent(group, "accuracy"),
                )
            )  # fmt: skip
        return titles, cells

    def findings(self, rows):
        dense = [row for row in rows if row["method"] == DENSE]
        lines = []
        for (budget,), group in by([row for row in rows if row["method"] != DENSE], "budget").items():
            runs = {method: some for (method,), some in by(group, "method").items()}
            first, *others = sorted(runs, key=lambda name: -spread([row["accuracy"] for row in runs[name]])[0])
            names = _names(runs)
            behind = {names[name]: paired(runs[name], runs[first]) for name in others}
            behind = {name: values for name, values in behind.items() if values}
            equal = [name for name, values in behind.items() if not differs(values)]
            listed = ", ".join(f"{name} {points(*spread(values))}" for name, values in behind.items())
            to_dense = paired(runs[first], dense)
            lines.append(
                f"{budget:.0%}: {names[first]} is ahead"
                + (f", {points(*spread(to_dense))} points to the dense network" if to_dense else "")
                + f"; behind it, in points: {listed or 'none'}. With 95% confidence over seeds, for each, it is not "
                f"to be told from {', '.join(equal) or 'none'}."
            )
        return lines

    def plot(self, rows):
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator

        figure = Figure(figsize=(11, 4.6), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        dense = [row for row in rows if row["method"] == DENSE]
        for axes, column in zip(panels, ("parameters", "macs"), strict=True):
            for i, (method, name) in enumerate(METHODS.items()):
                found = by([row for row in rows if row["method"] == method], "budget").values()
                if found:
                    means, errors = zip(*(spread([row["accuracy"] for row in some]) for some in found), strict=True)
                    axes.errorbar(
                        [some[0][column] for some in found], means, errors, color=f"C{i}", marker="osD^vP"[i],
                        markersize=5, capsize=2, linewidth=1, label=name,
                    )  # fmt: skip
            if dense:
                mean, error = spread([row["accuracy"] for row in dense])
                axes.errorbar(dense[0][column], mean, error, color="k", marker="*", capsize=2, label=DENSE)
            axes.set_xscale("log")
            axes.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))  # more labels would run into each other
            axes.grid(alpha=0.3)
        panels[0].set_xlabel("trained values")
        panels[1].set_xlabel("multiply-adds for an image")
        panels[0].set_ylabel("test accuracy")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=7, fontsize=8)
        return figure


def _names(runs):
    """Names of methods, with the budget where it is off that of the expander by more than a percent."""
    reference = runs.get("expander", next(iter(runs.values())))[0]["parameters"]
    ratios = {method: some[0]["parameters"] / reference for method, some in runs.items()}
    return {
        method: METHODS[method] + (f" (with {ratio:.0%} of the trained values)" if abs(ratio - 1) > 0.01 else "")
        for method, ratio in ratios.items()
    }


def contender(method, budget, width, depth, seed, source):
    """A model and the verbs of its recipe.

    Args:
        method: "dense" or a name in `METHODS`.
        budget: Number in (0, 1], fraction of the connections of `SPARSE` layers.
        width: Number > 0, of cifarnet.
        depth: Integer, of the SparseNet.
        seed: Integer, of weights and connections.
        source: What `datasets.loading.SOURCES` says of the data.

    Returns:
        Keras model, and dictionary of fields of a `Recipe`.
    """
    keras.utils.set_random_seed(seed)
    arguments = {"input_shape": source.image_shape, "classes": source.classes}
    model = CifarNet(dropout=0.0, width=width, **arguments)
    if method == DENSE:
        return model, {}
    allocation = {name: 1 - density for name, density in layer_densities(model, budget).items()}
    if method == "pruned":
        return model, {"prune": {"sparsity": 1 - budget, "allocation": allocation, "exclude": DENSE_LAYERS}}
    topology = "radix_net" if method == "radix_net" else "expander"
    sparse = sparsify(model, None, topology, allocation, exclude=DENSE_LAYERS, seed=seed)
    if method == "sparse_aggregation":
        size = profile(sparse).connected_parameters
        return matched_sparse_net(size, depth, **arguments), {}
    growth = {"set": "random", "rigl": "gradient"}.get(method)
    return sparse, {"rewire": {"drop": 0.3, "grow": growth, "exclude": DENSE_LAYERS}} if growth else {}


def layer_densities(model, budget):
    """Dictionary from layers to the densities nearest to a budget that an expander can have."""
    outputs = {name: model.get_layer(name).kernel.shape[-1] for name in SPARSE}
    return {name: max(1, round(budget * units)) / units for name, units in outputs.items()}


def matched_sparse_net(parameters, depth, **arguments):
    """The SparseNet with the largest growth rate that fits a number of trained values, filled up by its stem.

    Args:
        parameters: Integer, trained values.
        depth: Integer.
        **arguments: Of the constructor.
    """

    def count(growth_rate, stem_filters):
        with keras.StatelessScope(initialize_variables=False):  # shapes are enough
            model = SparseNet(depth, growth_rate, stem_filters=stem_filters, **arguments)
        return sum(math.prod(variable.shape) for variable in model.trainable_variables)

    growth_rate = _largest(lambda k: count(k, k) <= parameters)
    stem = growth_rate + _largest(lambda more: count(growth_rate, growth_rate + more) <= parameters)
    stem = min((stem, stem + 1), key=lambda filters: abs(count(growth_rate, filters) - parameters))
    return SparseNet(depth, growth_rate, stem_filters=stem, **arguments)


def _largest(fits):
    """The largest integer >= 0 that fits, where all below it do; 0 is taken to fit."""
    low, high = 0, 1
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
