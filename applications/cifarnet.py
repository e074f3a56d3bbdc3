"""The small CIFAR-10 network of the sparse-convolution paper.

Reference:
    Changpinyo, Sandler and Zhmoginov, The power of sparsity in convolutional neural networks, 2017,
    https://arxiv.org/abs/1702.06257
"""

from keras import layers

from keras_sparse.applications.conventions import constructor
from keras_sparse.applications.sparse_twin import SparseTwin


@constructor(classes=10, twin=SparseTwin)
def CifarNet(conventions, twin, dropout=0.5):
    """Two 5x5 convolutions of 64 filters, 384 and 192 units: 1,756,554 parameters on CIFAR-10.

    The paper says "CIFAR Net", a standard network of TensorFlow with two convolutions, and that all its networks had
    batch normalisation: this is the `cifarnet` of TensorFlow's model collection, with batch normalisation in the place
    of the bias and of the local response normalisation.

    Sparse by default are `conv1` (not if images have one channel) and `conv2`: fully connected layers keep all
    connections.

    Args:
        dropout: Number in [0, 1), dropout after the first fully connected layer.
        {twin}
        {shared}

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If an argument is out of range, or contradicts another.

    Example:
        >>> CifarNet(sparsity=0.9, seed=0)
    """
    options = {"data_format": conventions.data_format}
    image = conventions.image(32, minimum_size=4, known=conventions.include_top)
    convolutions, hidden = ("conv1", "conv2"), ("hidden1", "hidden2")
    twin.plan((*convolutions, *hidden, "predictions"), sparse=convolutions, channels=image.shape[conventions.axis])
    x = image
    for i, name in enumerate(convolutions):
        x = twin.convolution_unit(x, 64, 5, name, conventions.data_format)
        x = layers.MaxPooling2D(2, name=f"pool{i + 1}", **options)(x)

    def features(x):
        x = layers.Flatten(name="flatten", **options)(x)
        x = twin.dense(x, 384, "hidden1", activation="relu")
        x = twin.dropout(x, dropout, "dropout")
        return twin.dense(x, 192, "hidden2", activation="relu")

    return conventions.model(image, conventions.classify(x, features, twin.dense))
