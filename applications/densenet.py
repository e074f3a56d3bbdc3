"""DenseNet: every unit reads all outputs before it.

Reference:
    Huang et al., Densely connected convolutional networks, 2017, https://arxiv.org/abs/1608.06993
"""

from keras_sparse.applications.conventions import SHARED_DOC, Conventions, variant
from keras_sparse.applications.stages import cifar_network, imagenet_network


def DenseNet(
    depth,
    growth_rate,
    bottleneck=None,
    compression=None,
    operator="concat",
    stem_filters=None,
    include_top=True,
    weights=None,
    input_tensor=None,
    input_shape=None,
    pooling=None,
    classes=10,
    classifier_activation="softmax",
    name="densenet",
):
    return cifar_network(
        Conventions(
            owner="DenseNet",
            default_size=32,
            minimum_size=4,
            include_top=include_top,
            weights=weights,
            input_tensor=input_tensor,
            input_shape=input_shape,
            pooling=pooling,
            classes=classes,
            classifier_activation=classifier_activation,
            name=name,
        ),
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


DenseNet.__doc__ = f"""DenseNet for CIFAR-sized images: `SparseNet` with every link.

    Args:
        depth: Integer, layers with weights: `(depth - 4) // 3` units a stage, with bottleneck `(depth - 4) // 6`.
        growth_rate: Integer or three, one for each stage: channels that each unit adds.
        bottleneck: Boolean, a 1x1 convolution before each 3x3 one (the BC form); by default as in `SparseNet`.
        compression: Number in (0, 1], channels that a transition keeps; by default 0.5 with bottleneck, else 1.
        operator: "concat"; with "sum" or "mean" the network is the `ResNet` that `SparseNet` documents.
        stem_filters: Integer, filters of the first convolution. By default twice the growth rate; if the stages
            have a rate each, 48 or the first of them, whichever is larger, as in the published counts.{
    SHARED_DOC.format(default_shape="(32, 32, 3)").rstrip(" ")}
    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If an argument is out of range, or contradicts another.

    Example:
        >>> DenseNet(depth=40, growth_rate=12).count_params()
    """


def _imagenet(
    units,
    owner,
    growth_rate=32,
    include_top=True,
    weights=None,
    input_tensor=None,
    input_shape=None,
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    name=None,
):
    conventions = Conventions(
        owner=owner,
        default_size=224,
        minimum_size=32,
        include_top=include_top,
        weights=weights,
        input_tensor=input_tensor,
        input_shape=input_shape,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        name=name,
    )
    return imagenet_network(conventions, units, growth_rate, "all", 2, "concat", stem_multiple=2)


_imagenet.__doc__ = f"""{{name}} for ImageNet-sized images, as in `keras.applications` where it has one of that name.

    Args:
        growth_rate: Integer or four, one for each stage.{
    SHARED_DOC.format(default_shape="(224, 224, 3)").rstrip(" ")}
    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> {{name}}(classes=1000).count_params()
    """

DenseNet121 = variant(_imagenet, "DenseNet121", units=(6, 12, 24, 16))
DenseNet169 = variant(_imagenet, "DenseNet169", units=(6, 12, 32, 32))
DenseNet201 = variant(_imagenet, "DenseNet201", units=(6, 12, 48, 32))
DenseNet264 = variant(_imagenet, "DenseNet264", units=(6, 12, 64, 32))
