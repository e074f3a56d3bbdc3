"""The search space over `ResNet`."""

from keras_sparse.tuning.search_space import SearchSpace


class HyperResNet(SearchSpace):
    """Searches depth, width (`growth_rate`), bottleneck, pattern, base and operator of `ResNet`; see `SearchSpace`.

    Example:
        >>> HyperResNet((32, 32, 3), 10, depth=[56, 110], pattern=["all", "exponential"])
    """

    model = "resnet"
    ranges = {  # noqa: RUF012
        "depth": [20, 38, 56],
        "growth_rate": [8, 16, (8, 8, 16)],
        "bottleneck": [True, False],
        "pattern": ["all", "exponential", "window:3"],
        "base": [2, 3],
        "operator": ["sum", "mean"],
    }
