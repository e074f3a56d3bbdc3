"""How much the layers of trained networks use earlier outputs, against their distance."""

import keras
import numpy as np

from keras_sparse import analysis
from keras_sparse.analysis.feature_reuse import HEAT, StageReuse, draw_heat_map
from keras_sparse.studies.spreads import by, spread
from keras_sparse.studies.study import Study
from keras_sparse.training import preset

NETWORKS = {"densenet": "DenseNet", "sparsenet": "SparseNet"}


class FeatureReuse(Study):
    """Mean absolute weight by which each layer of a trained DenseNet and SparseNet reads each earlier output."""

    paper = "Zhu et al., 2018, Fig. 3"
    claim = (
        "The layers of SparseNet use nearly all outputs that they read alike (most fields of the heat map are close to "
        "red); in DenseNet the weights decrease with the distance between two layers, in SparseNet they do not."
    )
    protocol = (
        "DenseNet and SparseNet, depth 40, k=12, no bottleneck, CIFAR-10, by the paper's recipe (shifted and mirrored "
        "images, rate 0.1, divided by 10 after a half and three quarters of the epochs, decay 1e-4, batches of 64). "
        "For each layer (of the exit of a stage, the transition or the classifier) the mean absolute weight of each "
        "output it reads is divided by the largest of that layer, as in the figure. Distance is 1 for the output "
        "before it. The slope is the change of this use for each doubling of the distance, fitted to all links within "
        "layers (each layer has a level of its own). Before training all weights of a layer are alike, and weight "
        "decay is what lets those that are not used fall; so `cpu` scale, of 10 epochs on 4,000 images in batches of "
        "32, a tenth of them held out, decays by 2e-3, which shrinks an idle weight to less than a third in the run, "
        "in the paper's 300 epochs to less than a thousandth. The heat maps are means over seeds."
    )
    published = ("Heat maps without numbers.",)
    scales = {  # noqa: RUF012
        "smoke": {
            "dataset": "digits", "depth": 13, "growth_rate": 4, "examples": 400, "epochs": 2, "batch_size": 32,
            "weight_decay": 1e-3, "validation_fraction": 0.1, "seeds": (0,),
        },
        "cpu": {
            "dataset": "cifar10", "depth": 40, "growth_rate": 12, "examples": 4_000, "epochs": 10, "batch_size": 32,
            "weight_decay": 2e-3, "validation_fraction": 0.1, "seeds": (0, 1),
        },
        "full": {
            "dataset": "cifar10", "depth": 40, "growth_rate": 12, "examples": None, "epochs": 300, "batch_size": 64,
            "weight_decay": 1e-4, "validation_fraction": 0.0, "seeds": (0, 1, 2),
        },
    }  # fmt: skip

    def pieces(self):
        return {
            f"{network}, seed {seed}": {"network": network, "seed": seed}
            for seed in self.settings["seeds"]
            for network in NETWORKS
        }

    def work(self, network, seed):
        return 2.5 if network == "densenet" else 1

    def run_piece(self, data_dir, folder, network, seed):
        fields = {name: value for name, value in self.settings.items() if name != "seeds"}
        arguments = {name: fields.pop(name) for name in ("depth", "growth_rate")}
        recipe = preset("sparsenet_paper", network, arguments, seed=seed, **fields)
        result = self.train(recipe, folder / "run", data_dir)
        reuse = analysis.feature_reuse(keras.saving.load_model(result.output / "last.keras", compile=False))
        return [
            {
                "network": network,
                "seed": seed,
                "accuracy": result.test_accuracy,
                "stage": stage.name,
                "source": source,
                "reader": reader,
                "reader_name": stage.readers[reader - 1],
                "weight": float(stage.weights[source, reader - 1]),
            }
            for stage in reuse.stages
            for reader in range(1, len(stage.readers) + 1)
            for source in np.flatnonzero(~np.isnan(stage.weights[:, reader - 1])).tolist()
        ]

    def table(self, rows):
        rows = with_use(rows)
        ranges = sorted({distance_range(row) for row in rows})
        titles = (
            "network", "stage", "test accuracy (%)", "links", *(f"use at distance {title(*one)}" for one in ranges),
            "slope",
        )  # fmt: skip
        cells = []
        for (network,), group in by(rows, "network").items():
            for stage, some in [*((stage, some) for (stage,), some in by(group, "stage").items()), ("all", group)]:
                of_range = {one: [row for row in some if distance_range(row) == one] for one in ranges}
                cells.append(
                    (
                        NETWORKS[network],
                        stage,
                        _over_seeds(some, accuracy, ".2f"),
                        str(len(some) // len(by(some, "seed"))),
                        *(_over_seeds(of_range[one], mean_use) if of_range[one] else "" for one in ranges),
                        _over_seeds(some, slope, "+.3f"),
                    )
                )
        return titles, cells

    def findings(self, rows):
        lines = []
        groups = {network: group for (network,), group in by(with_use(rows), "network").items()}
        for network, group in groups.items():
            lines.append(
                f"{NETWORKS[network]}: for each doubling of the distance the use of an output changes by "
                f"{_over_seeds(group, slope, '+.3f')}; it is {_over_seeds(group, mean_use)} on average, and below a "
                f"half on {_over_seeds(group, faint, '.1f')}% of the links."
            )
        dense, sparse = (_by_seed(groups.get(network, ()), slope) for network in NETWORKS)
        gaps = [dense[seed] - sparse[seed] for seed in dense if seed in sparse]
        if gaps:
            mean, error = spread(gaps)
            between = f" ± {error:.3f}" if error else ""
            lines.append(
                f"The slope of DenseNet minus that of SparseNet is {mean:+.3f}{between}; the claim is below 0."
            )
        return lines

    def plot(self, rows):
        from matplotlib.figure import Figure

        rows = with_use(rows)
        networks = by(rows, "network")
        stages = [stage for (stage,) in by(rows, "stage")]
        figure = Figure(figsize=(3.6 * len(stages) + 5, 3.6 * len(networks)), layout="constrained")
        grid = figure.add_gridspec(len(networks), len(stages) + 1, width_ratios=[1] * len(stages) + [1.3])
        panels = [[figure.add_subplot(grid[i, j]) for j in range(len(stages))] for i in range(len(networks))]
        use = figure.add_subplot(grid[:, -1])
        for i, (line, ((network,), group)) in enumerate(zip(panels, networks.items(), strict=True)):
            for axes, some in zip(line, by(group, "stage").values(), strict=True):
                image = draw_heat_map(axes, _stage(some))
                axes.set_title(f"{NETWORKS[network]}, {axes.get_title()}", fontsize=9)
            line[0].set_ylabel("output that is read")
            distances = by(sorted(group, key=lambda row: row["distance"]), "distance")
            values = [spread(list(_by_seed(some, mean_use).values())) for some in distances.values()]
            use.errorbar(
                [distance for (distance,) in distances], *zip(*values, strict=True), color=f"C{i}", marker="o",
                markersize=4, capsize=2, label=NETWORKS[network],
            )  # fmt: skip
        figure.colorbar(image, ax=[axes for line in panels for axes in line], shrink=0.8, label=HEAT)
        use.set_xscale("log", base=2)
        use.set_xlabel("distance (layers)")
        use.set_ylabel("use: mean |weight| / largest of the layer, mean of links")
        use.set_ylim(0, 1.05)
        use.grid(alpha=0.3)
        use.legend()
        return figure


def with_use(rows):
    """Rows with "distance" and "use", the weight in the largest of its layer."""
    found = []
    for some in by(rows, "network", "seed", "stage", "reader").values():
        largest = max(row["weight"] for row in some) or 1
        found += [{**row, "distance": row["reader"] - row["source"], "use": row["weight"] / largest} for row in some]
    return found


def slope(rows):
    """Change of use for a doubling of the distance, by least squares within layers."""
    above = below = 0.0
    for some in by(rows, "seed", "stage", "reader").values():
        distance = np.log2([row["distance"] for row in some])
        distance -= distance.mean()
        above += distance @ [row["use"] for row in some]
        below += distance @ distance
    return above / below


def mean_use(rows):
    return np.mean([row["use"] for row in rows])


def faint(rows):
    """Percent of the links that are used by less than half of the layer's largest."""
    return 100 * np.mean([row["use"] < 0.5 for row in rows])


def accuracy(rows):
    return 100 * rows[0]["accuracy"]


def distance_range(row):
    """`(1, 1)`, `(2, 2)`, `(3, 4)`, `(5, 8)`, ...: the distances that are looked at together."""
    last = 1 << (row["distance"] - 1).bit_length()
    return last // 2 + 1, last


def title(first, last):
    return f"{first}" if first == last else f"{first} to {last}"


def _by_seed(rows, measure):
    return {seed: measure(some) for (seed,), some in by(rows, "seed").items()}


def _over_seeds(rows, measure, style=".2f"):
    mean, error = spread(list(_by_seed(rows, measure).values()))
    return f"{mean:{style}}" + (f" ± {error:{style.lstrip('+')}}" if error else "")


def _stage(rows):
    """What the rows of a stage say, as the mean over seeds."""
    readers = {row["reader"]: row["reader_name"] for row in rows}
    sources = tuple(str(source) for source in range(max(row["source"] for row in rows) + 1))
    weights = np.full((len(sources), len(readers)), np.nan)
    for (source, reader), some in by(rows, "source", "reader").items():
        weights[source, reader - 1] = np.mean([row["weight"] for row in some])
    return StageReuse(rows[0]["stage"], sources, tuple(readers[reader] for reader in sorted(readers)), weights)
