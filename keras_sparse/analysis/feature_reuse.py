"""Which earlier outputs the layers of a trained network really use: the heat maps of DenseNet and SparseNet.

>>> reuse = feature_reuse(model)
>>> print(reuse)
>>> plot_feature_reuse(reuse, "reuse.png")
"""

import dataclasses

import keras
import numpy as np

from keras_sparse import checks
from keras_sparse.aggregation import Concat
from keras_sparse.analysis.definition_order import in_definition_order
from keras_sparse.analysis.text_table import text_table
from keras_sparse.layers import SparseAggregationBlock
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.layers.two_forms import refuse_loops

HEAT = "mean |weight| / largest of the layer"


@dataclasses.dataclass(frozen=True, eq=False)
class StageReuse:
    """How the layers of one stage read the outputs before them.

    Attributes:
        name: String, the block's name.
        sources: Tuple of names: "input", the block's own, then its units in order.
        readers: Tuple of names: the units, then the layer that reads the block's exit (a transition's convolution,
            the classifier), if there is one.
        weights: Float array `(sources, readers)`: mean absolute weight by which a layer reads an output; NaN where
            it does not read it.
    """

    name: str
    sources: tuple
    readers: tuple
    weights: np.ndarray

    @property
    def normalized(self):
        """`weights`, in each column divided by the largest: 1.0 is the output that the layer uses most."""
        largest = np.nanmax(self.weights, axis=0)
        return self.weights / np.where(largest == 0, 1, largest)


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureReuse:
    """The stages of a model; `str()` is a table with one row for each layer that reads.

    Attributes:
        model_name: String.
        stages: Tuple of `StageReuse`, in the model's order.
    """

    model_name: str
    stages: tuple

    def __str__(self):
        rows = [row for stage in self.stages for row in _rows(stage)]
        titles = ("layer", "uses most", "uses least", "reads", "mean |w|", "most", "least", "least / most")
        table = text_table(titles, rows, words=(26, 26, 26))
        return f"Feature reuse of {self.model_name}, by mean absolute weight\n{table}"


def feature_reuse(model):
    """Measures how much each layer of a stage uses each earlier output, by mean absolute weight.

    A unit is judged by its first kernel, the one that reads the joined outputs (of a bottleneck unit the 1x1
    convolution). A weight that is cut counts as zero.

    Args:
        model: Keras model with a `SparseAggregationBlock` that concatenates: a SparseNet or DenseNet.

    Returns:
        A `FeatureReuse`.

    Raises:
        ValueError: If the model is not one, has no such block, or a unit has no kernel that reads its input.

    Reference:
        Huang et al., Densely connected convolutional networks, 2017, figure 5, https://arxiv.org/abs/1608.06993;
        Zhu et al., 2018, section 4.6 and figure 3, https://arxiv.org/abs/1801.05895. They rescale each column to
        [0, 1], without saying how; `normalized` divides by its largest, so that a column of equals is all ones.

    Example:
        >>> feature_reuse(SparseNet(22, 12)).stages[0].weights.shape     # y_0 .. y_6; six units and the transition
        (7, 7)
    """
    if isinstance(model, keras.Model):
        refuse_loops(model, "feature_reuse")
    layers = in_definition_order(model) if isinstance(model, keras.Model) else ()
    blocks = [layer for layer in layers if isinstance(layer, SparseAggregationBlock) and layer.built]
    # Behind a shortcut the first unit reads something else than the others.
    blocks = [block for block in blocks if isinstance(block.operator, Concat) and block.shortcut is None]
    if not blocks:
        received = [type(layer).__name__ for layer in model.layers] if isinstance(model, keras.Model) else model
        raise checks.error(
            "model", "feature_reuse", "a built model with a SparseAggregationBlock that concatenates", received,
            "Pass a SparseNet or DenseNet; where outputs are added, weights belong to no single one.",
        )  # fmt: skip
    return FeatureReuse(model.name, tuple(_stage(model, block) for block in blocks))


def plot_feature_reuse(result, path):
    """Draws the heat maps of all stages, normalised by column, into an image file.

    Args:
        result: `FeatureReuse`.
        path: String or path of the file; its ending says the kind, such as ".png".
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(result.stages) + 0.8, 4.6), layout="constrained")
    figure.suptitle(f"Feature reuse of {result.model_name}")
    panels = figure.subplots(1, len(result.stages), squeeze=False)[0]
    for axes, stage in zip(panels, result.stages, strict=True):
        image = draw_heat_map(axes, stage)
    panels[0].set_ylabel("output that is read (0: the stage's input)")
    figure.colorbar(image, ax=panels, shrink=0.8, label=HEAT)
    figure.savefig(path, dpi=150)


def draw_heat_map(axes, stage):
    """Draws one `StageReuse` into a panel; returns the image, for a colour bar."""
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    units = len(stage.sources) - 1
    image = axes.imshow(
        stage.normalized, cmap=colormaps["turbo"].with_extremes(bad="white"), vmin=0, vmax=1,
        interpolation="nearest", extent=(0.5, len(stage.readers) + 0.5, units + 0.5, -0.5),
    )  # fmt: skip
    if len(stage.readers) > units:
        axes.axvline(units + 0.5, color="black", linewidth=1)
    axes.set_title(f"{stage.name}, then {stage.readers[-1]}" if len(stage.readers) > units else stage.name)
    axes.set_xlabel("layer that reads")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    return image


def _rows(stage):
    for column, reader in enumerate(stage.readers):
        weights = stage.weights[:, column]
        most, least = int(np.nanargmax(weights)), int(np.nanargmin(weights))
        ratio = stage.normalized[least, column]
        numbers = [f"{number:.4g}" for number in (np.nanmean(weights), weights[most], weights[least])]
        read = str(np.count_nonzero(~np.isnan(weights)))
        yield (reader, stage.sources[most], stage.sources[least], read, *numbers, f"{ratio:.2f}")


def _stage(model, block):
    widths = _widths(block)
    sources = [block.pattern.sources(available) for available in range(1, len(widths) + 1)]
    read = [[widths[source] for source in row] for row in sources]
    kernels = [_unit_kernel(unit, sum(channels), block) for unit, channels in zip(block.units, read, strict=False)]
    readers = [unit.name for unit in block.units]
    exit_layer = _exit_layer(model, block)
    if exit_layer is not None and _kernel(exit_layer).shape[-2] % sum(read[-1]) == 0:
        kernels.append(_kernel(exit_layer))
        readers.append(exit_layer.name)
    weights = np.full((len(widths), len(readers)), np.nan)
    for column, kernel in enumerate(kernels):
        weights[sources[column], column] = _mean_weights(kernel, read[column])
    return StageReuse(block.name, ("input", *(unit.name for unit in block.units)), tuple(readers), weights)


def _widths(block):
    """Channels of each output of a block, its input first."""
    shape = list(block.get_build_config()["input_shape"])
    widths = [shape[block.axis]]
    for unit in block.units:
        shape[block.axis] = sum(widths[source] for source in block.pattern.sources(len(widths)))
        joined = keras.KerasTensor(tuple(shape), dtype=block.compute_dtype)
        widths.append(unit.compute_output_spec(joined).shape[block.axis])
    return widths


def _unit_kernel(unit, channels, block):
    """The kernel by which a unit reads its input: the first, in the order in which it defines its layers."""
    for layer in in_definition_order(unit):
        kernel = _kernel(layer)
        if kernel is not None and kernel.ndim > 1 and kernel.shape[-2] == channels:
            return kernel
    raise checks.error(
        "model", "feature_reuse", f"of units with a kernel that reads the {channels} channels before them",
        f"{type(unit).__name__} {unit.name} in {block.name}", "Use units of convolutions or dense layers.",
    )  # fmt: skip


def _kernel(layer):
    """The layer's kernel as a dense array, zeros where nothing is connected; None if it has none."""
    if isinstance(layer, SparseKernel):
        return layer.dense_kernel()
    kernel = getattr(layer, "kernel", None)
    return None if kernel is None else keras.ops.convert_to_numpy(kernel)


def _exit_layer(model, block):
    """The layer with a kernel to which the block's output comes through layers that have none, or None."""
    tensor = getattr(block, "output", None)  # a block in a subclassed model has no symbolic output
    while tensor is not None:
        following = [
            layer
            for container in in_definition_order(model)
            if isinstance(container, keras.Model)
            for layer in container.layers
            if getattr(layer, "input", None) is tensor
        ]
        if len(following) != 1:
            return None
        if _kernel(following[0]) is not None:
            return following[0]
        tensor = following[0].output
    return None


def _mean_weights(kernel, widths):
    """Mean absolute weight for each of the sources that were joined, `widths` channels each."""
    # A flattened map has the positions outside and the channels inside, as a convolution's kernel.
    by_channel = np.abs(kernel.astype(np.float64)).reshape(-1, sum(widths), kernel.shape[-1]).mean(axis=(0, 2))
    return [part.mean() for part in np.split(by_channel, np.cumsum(widths)[:-1])]
