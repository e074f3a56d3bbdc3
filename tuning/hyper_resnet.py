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
        # TensorFlow 2.21 on CPUs with AVX-512 breaks down in the gradient of narrower projections, if a batch is odd.
        "growth_rate": [16, 32, (16, 16, 32)],
        "bottleneck": [True, False],
        "pattern": ["all", "exponential", "window:3"],
        "base": [2, 3],
        "operator": ["sum", "mean"],
    }
