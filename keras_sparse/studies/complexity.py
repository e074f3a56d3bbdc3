"""Links, parameters and gradient paths against depth."""

import math

import keras
import numpy as np

from keras_sparse.aggregation import Pattern, get_pattern
from keras_sparse.layers import FractalBlock, PreactivationUnit, SparseAggregationBlock
from keras_sparse.studies.shared_legend import shared_legend
from keras_sparse.studies.spreads import by
from keras_sparse.studies.study import Study

QUANTITIES = {"links": "links", "parameters": "parameters", "path": "longest shortest gradient path"}
FILTERS, STEM, KERNEL = 12, 24, 3

# name -> (pattern, operator, claimed growth of links, parameters and gradient path; None where nothing is claimed)
ARCHITECTURES = {
    "plain": ("previous", "concat", ("N", "N", "N")),
    "resnet": ("all", "sum", ("N^2", "N", "1")),
    "densenet": ("all", "concat", ("N^2", "N^2", "1")),
    "sparsenet[+]": ("exponential", "sum", ("N log N", "N", "log N")),
    "sparsenet": ("exponential", "concat", ("N log N", "N log N", "log N")),
    "sparsenet base 3": ("exponential/3", "concat", ("N log N", "N log N", "log N")),
    "sparsenet base 4": ("exponential/4", "concat", ("N log N", "N log N", "log N")),
    "hybrid:4": ("hybrid:4", "concat", (None, None, None)),
    "fractalnet": (None, None, ("N", "N", None)),
}
LAWS = {
    "1": np.ones_like,
    "log N": np.log,
    "N": lambda n: n,
    "N log N": lambda n: n * np.log(n),
    "N^2": np.square,
}


class FractalJoins(Pattern):
    """FractalNet as a pattern: at depth d the columns join whose convolutions, of length 2^j, end there."""

    def offsets(self, available):
        return [2**j for j in range(available.bit_length()) if available % 2**j == 0]

    def get_config(self):
        return {}


class Complexity(Study):
    """Links, parameters and longest shortest gradient path of N units, counted on the graphs themselves."""

    paper = "Zhu et al., 2018, Table 1 and equation (4); Nijhawan et al., Fig. 4"
    claim = (
        "N layers that aggregate sparsely have O(N log N) links and, by concatenation, parameters (by summation O(N)), "
        "and O(log N) links between any two of them; ResNet and DenseNet have O(N^2) links and paths of O(1), DenseNet "
        "O(N^2) parameters, a plain network paths of O(N), FractalNet 2N links."
    )
    protocol = (
        f"Blocks of N units (batch normalisation, ReLU, 3x3 convolution to {FILTERS} filters) on {STEM} channels are "
        "built, and their parameters counted; links into the units and the longest of the shortest paths between two "
        "outputs are counted on the graph. For FractalNet, N is the depth of its longest column. A law is fitted as "
        "a * law(N) + b by least squares of relative errors; the one with the least error is named."
    )
    published = ("Only the orders of growth are printed; they stand in the columns `claimed`.",)
    scales = {  # noqa: RUF012
        "smoke": {"depths": (8, 16, 32)},
        "cpu": {"depths": (8, 16, 32, 64, 128, 256, 512)},
        "full": {"depths": (8, 16, 32, 64, 128, 256, 512, 1024)},
    }

    def pieces(self):
        return {name: {"architecture": name} for name in ARCHITECTURES}

    def run_piece(self, data_dir, folder, architecture):
        return [
            {"architecture": architecture, "depth": depth, **counts(architecture, depth)}
            for depth in self.settings["depths"]
        ]

    def table(self, rows):
        deepest = max(row["depth"] for row in rows)
        titles = ["architecture"]
        for name in QUANTITIES.values():
            titles += [f"{name} at N={deepest}", "grows as", "claimed"]
        cells = []
        for (architecture,), group in by(rows, "architecture").items():
            line = [architecture]
            for quantity, claimed in zip(QUANTITIES, ARCHITECTURES[architecture][2], strict=True):
                law, error = fitted_law(*zip(*((row["depth"], row[quantity]) for row in group), strict=True))
                line += [f"{group[-1][quantity]:,}", f"{law} ({error:.1%} off)", claimed or "-"]
            cells.append(line)
        return titles, cells

    def findings(self, rows):
        agree, differ = 0, []
        for (architecture,), group in by(rows, "architecture").items():
            for quantity, claimed in zip(QUANTITIES, ARCHITECTURES[architecture][2], strict=True):
                law, _ = fitted_law(*zip(*((row["depth"], row[quantity]) for row in group), strict=True))
                if law == claimed:
                    agree += 1
                elif claimed is not None:
                    differ.append(f"{architecture}: {quantity} fit {law} best, {claimed} is claimed.")
        return [f"{agree} of {agree + len(differ)} claimed orders of growth are those that fit best.", *differ]

    def plot(self, rows):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(14, 4.6), layout="constrained")
        for at, (axes, (quantity, name)) in enumerate(zip(figure.subplots(1, 3), QUANTITIES.items(), strict=True)):
            for i, ((architecture,), group) in enumerate(by(rows, "architecture").items()):
                depths, costs = ([row[column] for row in group] for column in ("depth", quantity))
                # Some lie upon each other: marks of different sizes show all.
                axes.loglog(
                    depths, costs, "o", markersize=9 - i * 0.8, color=f"C{i}", label=architecture,
                )  # fmt: skip
                claimed = ARCHITECTURES[architecture][2][at]
                if claimed is not None:
                    values, _ = fit(claimed, depths, costs)
                    axes.loglog(depths, values, color="0.3", linewidth=0.8, zorder=0, label="order as claimed, fitted")
            axes.set_xscale("log", base=2)
            axes.set_xlabel("units N")
            axes.set_title(name)
            axes.grid(alpha=0.3)
        shared_legend(figure, ncols=5)
        return figure


def counts(architecture, depth):
    """Dictionary with the three `QUANTITIES` of a block of `depth` units."""
    name, operator, _ = ARCHITECTURES[architecture]
    if name is None:
        pattern = FractalJoins()
        block = FractalBlock(FILTERS, columns=depth.bit_length(), kernel_size=KERNEL)
    else:
        name, _, base = name.partition("/")
        pattern = get_pattern(name, base=int(base or 2))
        units = [PreactivationUnit(FILTERS, KERNEL) for _ in range(depth)]
        # What is added to the units' outputs needs their shape.
        shortcut = keras.layers.Conv2D(FILTERS, 1, use_bias=False) if operator == "sum" else None
        block = SparseAggregationBlock(units, pattern=pattern, operator=operator, shortcut=shortcut)
    with keras.StatelessScope(initialize_variables=False):
        block.build((None, 8, 8, STEM))
    return {
        "links": pattern.links(depth),
        "parameters": sum(math.prod(variable.shape) for variable in block.trainable_variables),
        "path": pattern.longest_gradient_path(depth),
    }


def fit(law, depths, costs):
    """A law with the factor and the constant that suit the costs best: `(its values, their relative error)`."""
    depths, costs = np.array(depths, float), np.array(costs, float)
    columns = [LAWS[law](depths)] if law == "1" else [LAWS[law](depths), np.ones_like(depths)]
    # Divided by the costs: relative errors count.
    design = np.stack(columns, axis=1) / costs[:, None]
    relative = design @ np.linalg.lstsq(design, np.ones_like(costs), rcond=None)[0]
    return relative * costs, float(np.sqrt(np.mean((relative - 1) ** 2)))


def fitted_law(depths, costs):
    """`(name in LAWS, relative error)` of the law that fits best."""
    errors = {law: fit(law, depths, costs)[1] for law in LAWS}
    # Where a slower law fits exactly, a faster one may too, with a factor of zero.
    best = min(errors, key=lambda law: round(errors[law], 9))
    return best, errors[best]
