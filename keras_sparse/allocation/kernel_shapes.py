"""What every allocation asks of its arguments."""

from keras_sparse import checks
from keras_sparse.topologies.topology import check_sparsity


def checked(kernel_shapes, sparsity, owner):
    """Shapes as tuples and the sparsity as a float.

    Raises:
        ValueError: If there is no shape, one has fewer than two axes or one of no length, or the sparsity is outside
            [0, 1).
    """
    shapes = [tuple(shape) for shape in kernel_shapes]
    if not shapes:
        raise checks.error(
            "kernel_shapes", owner, "a list of one shape or more", kernel_shapes, "There is nothing to share out."
        )
    for shape in shapes:
        if len(shape) < 2 or min(shape) < 1:
            raise checks.error(
                "kernel_shapes", owner, "a list of shapes (..., fan_in, fan_out)", shape,
                "Pass the shapes of kernels; biases are not sparse.",
            )  # fmt: skip
    return shapes, check_sparsity(sparsity, owner)
