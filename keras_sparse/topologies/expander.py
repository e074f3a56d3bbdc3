"""Random regular graphs, which are expanders with high probability."""

import keras
import numpy as np

from keras_sparse.topologies.topology import DegreeTopology


@keras.saving.register_keras_serializable(package="keras_sparse")
class Expander(DegreeTopology):
    """Connects each input to exactly `out_degree` random outputs, each output to as equal a number of inputs.

    In-degrees differ by one at most (by none where `fan_out` divides `fan_in * out_degree`). Such graphs have nearly
    the largest spectral gap that their degrees allow: the second singular value of the mask approaches
    `sqrt(in_degree - 1) + sqrt(out_degree - 1)`. Half-edges of inputs and outputs are matched at random, and pairs
    that came twice are switched with others until none is left.

    Args:
        sparsity: Number in [0, 1), fraction of zeros; or None.
        out_degree: Integer in [1, fan_out], connections out of each input; or None.
        block_size: Integer >= 1, size of the dense blocks.
        seed: Integer or None; None draws one and keeps it.

    Reference:
        Bourely et al., Sparse neural network topologies, 2017, section 3.1.3, https://arxiv.org/abs/1706.05683
        Brito et al., Spectral gap in random bipartite biregular graphs, 2022, https://arxiv.org/abs/1804.07808

    Example:
        >>> mask = Expander(out_degree=3, seed=0)(8, 6)
        >>> mask.sum(axis=1), mask.sum(axis=0)
        (array([3, 3, 3, 3, 3, 3, 3, 3]), array([4, 4, 4, 4, 4, 4]))
    """

    def __init__(self, sparsity=None, out_degree=None, block_size=1, seed=None):
        super().__init__(sparsity, out_degree, block_size, seed)

    def connect(self, fan_in, fan_out, rng):
        degree = self.degree_among(fan_out)
        if degree <= fan_out // 2:
            return np.repeat(np.arange(fan_in, dtype=np.int32), degree), regular(rng, fan_in, fan_out, degree).ravel()
        # A graph is as regular as what it leaves out, and that has fewer clashes to resolve.
        mask = np.ones((fan_in, fan_out), dtype=bool)
        np.put_along_axis(mask, regular(rng, fan_in, fan_out, fan_out - degree), False, axis=1)
        return mask


def regular(rng, fan_in, fan_out, degree):
    """For each input `degree` distinct outputs, chosen equally often: integer array `(fan_in, degree)`."""
    half_edges = np.arange(fan_in * degree) % fan_out
    # Which outputs get the one more must be chance, too.
    half_edges = rng.permutation(fan_out).astype(np.int32)[half_edges]
    rng.shuffle(half_edges)
    table = half_edges.reshape(fan_in, degree)
    table.sort(axis=1)
    while len(rows := np.flatnonzero((table[:, 1:] == table[:, :-1]).any(axis=1))):
        _switch(rng, table, rows)
    return table


def _switch(rng, table, rows):
    """Switches one repeated output of each of `rows` with a random entry of another row, where that repeats nothing.

    Rows stay sorted. At most half of the outputs are connected to any input, so a switch that helps always exists.
    """
    part = table[rows]
    column = 1 + np.argmax(part[:, 1:] == part[:, :-1], axis=1)
    partner = rng.integers(len(table), size=len(rows))
    partner_column = rng.integers(table.shape[1], size=len(rows))
    # Each row takes part in one switch at a time: first come, first served.
    everyone = np.stack([rows, partner], axis=1).ravel()
    first = np.zeros(len(everyone), dtype=bool)
    first[np.unique(everyone, return_index=True)[1]] = True
    alone = first.reshape(-1, 2).all(axis=1)
    rows, column, partner, partner_column = (x[alone] for x in (rows, column, partner, partner_column))
    given, taken = table[rows, column], table[partner, partner_column]
    fits = ~(table[rows] == taken[:, None]).any(axis=1) & ~(table[partner] == given[:, None]).any(axis=1)
    rows, column, partner, partner_column = (x[fits] for x in (rows, column, partner, partner_column))
    table[rows, column], table[partner, partner_column] = taken[fits], given[fits]
    for changed in (rows, partner):
        table[changed] = np.sort(table[changed], axis=1)
