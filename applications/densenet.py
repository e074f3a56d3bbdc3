"""DenseNet: every unit reads all outputs before it.

Reference:
    Huang et al., Densely connected convolutional networks, 2017, https://arxiv.org/abs/1608.06993
"""

from keras_sparse.applications.conventions import constructor
from keras_sparse.applications.stages import cifar_network, imagenet_network


@constructor(classes=10)
def DenseNet(
    conventions,
    depth,
    growth_rate,
    bottleneck=None,
    compression=None,
    operator="concat",
    stem_filters=None,
):
    """DenseNet for CIFAR-sized images: `SparseNet` with every link.

    Args:
        depth: Integer, layers with weights: `(depth - 4) // 3` units a stage, with bottleneck `(depth - 4) // 6`;
            a remainder is left out, with a warning.
        growth_rate: Integer or three, one for each stage: channels that each unit adds.
        bottleneck: Boolean, a 1x1 convolution before each 3x3 one (the BC form); by default as in `SparseNet`.
        compression: Number in (0, 1], channels that a transition keeps; by default 0.5 with bottleneck, else 1.
        operator: "concat"; with "sum" or "mean" the network is the `ResNet` that `SparseNet` documents.
        stem_filters: Integer, filters of the first convolution. By default twice the growth rate; if the stages
            have a rate each, 48 or the first of them, whichever is larger, as in the published counts.
        {shared}

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If an argument is out of range, or contradicts another.

    Example:
        >>> DenseNet(depth=40, growth_rate=12).count_params()
    """
    return cifar_network(
        conventions,
        depth=depth,
        growth_rate=growth_rate,
        bottleneck=bottleneck,
        compression=compression,
        pattern="all",
        base=2,
        operator=operator,
        stem_filters=stem_filters,
        stem_multiple=2,
    )


def _imagenet(
    conventions,
    units,
    growth_rate=32,
):
    """{name} for ImageNet-sized images, as in `keras.applications` where it has one of that name.

    Args:
        growth_rate: Integer or four, one for each stage.
        {shared}

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> {name}(classes=1000).count_params()
    """
    image = conventions.image(224, minimum_size=32)
    return imagenet_network(conventions, image, units, growth_rate, "all", 2, stem_multiple=2)


DenseNet121 = constructor(classes=1000, name="DenseNet121", units=(6, 12, 24, 16))(_imagenet)
DenseNet169 = constructor(classes=1000, name="DenseNet169", units=(6, 12, 32, 32))(_imagenet)
DenseNet201 = constructor(classes=1000, name="DenseNet201", units=(6, 12, 48, 32))(_imagenet)
DenseNet264 = constructor(classes=1000, name="DenseNet264", units=(6, 12, 64, 32))(_imagenet)
