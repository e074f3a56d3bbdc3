"""RadiX-Nets and random networks, with as many units as the dense one or with as many connections."""

import concurrent.futures
import multiprocessing

from keras_sparse.analysis import profile
from keras_sparse.studies.end_with_parent import end_with_parent
from keras_sparse.studies.lenet_recipe import PROTOCOL, lenet_recipe
from keras_sparse.studies.radix_designs import (
    BATCH,
    COMPACT_FROM,
    CONNECTIONS,
    DENSE,
    PRINTED,
    RADIX,
    RANDOM,
    STEPS,
    UNITS,
    build,
    designs,
    memory_of_training,
)
from keras_sparse.studies.shared_legend import shared_legend
from keras_sparse.studies.spreads import by, paired, percent, points, spread
from keras_sparse.studies.study import Study

LARGEST = 100  # times as wide: the LeNet-5 that did not fit the authors' machine
# What the paper makes of a network: `units`, of whose connections a fraction is left, `connections`, spread among more
# units.
ALL = {"kinds": (DENSE, RADIX, RANDOM), "units": (2, 10, 20, 100), "connections": (2, 10, 100)}
NARROW = {**ALL, "connections": (2, 10)}
ONE_LARGEST = {"kinds": (RADIX,), "units": (), "connections": (LARGEST,)}


class RadixNets(Study):
    """RadiX-Nets and their random twins, with the units or the connections of the dense network."""

    paper = "Alford et al., 2018, Fig. 9"
    claim = (
        "With half of the connections networks are almost as good as dense; sparser ones lose, with the units as with "
        "the connections of the dense network; LeNet-5 on MNIST loses only one point through 95% sparsity. RadiX-Nets "
        "are as good as random networks. LeNet-5 with 100 times the units needs more memory than there is."
    )
    protocol = (
        "Sparse are both hidden layers of LeNet-300-100, and the second convolution (between channels) and the hidden "
        "layer of LeNet-5. `units`: the dense network with 1/f of the connections of each of these layers. "
        "`connections`: f times the units and filters, each of these layers with as many connections as in the dense "
        "network. A filter reads one channel at least. RadiX-Nets are chains over both layers; for 1/10 of "
        "LeNet-300-100 that is the one that the paper prints, as it does another of about 10 times the units. In a "
        "random twin each pair is connected with the same probability, by which it has as many connections on "
        f"average. From {COMPACT_FROM} times the units on, kernels are compact. {PROTOCOL} Of networks with {LARGEST} "
        f"times the units, a process of its own takes {STEPS} steps with {BATCH} images; their memory is the most that "
        "it has held, above what it had before. `cpu` scale trains on a part of the images of LeNet-5, and of the "
        "largest LeNet-5 one RadiX-Net only."
    )
    published = (
        "LeNet-5 on MNIST loses only one point through 95% sparsity; the other points of the figure are not printed.",
        "LeNet-5 with 100 times the units was not trained, for memory.",
    )
    scales = {  # noqa: RUF012
        "smoke": {
            "batch_size": 50, "epochs": 2,
            "groups": (
                {"network": "lenet_300_100", "dataset": "digits", "examples": 400, "learning_rate": 0.05, "seeds": 1,
                 **ALL, "kinds": (DENSE, RADIX), "units": (), "connections": (10,)},
                {"network": "lenet5", "dataset": "digits", "examples": 100, "learning_rate": 0.02, "seeds": 1,
                 **ALL, "units": (2,), "connections": ()},
                {"network": "lenet5", "dataset": "digits", "examples": 100, "learning_rate": 0.02, "seeds": 1,
                 **ONE_LARGEST},
            ),
        },
        "cpu": {
            "batch_size": 100, "epochs": 4,
            "groups": (
                {"network": "lenet5", "dataset": "mnist", "examples": 10000, "learning_rate": 0.02, "seeds": 1,
                 **ONE_LARGEST},
                {"network": "lenet5", "dataset": "cifar10", "examples": 15000, "learning_rate": 0.02, "seeds": 2,
                 **NARROW},
                {"network": "lenet5", "dataset": "mnist", "examples": 10000, "learning_rate": 0.02, "seeds": 2,
                 **NARROW},
                {"network": "lenet_300_100", "dataset": "mnist", "examples": None, "learning_rate": 0.05, "seeds": 3,
                 **ALL},
            ),
        },
        "full": {
            "batch_size": 100, "epochs": 40,
            "groups": (
                {"network": "lenet5", "dataset": "mnist", "examples": None, "learning_rate": 0.02, "seeds": 5, **ALL},
                {"network": "lenet5", "dataset": "cifar10", "examples": None, "learning_rate": 0.02, "seeds": 5, **ALL},
                {"network": "lenet_300_100", "dataset": "mnist", "examples": None, "learning_rate": 0.05, "seeds": 5,
                 **ALL},
            ),
        },
    }  # fmt: skip

    def pieces(self):
        pieces = {}
        for index, how in enumerate(self.settings["groups"]):
            for seed in range(how["seeds"]):
                for kind, fixed, factor in designs(how["network"], how["kinds"], how["units"], how["connections"]):
                    what = kind if kind == DENSE else f"{kind} {fixed} {factor}"
                    arguments = {"index": index, "kind": kind, "fixed": fixed, "factor": factor, "seed": seed}
                    pieces[f"{how['network']}, {how['dataset']}, {what}, seed {seed}"] = arguments
        return pieces

    def run_piece(self, data_dir, folder, index, kind, fixed, factor, seed):
        how = self.settings["groups"][index]
        design = (how["network"], how["dataset"], kind, fixed, factor, seed)
        model = build(*design)
        found = profile(model)
        start = self.keep(model, folder)
        memory = None
        if factor == LARGEST and fixed == CONNECTIONS and seed == 0:
            # Of a process that has done nothing else.
            spawn = multiprocessing.get_context("spawn")
            with concurrent.futures.ProcessPoolExecutor(1, spawn, initializer=end_with_parent) as executor:
                memory = executor.submit(memory_of_training, *design).result()
        recipe = lenet_recipe(
            start, how["dataset"], how["examples"], self.settings["epochs"], self.settings["batch_size"],
            how["learning_rate"], seed,
        )  # fmt: skip
        result = self.train(recipe, folder / "run", data_dir)
        return [
            {
                "network": how["network"],
                "dataset": how["dataset"],
                "kind": kind,
                "fixed": fixed,
                "factor": factor,
                "seed": seed,
                "parameters": found.connected_parameters,
                "dense parameters": found.dense_parameters,
                "memory": memory,
                "accuracy": result.test_accuracy,
            }
        ]

    def table(self, rows):
        titles = (
            "network", "data", "as in dense", "change", DENSE, RADIX, RANDOM, "parameters", "dense parameters",
            "memory (GiB)",
        )  # fmt: skip
        cells = []
        rows = sorted(rows, key=lambda row: (row["network"], row["dataset"]))  # groups may share these
        for (network, dataset, fixed, factor), some in by(rows, "network", "dataset", "fixed", "factor").items():
            kinds = {kind: found for (kind,), found in by(some, "kind").items()}
            memory = [row["memory"] for row in some if row["memory"] is not None]
            cells.append(
                (
                    network,
                    dataset,
                    "" if factor == 1 else fixed,
                    _change(fixed, factor),
                    *(percent(kinds[kind], "accuracy") if kind in kinds else "" for kind in (DENSE, RADIX, RANDOM)),
                    f"{some[0]['parameters']:,}",
                    f"{some[0]['dense parameters']:,}",
                    f"{max(memory):.2f}" if memory else "",
                )
            )
        return titles, cells

    def findings(self, rows):
        lines = []
        for (network, dataset), some in by(rows, "network", "dataset").items():
            dense = [row for row in some if row["kind"] == DENSE]
            if not dense:  # not done yet
                continue
            lines.append(f"{network} on {dataset}: dense {percent(dense, 'accuracy')}.")
            for fixed in (UNITS, CONNECTIONS, PRINTED):
                gaps = {
                    f"{kind} {_change(fixed, factor)}": paired(found, dense)
                    for (kind, one, factor), found in by(some, "kind", "fixed", "factor").items()
                    if one == fixed and kind != DENSE
                }
                said = ", ".join(f"{what} {points(*spread(gap))}" for what, gap in gaps.items() if gap)
                if said:
                    what = fixed if fixed == PRINTED else f"with its {fixed}"
                    lines.append(f"{network} on {dataset}: above dense, in points, {what}: {said}.")
            radix, random = ([row for row in some if row["kind"] == kind] for kind in (RADIX, RANDOM))
            gap = paired(radix, random, "fixed", "factor", "seed")
            if gap:
                lines.append(
                    f"{network} on {dataset}: RadiX-Nets above random twins {points(*spread(gap))} points, over all "
                    "pairs (claim: equal)."
                )
        for row in rows:
            if row["memory"] is not None:
                weights = row["dense parameters"]
                lines.append(
                    f"{row['network']} on {row['dataset']} with {row['factor']} times the units, {row['kind']}: "
                    f"{row['parameters']:,} parameters, {row['memory']:.2f} GiB to train; dense kernels would have "
                    f"{weights:,}, and take {3 * 4 * weights / 2**30:.0f} GiB with gradient and momentum."
                )
        return lines

    def plot(self, rows):
        from matplotlib.figure import Figure

        panels = by(rows, "network", "dataset")
        figure = Figure(figsize=(4.6 * len(panels), 4.4), layout="constrained")
        row = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, ((network, dataset), some) in zip(row, panels.items(), strict=True):
            self._panel(axes, f"{network} on {dataset}", some)
            dense = [row["accuracy"] for row in some if row["kind"] == DENSE]
            if dense and (network, dataset) == ("lenet5", "mnist"):
                axes.plot(20, 100 * spread(dense)[0] - 1, "k*", markersize=10, label="published: dense - 1 point")
        shared_legend(figure)
        return figure

    @staticmethod
    def _panel(axes, title, rows):
        dense = [row for row in rows if row["kind"] == DENSE]
        for i, kind in enumerate((RADIX, RANDOM)):
            for fixed, style in ((UNITS, "o-"), (CONNECTIONS, "s--"), (PRINTED, "D")):
                chosen = [row for row in rows if (row["kind"], row["fixed"]) == (kind, fixed)]
                found = sorted(by([*dense, *chosen] if fixed != PRINTED else chosen, "factor").items())
                if chosen:
                    means, errors = zip(
                        *(spread([100 * row["accuracy"] for row in some]) for _, some in found), strict=True
                    )
                    axes.errorbar(
                        [factor for (factor,), _ in found], means, errors, fmt=style, color=f"C{i}", markersize=4,
                        capsize=2, linewidth=1, fillstyle="none" if i else "full",
                        label=f"{kind}, {fixed if fixed == PRINTED else f'{fixed} as in dense'}",
                    )  # fmt: skip
        if dense:
            mean = 100 * spread([row["accuracy"] for row in dense])[0]
            axes.axhline(mean, color="0.3", linewidth=1, linestyle=":", label=DENSE)
        axes.set_xscale("log")
        axes.set_xticks((1, 2, 10, 20, 100), ("1", "2", "10", "20", "100"))
        axes.minorticks_off()
        axes.set_xlabel("f: 1/f of the connections, or f times the units")
        axes.set_ylabel("test accuracy (%)")
        axes.set_title(title)
        axes.grid(alpha=0.3)


def _change(fixed, factor):
    if factor == 1:
        return ""
    return f"1/{factor} of the connections" if fixed == UNITS else f"{factor} x the units"
