"""VGG-16n: VGG-16 with a convolution in the place of its two large fully connected layers.

Reference:
    Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition, 2015,
    https://arxiv.org/abs/1409.1556
    Changpinyo, Sandler and Zhmoginov, The power of sparsity in convolutional neural networks, 2017,
    https://arxiv.org/abs/1702.06257
"""

from keras import layers

from keras_sparse.applications.conventions import constructor
from keras_sparse.applications.sparse_twin import SparseTwin

BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # filters and number of 3x3 convolutions


@constructor(classes=1000, twin=SparseTwin)
def VGG16n(conventions, twin):
    """VGG-16 without the two layers of 4096 units: 20,464,552 parameters, 6.8 times fewer.

    In their place there are a 2x2 max pooling and a 3x3 convolution of 1024 filters, which makes one vector of an image
    of 224 x 224. Like all networks of the paper it has batch normalisation, here instead of biases. Layers are named
    as in `keras.applications.VGG16`.

    Sparse by default are all convolutions (the first not, if images have one channel).

    Args:
        {twin}
        {shared}

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If an argument is out of range, or contradicts another.

    Example:
        >>> VGG16n(sparsity=0.9, seed=0)
    """
    options = {"data_format": conventions.data_format}
    names = [f"block{i + 1}_conv{j + 1}" for i, (_, count) in enumerate(BLOCKS) for j in range(count)]
    names.append("block6_conv1")
    # Six halvings must leave the 3x3 map that the last convolution reads.
    x = image = conventions.image(224, minimum_size=192)
    twin.plan((*names, "predictions"), sparse=names, channels=image.shape[conventions.axis])

    remaining = iter(names)
    for i, (filters, count) in enumerate(BLOCKS):
        for _ in range(count):
            x = twin.convolution_unit(x, filters, 3, next(remaining), conventions.data_format)
        x = layers.MaxPooling2D(2, name=f"block{i + 1}_pool", **options)(x)
    x = layers.MaxPooling2D(2, name="block6_pool", **options)(x)
    x = twin.convolution_unit(x, 1024, 3, next(remaining), conventions.data_format, padding="valid")
    return conventions.model(image, conventions.classify(x, dense=twin.dense))
