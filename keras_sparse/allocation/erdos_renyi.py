"""Sparser where a layer is larger, by the law of Erdős-Rényi graphs."""

import math

from keras_sparse.allocation.kernel_shapes import checked
from keras_sparse.topologies.topology import count_to_cut


def erdos_renyi(kernel_shapes, sparsity):
    """Gives each layer a density in proportion to `(fan_in + fan_out) / (fan_in * fan_out)`.

    All layers together keep as many weights as with `uniform`, where each has `floor(sparsity * n)` zeros of n: whole
    weights are shared out, as in RigL and JaxPruner. A layer that would need a density above 1 is left dense, and the
    others share what is left.

    Args:
        kernel_shapes: List of tuples `(..., fan_in, fan_out)`; the fans are the last two.
        sparsity: Number in [0, 1), of all kernels together.

    Returns:
        List of sparsities, one for each kernel.

    Reference:
        Mocanu et al., Scalable training of artificial neural networks with adaptive sparse connectivity inspired by
        network science, 2018, https://arxiv.org/abs/1707.04780

    Example:
        >>> [round(s, 2) for s in erdos_renyi([(2, 4), (3, 6), (2, 4, 6)], 0.5)]
        [0.21, 0.47, 0.56]
    """
    shapes, sparsity = checked(kernel_shapes, sparsity, "erdos_renyi")
    return _shared(shapes, sparsity, [sum(shape[-2:]) / math.prod(shape[-2:]) for shape in shapes])


def erdos_renyi_kernel(kernel_shapes, sparsity):
    """Gives each layer a density in proportion to the sum of all axes of its kernel over their product.

    As `erdos_renyi`, but the height and width of convolution kernels count too.

    Args:
        kernel_shapes: List of tuples `(..., fan_in, fan_out)`.
        sparsity: Number in [0, 1), of all kernels together.

    Returns:
        List of sparsities, one for each kernel.

    Reference:
        Evci et al., Rigging the lottery: making all tickets winners, 2020, https://arxiv.org/abs/1911.11134

    Example:
        >>> [round(s, 3) for s in erdos_renyi_kernel([(2, 4), (3, 6), (2, 4, 6)], 0.5)]
        [0.0, 0.31, 0.655]
    """
    shapes, sparsity = checked(kernel_shapes, sparsity, "erdos_renyi_kernel")
    return _shared(shapes, sparsity, [sum(shape) / math.prod(shape) for shape in shapes])


def _shared(shapes, sparsity, proportions):
    sizes = [math.prod(shape) for shape in shapes]
    dense = set()
    total = sum(size - count_to_cut(size, sparsity) for size in sizes)  # as many as `uniform` keeps
    while True:
        sharing = [i for i in range(len(shapes)) if i not in dense]
        if not sharing:
            return [0.0] * len(shapes)
        kept = total - sum(sizes[i] for i in dense)
        scale = kept / sum(proportions[i] * sizes[i] for i in sharing)
        too_many = {i for i in sharing if scale * proportions[i] > 1}
        if not too_many:
            return [0.0 if i in dense else 1 - scale * proportions[i] for i in range(len(shapes))]
        # One at a time, the neediest first: what it cannot use raises the share of the others.
        dense.add(max(too_many, key=lambda i: proportions[i]))
