"""Paths from the inputs to the outputs of several layers: how many, and whether all pairs have as many."""

import itertools

import numpy as np

from keras_sparse import checks
from keras_sparse.analysis.bipartite import biadjacency

# Inputs that `symmetry` looks at in one go, so that it needs no array of all pairs.
INPUTS_AT_ONCE = 512


def path_counts(masks):
    """Number of paths from each input of the first layer to each output of the last.

    Args:
        masks: List of masks of consecutive layers, each a boolean array `(fan_in, fan_out)`, a SciPy sparse matrix or
            `topologies.Connections`.

    Returns:
        Integer array `(inputs, outputs)`, exact: int64, or Python integers (dtype object) if one exceeds int64.

    Raises:
        ValueError: If `masks` is empty, holds something else than masks, or a layer has not as many inputs as the one
            before it has outputs.

    Example:
        >>> path_counts([np.ones((2, 3), bool), np.ones((3, 1), bool)])
        array([[3],
               [3]])
    """
    return _counts(_chained(masks, "path_counts"))


def symmetry(masks):
    """How evenly paths are spread: the smallest number of paths of a pair of input and output over the largest.

    Returns:
        Float in [0, 1]: 1.0 if the network is symmetric, 0.0 if some input does not reach some output.

    Raises:
        ValueError: As `path_counts`.
    """
    lows, highs = zip(*_extremes(_chained(masks, "symmetry")), strict=True)
    return min(lows) / max(max(highs), 1)


def is_symmetric(masks):
    """Whether every input reaches every output by the same number of paths, at least one: a RadiX-Net's property.

    Raises:
        ValueError: As `path_counts`.

    Reference:
        Alford, Robinett, Milechin and Kepner, Training behavior of sparse neural network topologies, 2018,
        https://arxiv.org/abs/1810.00299

    Example:
        >>> is_symmetric([topology(8, 8) for topology in RadixNet.chain((2, 2, 2))])
        True
    """
    expected = None
    for low, high in _extremes(_chained(masks, "is_symmetric")):
        expected = low if expected is None else expected
        if not 1 <= expected == low == high:
            return False
    return True


def _chained(masks, owner):
    if not isinstance(masks, (list, tuple)) or not masks:
        raise checks.error("masks", owner, "a non-empty list of masks", masks, "Pass one mask for each layer.")
    graphs = [biadjacency(mask, owner, f"masks[{i}]") for i, mask in enumerate(masks)]
    for i, (before, graph) in enumerate(itertools.pairwise(graphs)):
        if before.shape[1] != graph.shape[0]:
            shapes = [graph.shape for graph in graphs]
            raise ValueError(
                f"`masks` of {owner} must be of consecutive layers. Received: masks={shapes} (shapes), where layer {i} "
                f"has {before.shape[1]} outputs and layer {i + 1} has {graph.shape[0]} inputs. Leave out no layer, and "
                "pass masks as (fan_in, fan_out)."
            )
    return graphs


def _extremes(graphs):
    """Smallest and largest number of paths, for some inputs at a time."""
    first, *others = graphs
    for start in range(0, first.shape[0], INPUTS_AT_ONCE):
        counts = _counts([first[start : start + INPUTS_AT_ONCE], *others])
        yield int(counts.min()), int(counts.max())


def _counts(graphs):
    counts = graphs[0].toarray()
    for graph in graphs[1:]:
        counts = _one_layer_further(counts, graph)
    if counts.dtype == object and counts.max() <= np.iinfo(np.int64).max:
        return counts.astype(np.int64)
    return counts


def _one_layer_further(counts, graph):
    """`counts @ graph`, in time proportional to the connections, in int64 for as long as nothing overflows."""
    if counts.dtype != object:
        # Rounding is far too small to hide an overflow behind this margin.
        if (graph.T @ counts.T.astype(np.float64)).max() < 2.0**62:
            return np.ascontiguousarray((graph.T @ counts.T).T)
        counts = counts.astype(object)
    columns = graph.tocsc()
    further = np.zeros((counts.shape[0], graph.shape[1]), dtype=object)
    for output in range(graph.shape[1]):
        inputs = columns.indices[columns.indptr[output] : columns.indptr[output + 1]]
        further[:, output] = counts[:, inputs].sum(axis=1)
    return further
