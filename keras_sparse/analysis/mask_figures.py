"""Pictures of a mask: the mask itself, and its degrees."""

import numpy as np

from keras_sparse.analysis.bipartite import biadjacency
from keras_sparse.analysis.graph_metrics import degrees

# Rows and columns of the picture at most; a larger mask is shown by the density of its parts.
CELLS = 800


def plot_mask(mask, path):
    """Draws a mask, inputs from top to bottom and outputs from left to right, into an image file.

    Up to 800 x 800 each connection is one dark cell; beyond, a cell is the darker the more of its pairs are connected.

    Args:
        mask: Boolean array `(fan_in, fan_out)`, SciPy sparse matrix or `topologies.Connections`.
        path: String or path of the file; its ending says the kind, such as ".png".

    Raises:
        ValueError: If `mask` is not a mask.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    graph = biadjacency(mask, "plot_mask").tocoo()
    fan_in, fan_out = graph.shape
    shape = (min(fan_in, CELLS), min(fan_out, CELLS))
    pairs = [np.bincount(np.arange(n) * cells // n) for n, cells in zip(graph.shape, shape, strict=True)]
    density = np.zeros(shape)
    np.add.at(density, (graph.row * shape[0] // fan_in, graph.col * shape[1] // fan_out), 1)
    density /= np.outer(*pairs)

    height = float(np.clip(6 * fan_in / fan_out, 3, 9))
    figure = Figure(figsize=(6, height), layout="constrained")
    axes = figure.subplots()
    binned = shape != graph.shape
    # By the square root, or lone connections would vanish beside a dense band.
    norm = PowerNorm(0.5 if binned else 1, vmin=0, vmax=density.max() if graph.nnz else 1)
    extent = (-0.5, fan_out - 0.5, fan_in - 0.5, -0.5)
    image = axes.imshow(density, cmap="Blues", norm=norm, aspect="auto", extent=extent)
    if binned:
        figure.colorbar(image, ax=axes, label="fraction connected", shrink=0.8)
    axes.set_title(f"{fan_in:,} x {fan_out:,}, {1 - graph.nnz / (fan_in * fan_out):.2%} sparse")
    axes.set_xlabel("output")
    axes.set_ylabel("input")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    figure.savefig(path, dpi=150)


def plot_degree_histogram(mask, path):
    """Draws how many inputs and outputs have how many connections, into an image file.

    Args:
        mask, path: As in `plot_mask`.

    Raises:
        ValueError: If `mask` is not a mask.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    sides = zip(figure.subplots(1, 2), ("inputs", "outputs"), ("out-degree", "in-degree"), degrees(mask), strict=True)
    for axes, units, kind, side in sides:
        # One bar for each degree, or for a few neighbouring ones where the range is wide.
        step = -(-int(side.max() - side.min() + 1) // 60)
        edges = np.arange(side.min(), side.max() + step + 1, step) - 0.5
        axes.hist(side, bins=edges, color="C0", edgecolor="white", linewidth=0.5)
        axes.axvline(side.mean(), color="C1", linestyle="--")
        axes.set_title(f"{len(side):,} {units}, mean {kind} {side.mean():.4g}")
        axes.set_xlabel(f"{kind}")
        axes.set_ylabel(f"number of {units}")
        # One degree alone would be a bar as wide as the picture.
        middle, reach = (edges[0] + edges[-1]) / 2, max((edges[-1] - edges[0]) / 2 * 1.05, 3)
        axes.set_xlim(middle - reach, middle + reach)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
    figure.savefig(path, dpi=150)
