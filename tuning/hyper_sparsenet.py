"""The search space over `SparseNet`."""

from keras_sparse.tuning.search_space import SearchSpace


class HyperSparseNet(SearchSpace):
    """Searches depth, growth rate (also one for each stage), bottleneck, pattern, base and compression of `SparseNet`,
    and its operator if several are given; see `SearchSpace`.

    Example:
        >>> HyperSparseNet((32, 32, 3), 10, depth=40, growth_rate=[12, (8, 16, 32)], operator=["concat", "sum"])
    """

    model = "sparsenet"
    ranges = {  # noqa: RUF012
        "depth": [10, 16, 22],
        "growth_rate": [8, 12, 16, 24, (8, 16, 32)],
        "bottleneck": [True, False],
        "pattern": ["exponential", "hybrid:2", "window:3"],
        "base": [2, 3, 4],
        "operator": "concat",
        "compression": [0.5, 1.0],
    }
