"""ResNet: pre-activation for CIFAR-sized images, post-activation (as in `keras.applications`) for ImageNet's.

Reference:
    He et al., Deep residual learning for image recognition, 2016, https://arxiv.org/abs/1512.03385
    He et al., Identity mappings in deep residual networks, 2016, https://arxiv.org/abs/1603.05027
"""

from keras import layers

from keras_sparse import aggregation as aggregations
from keras_sparse.applications.conventions import constructor
from keras_sparse.applications.stages import LOOPS_DOC, cifar_network
from keras_sparse.layers import SparseAggregation
from keras_sparse.layers.paper_layers import batch_normalization, convolution


@constructor(classes=10, documents={"loops": LOOPS_DOC})
def ResNet(
    conventions,
    depth,
    growth_rate=16,
    bottleneck=True,
    pattern="all",
    base=2,
    operator="sum",
    stem_filters=None,
    loop="auto",
    remat=False,
):
    """Pre-activation ResNet for CIFAR-sized images: each unit reads the sum of all outputs before it.

    Its sparse twin is `SparseNet(depth, 16, operator="sum")`, with the same parameters and fewer terms in each sum.

    Args:
        depth: Integer, layers with weights: `(depth - 2) // 9` units a stage, without bottleneck `(depth - 2) // 6`;
            a remainder is left out, with a warning.
        growth_rate: Integer, width of the first stage, doubled from stage to stage; or three, one for each stage.
            With bottleneck a unit's output is four times as wide.
        bottleneck: Boolean, 1x1, 3x3 and 1x1 convolutions instead of two of 3x3.
        pattern: Name in `aggregation.PATTERNS` ("window:5" reads the last 5) or `Pattern`, or three, one for each
            stage.
        base: Integer >= 2, of the exponential and hybrid patterns.
        operator: "sum" or "mean" ("concat" makes it a `DenseNet`).
        stem_filters: Integer, filters of the first convolution; by default the first width.
        {loops}
        {shared}

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If an argument is out of range, or contradicts another.

    Example:
        >>> ResNet(depth=56).count_params()
    """
    return cifar_network(
        conventions,
        depth=depth,
        growth_rate=growth_rate,
        bottleneck=bottleneck,
        compression=None,
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
    aggregation="residual",
    base=2,
):
    """{name} for ImageNet-sized images, layer for layer that of `keras.applications`.

    Args:
        aggregation: "residual" (the default), the running sum that is rectified after every unit; or a pattern
            (name or `Pattern`): each unit then reads the rectified sum of the outputs that the pattern selects in
            its stage, the projected input among them. "all" differs from "residual" in that only the sum is
            rectified, not each step of it. Parameters are the same in every case.
        base: Integer >= 2, of the exponential and hybrid patterns.
        {shared}

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> {name}(aggregation="exponential", classes=1000).count_params()
    """
    image = conventions.image(224, minimum_size=32)
    network = _PostActivation(conventions, aggregation, base)
    x = network.stem(image)
    for stage, count in enumerate(units):
        x = network.stage(x, stage, count)
    return conventions.model(image, conventions.classify(x))


class _PostActivation:
    """Convolutions with biases, normalised after; layer names are those of `keras.applications`."""

    def __init__(self, conventions, pattern, base):
        self.axis = conventions.axis
        self.data_format = conventions.data_format
        self.pattern = None
        if pattern != "residual":
            self.pattern = aggregations.get_pattern(pattern, base, conventions.owner)

    def _convolve(self, x, filters, kernel_size, name, strides=1, padding="same"):
        options = {"strides": strides, "padding": padding, "use_bias": True}
        x = convolution(filters, kernel_size, self.data_format, f"{name}_conv", **options)(x)
        return batch_normalization(self.data_format, f"{name}_bn")(x)

    def stem(self, x):
        options = {"data_format": self.data_format}
        x = layers.ZeroPadding2D(3, name="conv1_pad", **options)(x)
        x = self._convolve(x, 64, 7, "conv1", strides=2, padding="valid")
        x = layers.Activation("relu", name="conv1_relu")(x)
        x = layers.ZeroPadding2D(1, name="pool1_pad", **options)(x)
        return layers.MaxPooling2D(3, strides=2, name="pool1_pool", **options)(x)

    def stage(self, x, stage, units):
        filters, stride = 64 * 2**stage, 1 if stage == 0 else 2
        outputs = []
        for unit in range(units):
            name = f"conv{stage + 2}_block{unit + 1}"
            if unit == 0:
                outputs.append(self._convolve(x, 4 * filters, 1, f"{name}_0", strides=stride))
            branch = self._branch(x, filters, stride if unit == 0 else 1, name)
            if self.pattern is None:
                x = layers.Add(name=f"{name}_add")([outputs[0] if unit == 0 else x, branch])
            else:
                outputs.append(branch)
                x = SparseAggregation(self.pattern, operator="sum", axis=self.axis, name=f"{name}_aggregation")(outputs)
            x = layers.Activation("relu", name=f"{name}_out")(x)
        return x

    def _branch(self, x, filters, strides, name):
        x = self._convolve(x, filters, 1, f"{name}_1", strides=strides)
        x = layers.Activation("relu", name=f"{name}_1_relu")(x)
        x = self._convolve(x, filters, 3, f"{name}_2")
        x = layers.Activation("relu", name=f"{name}_2_relu")(x)
        return self._convolve(x, 4 * filters, 1, f"{name}_3")


ResNet50 = constructor(classes=1000, name="ResNet50", units=(3, 4, 6, 3))(_imagenet)
ResNet101 = constructor(classes=1000, name="ResNet101", units=(3, 4, 23, 3))(_imagenet)
ResNet152 = constructor(classes=1000, name="ResNet152", units=(3, 8, 36, 3))(_imagenet)
