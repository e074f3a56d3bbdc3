"""What SparseNet, DenseNet and ResNet are assembled from: stems, stages of aggregated units, transitions.

Layers carry the names they have in `keras.applications`, so that weights can be told apart by name.
"""

import math
import warnings

from keras import layers

from keras_sparse import aggregation, checks, loops
from keras_sparse.layers import LoopedAggregationBlock, PreactivationUnit, SparseAggregationBlock
from keras_sparse.layers.paper_layers import batch_normalization, convolution

STAGES = 3  # of the CIFAR networks
LOOPS_DOC = """\
        loop: Boolean, whether the units of a stage are iterations of a few loops (`LoopedAggregationBlock`): the same
            function, in a graph that hardly grows with depth. "auto": where that was measured to pay, in stages of 40
            units or more, on TensorFlow, and with JAX on an accelerator. `transforms.unroll` and `roll` convert.
        remat: Boolean, whether loops keep only the outputs of units, or where units read little (a running sum, a short
            window) only a few of those, and compute once more what the gradient needs: less memory for more time."""


class Stages:
    """Adds the parts of a network to a feature map, all in one data format.

    Args:
        conventions: `Conventions` of the constructor.
        pattern: One pattern, or a list with one for each stage.
        base: Integer, base of the patterns that have one.
        operator: Aggregation operator.
        count: Integer, number of stages.
        loop: "auto" or boolean, whether the units of a stage are iterations of loops.
        remat: Boolean, whether loops compute once more what is inside of units.
    """

    def __init__(self, conventions, pattern, base, operator, count=STAGES, loop="auto", remat=False):
        owner = conventions.owner
        self.axis = conventions.axis
        self.data_format = conventions.data_format
        self.operator = aggregation.get_operator(operator, owner)
        patterns = checks.per_stage("pattern", pattern, owner, count)
        self.patterns = aggregation.get_patterns(patterns, base, owner)
        self.loop = checks.choice("loop", loop, owner, ("auto", True, False))
        self.remat = checks.choice("remat", remat, owner, (True, False))
        if remat and loop is False:
            raise checks.error("remat", owner, "False without loops", remat, "Leave out `loop`, or set it to True.")

    def normalise(self, x, name):
        """Batch normalisation and ReLU; `name` is the prefix of theirs ("" for the last of the network)."""
        prefix = f"{name}_" if name else ""
        x = batch_normalization(self.data_format, f"{prefix}bn")(x)
        return layers.Activation("relu", name=f"{prefix}relu")(x)

    def imagenet_stem(self, x, filters):
        """7x7 convolution and 3x3 pooling, each with stride 2, padded as in `keras.applications`."""
        options = {"data_format": self.data_format}
        x = layers.ZeroPadding2D(3, name="conv1_pad", **options)(x)
        x = convolution(filters, 7, self.data_format, "conv1_conv", strides=2, padding="valid")(x)
        x = self.normalise(x, "conv1")
        x = layers.ZeroPadding2D(1, name="pool1_pad", **options)(x)
        return layers.MaxPooling2D(3, strides=2, name="pool1", **options)(x)

    def concatenated(self, x, stage, units, growth_rate, bottleneck):
        """A stage whose units each add `growth_rate` channels to what later ones may read."""
        name = f"conv{stage + 2}"
        filters, kernels = ((4 * growth_rate, growth_rate), (1, 3)) if bottleneck else (growth_rate, 3)
        blocks = [
            PreactivationUnit(filters, kernels, data_format=self.data_format, name=f"{name}_block{i + 1}")
            for i in range(units)
        ]
        return self._aggregated(blocks, stage, name)(x)

    def added(self, x, stage, units, width, bottleneck):
        """A stage of pre-activation residual units; its first unit halves the image in all but the first stage."""
        name = f"conv{stage + 2}"
        stride = 1 if stage == 0 else 2
        if bottleneck:
            filters, kernels, strides = (width, width, 4 * width), (1, 3, 1), (1, stride, 1)
        else:
            filters, kernels, strides = (width, width), (3, 3), (stride, 1)
        blocks = [
            PreactivationUnit(
                filters,
                kernels,
                strides=strides if i == 0 else 1,
                data_format=self.data_format,
                name=f"{name}_block{i + 1}",
            )
            for i in range(units)
        ]
        shortcut = None
        if stride != 1 or x.shape[self.axis] != filters[-1]:
            shortcut = convolution(filters[-1], 1, self.data_format, f"{name}_block1_0_conv", strides=stride)
        return self._aggregated(blocks, stage, name, shortcut)(x)

    def _aggregated(self, units, stage, name, shortcut=None):
        options = {
            "pattern": self.patterns[stage], "operator": self.operator, "shortcut": shortcut, "name": name,
        }  # fmt: skip
        loop = self.loop
        if loop == "auto":
            loop = self.remat or loops.pays(self.patterns[stage], self.operator, len(units))
        if loop and len(units) > 1:
            return LoopedAggregationBlock.from_units(units, remat=self.remat, **options)
        return SparseAggregationBlock(units, axis=self.axis, **options)

    def transition(self, x, stage, compression):
        """BN, ReLU, 1x1 convolution to `floor(compression * channels)`, 2x2 average pooling."""
        name = f"pool{stage + 2}"
        x = self.normalise(x, name)
        filters = math.floor(compression * x.shape[self.axis])
        x = convolution(filters, 1, self.data_format, f"{name}_conv")(x)
        return layers.AveragePooling2D(2, data_format=self.data_format, name=f"{name}_pool")(x)


def cifar_network(
    conventions,
    depth,
    growth_rate,
    bottleneck,
    compression,
    pattern,
    base,
    operator,
    stem_filters,
    stem_multiple,
    loop=False,
    remat=False,
):
    """SparseNet, DenseNet or ResNet for images of about 32x32, by operator.

    Args:
        conventions: `Conventions` of the constructor.
        stem_multiple: Integer, stem filters in growth rates, where `stem_filters` is None and the operator
            concatenates (1 for SparseNet, 2 for DenseNet).

    Returns:
        A Keras model.
    """
    owner = conventions.owner
    stages = Stages(conventions, pattern, base, operator, loop=loop, remat=remat)
    joins_by_sum = not isinstance(stages.operator, aggregation.Concat)
    if bottleneck is None:
        bottleneck = joins_by_sum
    checks.choice("bottleneck", bottleneck, owner, (True, False))
    overhead, convolutions = (2, 3 if bottleneck else 2) if joins_by_sum else (4, 2 if bottleneck else 1)
    depth = checks.integer(
        "depth", depth, owner, minimum=overhead + STAGES * convolutions,
        hint="Each of the three stages needs at least one unit.",
    )  # fmt: skip
    units, rest = divmod(depth - overhead, STAGES * convolutions)
    if rest:  # no error: a network of the papers is called 1001 and has 1000
        warnings.warn(
            f"`depth` of {owner} is {depth}, which makes {units} units a stage, as {depth - rest} does; "
            f"{depth - rest + STAGES * convolutions} makes one more.",
            stacklevel=4,  # who called the constructor
        )
    one_rate = not isinstance(growth_rate, (list, tuple))
    rates = [
        checks.integer("growth_rate", rate, owner, minimum=1)
        for rate in checks.per_stage("growth_rate", growth_rate, owner, STAGES)
    ]
    if joins_by_sum:
        if compression is not None:
            raise checks.error(
                "compression", owner, "None with an operator that does not concatenate", compression,
                "Networks that add have no transitions to compress.",
            )  # fmt: skip
        if one_rate:
            rates = [rate * 2**stage for stage, rate in enumerate(rates)]
        default_stem = rates[0]
    else:
        # The published counts of networks with a growth rate for each stage were made with stems of 24 and 48.
        default_stem = stem_multiple * rates[0] if one_rate else max(stem_multiple * 24, rates[0])
        compression = (0.5 if bottleneck else 1.0) if compression is None else compression
        compression = checks.number("compression", compression, owner, 0, 1)
        if math.floor(compression * rates[0]) < 1:
            raise checks.error("compression", owner, "large enough to leave a channel", compression, "Raise it.")
    stem = default_stem if stem_filters is None else stem_filters
    stem = checks.integer("stem_filters", stem, owner, minimum=1)

    image = conventions.image(32, minimum_size=4)
    x = convolution(stem, 3, conventions.data_format, "conv1_conv")(image)
    for stage, rate in enumerate(rates):
        if joins_by_sum:
            x = stages.added(x, stage, units, rate, bottleneck)
        else:
            x = stages.concatenated(x, stage, units, rate, bottleneck)
            if stage < STAGES - 1:
                x = stages.transition(x, stage, compression)
    x = stages.normalise(x, "")
    return conventions.model(image, conventions.classify(x))


def imagenet_network(conventions, image, units, growth_rate, pattern, base, stem_multiple, features=None):
    """SparseNet or DenseNet for images of about 224x224: bottleneck units, compression 0.5.

    Args:
        conventions: `Conventions` of the constructor.
        image: Keras tensor.
        units: Tuple with the number of units of each stage.
        stem_multiple: Integer, stem filters in growth rates.
        features: Function from the last feature map to the classifier's input; global average by default.

    Returns:
        A Keras model.
    """
    owner = conventions.owner
    stages = Stages(conventions, pattern, base, "concat", count=len(units), loop=False)
    rates = [
        checks.integer("growth_rate", rate, owner, minimum=1)
        for rate in checks.per_stage("growth_rate", growth_rate, owner, len(units))
    ]
    x = stages.imagenet_stem(image, stem_multiple * rates[0])
    for stage, (count, rate) in enumerate(zip(units, rates, strict=True)):
        x = stages.concatenated(x, stage, count, rate, bottleneck=True)
        if stage < len(units) - 1:
            x = stages.transition(x, stage, compression=0.5)
    x = stages.normalise(x, "")
    return conventions.model(image, conventions.classify(x, features))
