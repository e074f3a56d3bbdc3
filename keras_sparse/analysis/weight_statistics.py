"""How the weights of a model are distributed, kernel by kernel.

>>> statistics = weight_statistics(model)
>>> print(statistics)
>>> plot_weight_statistics(statistics, "weights.png")
"""

import dataclasses
import math

import keras
import numpy as np

from keras_sparse import checks
from keras_sparse.analysis.definition_order import in_definition_order
from keras_sparse.analysis.text_table import short, text_table
from keras_sparse.layers.sparse_kernel import SparseKernel

# Fractions of the connected weights that lie below each of `WeightRow.quantiles`.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MOST_BINS = 60


@dataclasses.dataclass(frozen=True)
class WeightRow:
    """The weights of one kernel. Statistics are those of the connected weights, zeros among them included.

    Attributes:
        layer: Names of the layers around it, outermost first, and its own, joined by "/".
        kernel: The variable's name.
        shape: Tuple, the variable's shape.
        count: Integer, weights of the dense kernel, connected or not.
        connected: Integer, weights that the layer's mask leaves; without one, all.
        nonzero: Integer, connected weights that are not zero.
        mean, standard_deviation, mean_absolute, minimum, maximum: Floats; NaN if nothing is connected.
        quantiles: Tuple of floats, one for each of `QUANTILES`.
        histogram: Tuple of integers, connected weights in equal steps from `minimum` to `maximum`; empty if nothing
            is connected, or a weight is not finite.
    """

    layer: str
    kernel: str
    shape: tuple
    count: int
    connected: int
    nonzero: int
    mean: float
    standard_deviation: float
    mean_absolute: float
    minimum: float
    maximum: float
    quantiles: tuple
    histogram: tuple

    @property
    def sparsity(self):
        """Fraction of the dense kernel's weights that are zero or not connected."""
        return 1 - self.nonzero / self.count


@dataclasses.dataclass(frozen=True)
class WeightStatistics:
    """The kernels of a model; `str()` is a table.

    Attributes:
        model_name: String.
        rows: Tuple of `WeightRow`, in the order of the layers.
    """

    model_name: str
    rows: tuple

    def __str__(self):
        titles = ("layer", "dense", "non-zero", "sparsity", "mean", "std", "mean |w|", "min", "max")
        rows = []
        for row in self.rows:
            counts = (short(row.count), short(row.nonzero), f"{row.sparsity:.1%}", f"{row.mean:.2g}")
            values = (row.standard_deviation, row.mean_absolute, row.minimum, row.maximum)
            rows.append((_label(row), *counts, *(f"{value:.3g}" for value in values)))
        return f"Weights of {self.model_name}, of connected ones from mean to max\n{text_table(titles, rows)}"


def weight_statistics(model):
    """Measures every trained variable with more than one axis, frozen or not.

    Args:
        model: Built Keras model or layer, of any layers. Of a layer with a mask the connected weights count; in
            the compact format all that is stored is connected.

    Returns:
        A `WeightStatistics`.

    Raises:
        ValueError: If `model` is no model, or has no such variable.

    Reference:
        Bourely et al., Sparse neural network topologies, 2017, section 4.6 and figure 6,
        https://arxiv.org/abs/1706.05683

    Example:
        >>> model = keras.Sequential([keras.Input((784,)), keras_sparse.layers.MaskedDense(300, sparsity=0.9)])
        >>> weight_statistics(model).rows[0].connected
        23700
    """
    if not isinstance(model, keras.layers.Layer):
        raise checks.error("model", "weight_statistics", "a Keras model", model, "Pass the model itself.")
    rows, seen = [], set()
    for layer in in_definition_order(model):
        # By structure and not by `trainable`: freezing does not change what a layer is.
        for variable in layer._trainable_variables:
            if id(variable) not in seen and (len(variable.shape) > 1 or _is_compact(layer, variable)):
                seen.add(id(variable))
                rows.append(_row(layer, variable, model.name))
    if not rows:
        raise checks.error(
            "model", "weight_statistics", "a built model with a trained variable of two axes or more", model.name,
            "Call it on data first, or give it an Input.",
        )  # fmt: skip
    return WeightStatistics(model.name, tuple(rows))


def plot_weight_statistics(result, path):
    """Draws the distribution of each kernel's connected weights, all on one scale, into an image file.

    Each histogram is scaled to the same height; ticks mark the smallest and the largest weight, the bar below spans
    the middle half.

    Args:
        result: `WeightStatistics`, or a model to take them from.
        path: String or path of the file; its ending says the kind, such as ".png".
    """
    from matplotlib.figure import Figure

    statistics = result if isinstance(result, WeightStatistics) else weight_statistics(result)
    rows = statistics.rows
    # Of hundreds of kernels each gets less room, and only some a name.
    room = min(0.42, 30 / len(rows))
    figure = Figure(figsize=(9, 1.4 + room * len(rows)), layout="constrained")
    axes = figure.subplots()
    for i, row in enumerate(rows):
        if not row.histogram:
            continue  # its name stands beside an empty row
        edges = np.linspace(row.minimum, row.maximum, len(row.histogram) + 1)
        heights = np.array(row.histogram) / max(row.histogram)
        axes.stairs(i - 0.85 * heights, edges, baseline=i, fill=True, color="C0", alpha=0.75)
        axes.plot([row.minimum, row.maximum], [i, i], color="C0", linewidth=0.5, marker="|", markersize=4)
        axes.plot([row.quantiles[1], row.quantiles[3]], [i + 0.06] * 2, color="C1", linewidth=2, solid_capstyle="butt")
    named = range(0, len(rows), max(1, math.ceil(0.16 / room)))
    axes.set_yticks(named, [_label(rows[i]) for i in named], fontsize=8)
    right = axes.secondary_yaxis("right")
    right.set_yticks(named, [f"{rows[i].sparsity:.1%}" for i in named], fontsize=8)
    right.set_ylabel("sparsity")
    axes.set_ylim(len(rows) - 0.7, -1)
    axes.set_xlabel("connected weight")
    axes.set_title(f"Weights of {statistics.model_name}")
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(path, dpi=120)


def _is_compact(layer, variable):
    return isinstance(layer, SparseKernel) and layer.format == "compact" and variable is layer.trained_kernel


def _row(layer, variable, model_name):
    weights = keras.ops.convert_to_numpy(variable).astype(np.float64)
    count = weights.size
    if _is_compact(layer, variable):
        connections = layer.connections
        # A block at each position of a convolution's kernel, for each connected pair.
        positions = math.prod(weights.shape[1:]) // connections.block_size**2
        count = connections.fan_in * connections.fan_out * positions
    elif isinstance(layer, SparseKernel) and variable is layer.trained_kernel:
        weights = weights[..., layer.mask]  # perhaps the same one at every position of a convolution's kernel
    weights = weights.ravel()
    some = weights if weights.size else np.array([np.nan])
    # A Sequential puts its own name in front of its layers'.
    path = variable.path.removeprefix(f"{model_name}/").rpartition("/")[0]
    with np.errstate(invalid="ignore"):  # weights that are not finite are for the table to show
        return WeightRow(
            layer=path or layer.name,
            kernel=variable.name,
            shape=tuple(variable.shape),
            count=count,
            connected=weights.size,
            nonzero=int(np.count_nonzero(weights)),
            mean=float(some.mean()),
            standard_deviation=float(some.std()),
            mean_absolute=float(np.abs(some).mean()),
            minimum=float(some.min()),
            maximum=float(some.max()),
            quantiles=tuple(np.quantile(some, QUANTILES).tolist()),
            histogram=_histogram(weights),
        )


def _histogram(weights):
    if not weights.size or not np.isfinite(weights).all():
        return ()
    bins = int(np.clip(np.sqrt(weights.size), 8, MOST_BINS)) if weights.min() < weights.max() else 1
    return tuple(np.histogram(weights, bins=bins, range=(weights.min(), weights.max()))[0].tolist())


def _label(row):
    """The layer's own name, and the variable's where a layer has several kernels."""
    layer = row.layer.rpartition("/")[2]
    return layer if row.kernel in ("kernel", "values") else f"{layer} {row.kernel}"
