"""The small MNIST network of the sparse-convolution paper.

Reference:
    Changpinyo, Sandler and Zhmoginov, The power of sparsity in convolutional neural networks, 2017,
    https://arxiv.org/abs/1702.06257
"""

from keras import layers

from keras_sparse.applications.conventions import constructor
from keras_sparse.applications.sparse_twin import SparseTwin


@constructor(classes=10, twin=SparseTwin)
def MNIST_ConvNet(conventions, twin, dropout=0.5):
    """Convolutions of 32 and 64 filters (5x5) and 512 (7x7): 1,663,978 parameters on MNIST.

    The paper says: a standard network of TensorFlow with three convolutions, 99.5% accurate, of 2 million parameters.
    This is how we read it: the network of TensorFlow's MNIST tutorial, whose first fully connected layer is here the
    convolution that it amounts to, 7x7 without padding on the last 7x7 map, with batch normalisation instead of biases.
    The input is 28 x 28 with one channel by default; on smaller images the third kernel is as large as the last map.

    Sparse by default are `conv2` and `conv3`; with more than one input channel, `conv1` too.

    Args:
        dropout: Number in [0, 1), dropout before the classifier.
        {twin}
        {shared}

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If an argument is out of range, or contradicts another.

    Example:
        >>> MNIST_ConvNet(sparsity=0.9, seed=0)
    """
    options = {"data_format": conventions.data_format}
    x = image = conventions.image(28, minimum_size=4, channels=1)
    names = ("conv1", "conv2", "conv3")
    twin.plan((*names, "predictions"), sparse=names, channels=image.shape[conventions.axis])

    for i, filters in enumerate((32, 64)):
        x = twin.convolution_unit(x, filters, 5, names[i], conventions.data_format)
        x = layers.MaxPooling2D(2, name=f"pool{i + 1}", **options)(x)
    size = (side for axis, side in enumerate(x.shape) if axis not in (0, conventions.axis))
    size = [7 if side is None else min(7, side) for side in size]
    x = twin.convolution_unit(x, 512, size, "conv3", conventions.data_format, padding="valid")

    def features(x):
        x = layers.GlobalAveragePooling2D(name="avg_pool", **options)(x)
        return twin.dropout(x, dropout, "dropout")

    return conventions.model(image, conventions.classify(x, features, twin.dense))
