"""The kernels of a model that have no mask: what a sparsity of the whole model counts beside its sparse layers."""

from keras_sparse.layers.sparse_kernel import SparseKernel

# Those of an attention projection, or of a normalization over several axes, have as many axes as a kernel.
NO_KERNELS = ("bias", "gamma", "beta")


def dense_kernels(model):
    """The variables with two axes or more that layers without connections were made to train, each once.

    Kernels, embeddings, recurrent and depthwise kernels; also of layers that are frozen now.

    Args:
        model: Built Keras model.

    Returns:
        List of Keras variables.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras_sparse.layers.MaskedDense(8), keras.layers.Dense(3)])
        >>> [tuple(kernel.shape) for kernel in dense_kernels(model)]
        [(8, 3)]
    """
    layers = [layer for layer in model._flatten_layers() if not isinstance(layer, SparseKernel)]
    kernels = {id(kernel): kernel for layer in layers for kernel in kernels_of(layer)}
    return list(kernels.values())


def kernels_of(layer):
    """Those of one layer, sparse or not, without the layers inside of it."""
    return [v for v in layer._trainable_variables if len(v.shape) > 1 and v.name not in NO_KERNELS]
