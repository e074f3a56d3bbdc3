"""A layer's mask as the matrix of a bipartite graph: inputs on one side, outputs on the other."""

import numpy as np
from scipy import sparse


def biadjacency(mask, owner, argument="mask"):
    """The connections of `mask` as a sparse matrix of ones.

    Args:
        mask: Boolean array of shape `(fan_in, fan_out)`, True = connected, a SciPy sparse matrix of that shape, or an
            object whose `to_scipy()` returns one, such as `topologies.Connections`. Zeros and ones stand for False
            and True.
        owner: String, the function whose argument it is.
        argument: String, the argument's name.

    Returns:
        `scipy.sparse.csr_array` of int64 ones, of shape `(fan_in, fan_out)`.

    Raises:
        ValueError: If `mask` has not two axes, no input or no output, or holds something else than True and False.
    """
    given = mask.to_scipy() if hasattr(mask, "to_scipy") else mask
    stored = given if sparse.issparse(given) else np.asarray(given)
    if stored.ndim == 2 and 0 not in stored.shape and stored.dtype.kind in "biuf":
        pairs = sparse.coo_array(stored)
        connected = pairs.data != 0
        graph = sparse.csr_array((connected.astype(np.int64), (pairs.row, pairs.col)), shape=pairs.shape)
        graph.eliminate_zeros()
        # A pair that a sparse matrix names twice has added up to 2.
        if (pairs.data == connected).all() and (graph.data == 1).all():
            return graph
    raise ValueError(
        f"`{argument}` of {owner} must be a boolean array or sparse matrix (fan_in, fan_out), True = connected, no "
        f"pair twice. Received: values of type {stored.dtype}, shape {stored.shape}. Pass the mask of one layer, such "
        "as `layer.mask` or `layer.connections`; for the graph of a kernel `kernel != 0`."
    )
