"""The weights of many units in a few variables, one beside the other."""

import numpy as np
from keras import ops

from keras_sparse.loops import backend


class PackedUnits:
    """Where in the packed variables the weights of a unit lie.

    Vectors over channels (gamma, beta, mean, variance) are joined end to end, kernels `(height, width, fan_in,
    filters)` along `fan_in`: a kernel for all units together, whose rows belong to one after the other.

    Args:
        widths: List with a tuple for each unit: the channels that each of its convolutions reads.
        filters, kernel_size: Tuples of integers, one for each convolution.
    """

    NAMES = ("gamma", "beta", "moving_mean", "moving_variance", "kernel")
    TRAINED = ("gamma", "beta", "kernel")

    def __init__(self, widths, filters, kernel_size):
        self.widths = widths
        self.filters = filters
        self.kernel_size = kernel_size
        self.starts = np.cumsum([[0] * len(filters), *widths], axis=0)

    def shapes(self):
        """For each convolution the shapes of its variables, in the order of `NAMES`."""
        totals = [int(total) for total in self.starts[-1]]
        return [
            [(total,)] * 4 + [(size, size, total, filters)]
            for total, filters, size in zip(totals, self.filters, self.kernel_size, strict=True)
        ]

    def unit_shapes(self, unit):
        """The same, of the weights of one unit."""
        return PackedUnits([self.widths[unit]], self.filters, self.kernel_size).shapes()

    def unpack(self, arrays, unit):
        """The weights of one unit: views of NumPy arrays."""
        bounds = zip(self.starts[unit], self.starts[unit + 1], strict=True)
        return [
            [array[..., a:b] if array.ndim == 1 else array[..., a:b, :] for array in one]
            for one, (a, b) in zip(arrays, bounds, strict=True)
        ]

    def join(self, parts):
        """Packs what belongs to units that follow each other."""
        return ops.concatenate(parts, axis=max(0, len(parts[0].shape) - 2))

    def trained_shapes(self, unit):
        """Shapes of gamma, beta and kernel of each convolution of a unit, in one list."""
        return [shape for gamma, beta, _, _, kernel in self.unit_shapes(unit) for shape in (gamma, beta, kernel)]

    def trained(self, variables):
        """Gamma, beta and kernel of each convolution, in one list."""
        return [variable for gamma, beta, _, _, kernel in variables for variable in (gamma, beta, kernel)]

    def with_untrained(self, gradients, variables):
        """One gradient for each variable, zero for what is not trained."""
        gradients = iter(gradients)
        return [
            next(gradients) if name in self.TRAINED else ops.zeros_like(variable)
            for one in variables
            for name, variable in zip(self.NAMES, one, strict=True)
        ]

    def slice(self, variables, first, step):
        """The weights of unit `first + step`; `step` may be a tensor, if the units in between are as wide."""
        weights = []
        for j, one in enumerate(variables):
            width = self.widths[first][j]
            start = int(self.starts[first][j]) + step * width
            weights.append([_rows(variable, start, width) for variable in one])
        return weights


def _rows(variable, start, width):
    if len(variable.shape) == 1:
        return ops.slice(variable, [start], [width])
    height, breadth, _, filters = variable.shape
    return ops.slice(variable, [0, 0, start, 0], [height, breadth, width, filters])


class Collected:
    """Tensors of one kind, such as gradients of kernels, that the units of a segment write, to be packed.

    Args:
        count: Integer, number of units.
        shape: Tuple, shape of one tensor.
        dtype: String.
    """

    def __init__(self, count, shape, dtype):
        self.count, self.shape, self.dtype = count, shape, dtype

    def reserve(self):
        return backend().reserve(self.count, self.shape, self.dtype)

    def packed(self, store):
        """All of them, joined end to end, kernels along `fan_in`."""
        tensor = backend().stack(store, self.count, self.shape, self.dtype)
        if len(self.shape) == 1:
            return ops.reshape(tensor, (-1,))
        height, breadth, width, filters = self.shape
        return ops.reshape(ops.transpose(tensor, (1, 2, 0, 3, 4)), (height, breadth, self.count * width, filters))
