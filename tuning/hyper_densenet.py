"""The search space over `DenseNet`."""

from keras_sparse.tuning.search_space import SearchSpace


class HyperDenseNet(SearchSpace):
    """Searches depth, growth rate (also one for each stage), bottleneck and compression of `DenseNet`; see
    `SearchSpace`.

    Example:
        >>> HyperDenseNet((32, 32, 3), 10, depth=40, growth_rate=[12, 24])
    """

    model = "densenet"
    ranges = {  # noqa: RUF012
        "depth": [10, 16, 22],
        "growth_rate": [8, 12, 16, 24, (8, 16, 32)],
        "bottleneck": [True, False],
        "compression": [0.5, 1.0],
    }
