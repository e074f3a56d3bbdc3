"""The same for all."""

from keras_sparse.allocation.kernel_shapes import checked


def uniform(kernel_shapes, sparsity):
    """Gives every layer the same sparsity.

    Args:
        kernel_shapes: List of tuples `(..., fan_in, fan_out)`.
        sparsity: Number in [0, 1).

    Returns:
        List of sparsities, one for each kernel.

    Example:
        >>> uniform([(784, 300), (300, 100)], 0.9)
        [0.9, 0.9]
    """
    shapes, sparsity = checked(kernel_shapes, sparsity, "uniform")
    return [sparsity] * len(shapes)
