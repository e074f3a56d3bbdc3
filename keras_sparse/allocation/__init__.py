"""How much of a model's sparsity each of its layers takes.

An allocation is a function from kernel shapes and one sparsity to a sparsity for each kernel:

>>> [round(s, 3) for s in erdos_renyi([(784, 300), (300, 100)], 0.9)]      # the smaller layer keeps more
[0.918, 0.762]
"""

from keras_sparse.allocation.erdos_renyi import erdos_renyi, erdos_renyi_kernel
from keras_sparse.allocation.uniform import uniform
from keras_sparse.registry import Registry

ALLOCATIONS = Registry("allocation", [erdos_renyi, erdos_renyi_kernel, uniform])


def get(identifier, owner="allocation.get"):
    """The allocation of that name, or a function of your own `(kernel_shapes, sparsity) -> list of sparsities`.

    Raises:
        ValueError: If the name is unknown.

    Example:
        >>> get("uniform")([(8, 4), (4, 2)], 0.5)
        [0.5, 0.5]
    """
    return identifier if callable(identifier) else ALLOCATIONS.lookup(identifier, owner)


__all__ = ["ALLOCATIONS", "erdos_renyi", "erdos_renyi_kernel", "get", "uniform"]
