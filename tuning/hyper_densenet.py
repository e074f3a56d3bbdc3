"""The search space over `DenseNet`."""

from keras_sparse.applications import DenseNet
from keras_sparse.tuning.search_space import SearchSpace


class HyperDenseNet(SearchSpace):
    """Searches depth, growth rate and bottleneck of `DenseNet`; see `SearchSpace`.

    Example:
        >>> HyperDenseNet((32, 32, 3), 10, depth=40, growth_rate=[12, 24])
    """

    constructor = DenseNet
    ranges = {  # noqa: RUF012
        "depth": [22, 40],
        "growth_rate": [8, 12, 16, 24],
        "bottleneck": [True, False],
        "compression": None,
    }
