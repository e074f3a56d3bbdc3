"""LeNet-300-100 and LeNet-5, as the papers on pruning know them.

Reference:
    LeCun et al., Gradient-based learning applied to document recognition, 1998
    Alford et al., Training behavior of sparse neural network topologies, 2018, https://arxiv.org/abs/1810.00299
"""

from keras import layers

from keras_sparse.applications.conventions import constructor
from keras_sparse.applications.mlp import fully_connected
from keras_sparse.applications.sparse_twin import SparseTwin


@constructor(classes=10, twin=SparseTwin)
def LeNet_300_100(conventions, twin):
    """Fully connected network 784-300-100-10 with ReLU: 266,610 parameters on MNIST.

    Sparse by default are `hidden1` and `hidden2`. Ten times as wide, the network has 784-3000-1000-10 units. The
    RadiX-Nets of the paper are `topology=RadixNet.chain((10, 10), (8, 3, 1))` and, with 3000 units in the first hidden
    layer only, `MLP((3000, 100), "relu", topology=RadixNet.chain((10, 10), (8, 30, 1)))`. The input, 28 x 28 with one
    channel by default, may be of vectors; there is no feature map, and `pooling` must be None.

    Args:
        {twin}
        {shared}

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If an argument is out of range, or contradicts another.

    Example:
        >>> LeNet_300_100(topology=keras_sparse.topologies.RadixNet.chain((10, 10), (8, 3, 1)))
    """
    return fully_connected(conventions, twin, hidden=(300, 100), sparse=("hidden1", "hidden2"), activation="relu")


@constructor(classes=10, twin=SparseTwin)
def LeNet5(conventions, twin):
    """Two 5x5 convolutions of 20 and 50 filters, 500 units: 431,080 parameters on MNIST.

    This is Caffe's LeNet-5, the network of the pruning literature, not that of 1998 with 61,706 parameters. The paper
    prints no sizes, but the model definition in its first author's repository has these; and only these explain that
    LeNet-300-100 fits the authors' memory 100 times larger and LeNet-5 does not: 0.3 and 4.3 thousand million weights
    (LeNet-5 of 1998: 0.6). Convolutions are unpadded, each followed by ReLU and 2x2 max pooling. The input is 28 x 28
    with one channel by default.

    Sparse by default are `conv2` and `hidden1`: the paper's sparse networks "leave the first and last layer of
    Lenet-5 dense". Between channels a connection is a whole 5x5 kernel.

    `width=100, sparsity="same_connections"` is the network with 100 times the channels and the same number of
    connections, which the authors could not train: `hidden1` keeps its 400,000 connections, 8 for each of 50,000 units.
    The 1,000 pairs of channels that `conv2` connects are fewer than its 5,000 filters: "random_fan_in" rounds up to one
    channel for each; "random_edge", the paper's random network, has 1,000 on average and leaves most filters without
    an input. First and last layer, dense, grow with the width. In the compact format, memory follows the connections.

    Args:
        {twin}
        {shared}

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If an argument is out of range, or contradicts another.

    Example:
        >>> LeNet5(width=100, sparsity="same_connections", format="compact").count_params()
    """
    options = {"data_format": conventions.data_format}
    twin.plan(("conv1", "conv2", "hidden1", "predictions"), sparse=("conv2", "hidden1"))
    x = image = conventions.image(28, minimum_size=16, channels=1, known=conventions.include_top)
    for i, filters in enumerate((20, 50)):
        x = twin.convolution(x, filters, 5, f"conv{i + 1}", activation="relu", **options)
        x = layers.MaxPooling2D(2, name=f"pool{i + 1}", **options)(x)

    def features(x):
        x = layers.Flatten(name="flatten", **options)(x)
        return twin.dense(x, 500, "hidden1", activation="relu")

    return conventions.model(image, conventions.classify(x, features, twin.dense))
