"""The search space over `SparseNet`."""

from keras_sparse.applications import SparseNet
from keras_sparse.tuning.search_space import SearchSpace


class HyperSparseNet(SearchSpace):
    """Searches depth, growth rate, base, pattern and bottleneck of `SparseNet`; see `SearchSpace`.

    Example:
        >>> HyperSparseNet((32, 32, 3), 10, depth=40, growth_rate=[12, (8, 16, 32)], base=[2, 3])
    """

    constructor = SparseNet
    ranges = {  # noqa: RUF012
        "depth": [22, 40],
        "growth_rate": [8, 12, 16, 24],
        "bottleneck": [True, False],
        "pattern": "exponential",
        "base": [2, 3, 4],
        "operator": "concat",
        "compression": None,
    }
