"""The weights of many units in a few variables, one beside the other."""

import itertools

import numpy as np
from keras import ops


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
        return self._shapes([int(total) for total in self.starts[-1]])

    def unit_shapes(self, unit):
        """The same, of the weights of one unit."""
        return self._shapes(self.widths[unit])

    def _shapes(self, widths):
        parts = zip(widths, self.filters, self.kernel_size, strict=True)
        return [[(width,)] * 4 + [(size, size, width, filters)] for width, filters, size in parts]

    def unpack(self, arrays, unit):
        """The weights of one unit: views of NumPy arrays."""
        bounds = zip(self.starts[unit], self.starts[unit + 1], strict=True)
        return [
            [array[..., a:b] if array.ndim == 1 else array[..., a:b, :] for array in one]
            for one, (a, b) in zip(arrays, bounds, strict=True)
        ]

    def split(self, variables, counts):
        """Takes packed tensors apart.

        Args:
            variables: Lists of tensors, one for each convolution.
            counts: List of integers, how many units, equally wide, are in each part.

        Returns:
            For each part lists as `variables`; where it has several units, these are along a new first axis.
        """
        firsts = [0, *itertools.accumulate(counts)]
        parts = [[[] for _ in self.filters] for _ in counts]
        for j, one in enumerate(variables):
            bounds = [int(self.starts[first][j]) for first in firsts[1:-1]]
            for variable in one:
                pieces = ops.split(variable, bounds, axis=_fan_in(variable)) if bounds else [variable]
                for part, piece, count in zip(parts, pieces, counts, strict=True):
                    part[j].append(_unpacked(piece, count))
        return parts

    def join(self, parts, counts):
        """Packs tensors of parts, as `split` gives them."""
        flat = [_packed(part, count) for part, count in zip(parts, counts, strict=True)]
        return flat[0] if len(flat) == 1 else ops.concatenate(flat, axis=_fan_in(flat[0]))

    def with_untrained(self, gradients, variables):
        """One gradient for each variable, zero for what is not trained."""
        gradients = iter(gradients)
        return [
            next(gradients) if name in self.TRAINED else ops.zeros_like(variable)
            for one in variables
            for name, variable in zip(self.NAMES, one, strict=True)
        ]


def _fan_in(tensor):
    return max(0, len(tensor.shape) - 2)


def _unpacked(tensor, count):
    if count == 1:
        return tensor
    if len(tensor.shape) == 1:
        return ops.reshape(tensor, (count, -1))
    height, breadth, rows, filters = tensor.shape
    if height * breadth == 1:
        return ops.reshape(tensor, (count, 1, 1, rows // count, filters))
    tensor = ops.reshape(tensor, (height, breadth, count, rows // count, filters))
    return ops.transpose(tensor, (2, 0, 1, 3, 4))


def _packed(tensor, count):
    if count == 1:
        return tensor
    if len(tensor.shape) == 2:
        return ops.reshape(tensor, (-1,))
    _, height, breadth, width, filters = tensor.shape
    if height * breadth > 1:
        tensor = ops.transpose(tensor, (1, 2, 0, 3, 4))
    return ops.reshape(tensor, (height, breadth, count * width, filters))
