"""The search space over `ResNet`."""

from keras_sparse.applications import ResNet
from keras_sparse.tuning.search_space import SearchSpace


class HyperResNet(SearchSpace):
    """Searches depth, width (`growth_rate`) and pattern of `ResNet`; see `SearchSpace`.

    Example:
        >>> HyperResNet((32, 32, 3), 10, depth=[56, 110], pattern=["all", "exponential"])
    """

    constructor = ResNet
    ranges = {  # noqa: RUF012
        "depth": [20, 29, 56],
        "growth_rate": [8, 16],
        "bottleneck": True,
        "pattern": ["all", "exponential"],
        "base": 2,
        "operator": "sum",
    }
