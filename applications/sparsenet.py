"""SparseNet: DenseNet or ResNet with exponentially spaced links.

Reference:
    Zhu et al., Sparsely aggregated convolutional networks, 2018, https://arxiv.org/abs/1801.05895
    Nijhawan, Tiwari and Anand, Highly scalable deep convolutional neural networks with sparsely aggregated
    internal connections
"""

from keras import layers

from keras_sparse.applications.conventions import constructor
from keras_sparse.applications.stages import LOOPS_DOC, cifar_network, imagenet_network


@constructor(classes=10, documents={"loops": LOOPS_DOC})
def SparseNet(
    conventions,
    depth,
    growth_rate,
    bottleneck=None,
    compression=None,
    pattern="exponential",
    base=2,
    operator="concat",
    stem_filters=None,
    loop="auto",
    remat=False,
):
    """SparseNet for CIFAR-sized images: three stages, each unit reading outputs 1, 2, 4, 8, ... back.

    With `operator="concat"` it is DenseNet with fewer links (SparseNet[⊕]); `bottleneck=True` is its BC form.
    With "sum" or "mean" it is a pre-activation ResNet with fewer links (SparseNet[+]), parameter for parameter
    the `ResNet` of the same depth.

    Args:
        depth: Integer, layers with weights. Each stage has `(depth - 4) // 3` units, with bottleneck
            `(depth - 4) // 6`; networks that add: `(depth - 2) // 6`, with bottleneck `(depth - 2) // 9`.
            A remainder is left out, with a warning.
        growth_rate: Integer or three, one for each stage: channels that each unit adds. In networks that add, the
            width of the units; one integer then doubles from stage to stage, as ResNets do.
        bottleneck: Boolean, a 1x1 convolution before each 3x3 one. None (the default) is what the papers show for
            the operator: False for "concat", True for the others.
        compression: Number in (0, 1], channels that a transition keeps; by default 0.5 with bottleneck, else 1.
        pattern: Name in `aggregation.PATTERNS` ("window:5" reads the last 5) or `Pattern`, or three, one for each
            stage.
        base: Integer >= 2, of the exponential and hybrid patterns.
        operator: "concat", "sum" or "mean".
        stem_filters: Integer, filters of the first convolution. By default the growth rate; if the stages have a
            rate each, 24 or the first of them, whichever is larger, as in the published counts.
        {loops}
        {shared}

    Returns:
        A `keras.Model`. Each stage is one layer (`conv2`, `conv3`, `conv4`), a `SparseAggregationBlock` or
        `LoopedAggregationBlock`.

    Raises:
        ValueError: If an argument is out of range, or contradicts another.

    Example:
        >>> SparseNet(depth=40, growth_rate=12, bottleneck=True).count_params()
    """
    return cifar_network(
        conventions,
        depth=depth,
        growth_rate=growth_rate,
        bottleneck=bottleneck,
        compression=compression,
        pattern=pattern,
        base=base,
        operator=operator,
        stem_filters=stem_filters,
        stem_multiple=1,
        loop=loop,
        remat=remat,
    )


def _imagenet(
    conventions,
    units,
    growth_rate=32,
    pattern="exponential",
    base=2,
):
    """{name} for ImageNet-sized images: bottleneck units, compression 0.5.

    The stem has as many filters as the growth rate, and the classifier reads the last map averaged to 3x3 and
    flattened, nine values a channel.

    Args:
        growth_rate: Integer or four, one for each stage.
        pattern: Name in `aggregation.PATTERNS` ("window:5" reads the last 5) or `Pattern`, or four, one for each stage.
        base: Integer >= 2, of the exponential and hybrid patterns.
        {shared}

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> {name}(growth_rate=32, classes=1000).count_params()
    """

    def features(x):
        options = {"data_format": conventions.data_format}
        x = layers.AdaptiveAveragePooling2D(3, name="avg_pool", **options)(x)
        return layers.Flatten(name="flatten", **options)(x)

    # Five halvings must leave the 3x3 map that the classifier reads.
    minimum_size = 96 if conventions.include_top else 32
    image = conventions.image(224, minimum_size)
    return imagenet_network(conventions, image, units, growth_rate, pattern, base, stem_multiple=1, features=features)


SparseNet121 = constructor(classes=1000, name="SparseNet121", units=(6, 12, 24, 16))(_imagenet)
SparseNet169 = constructor(classes=1000, name="SparseNet169", units=(6, 12, 32, 32))(_imagenet)
SparseNet201 = constructor(classes=1000, name="SparseNet201", units=(6, 12, 48, 32))(_imagenet)
