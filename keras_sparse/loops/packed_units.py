"""The weights of many units in a few variables, one beside the other."""

import itertools

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

    def pickers(self, variables, counts):
        """How to come by the weights of a unit.

        Args:
            variables: Lists of tensors, one for each convolution.
            counts: List of integers, how many units, equally wide, are in each part of the block.

        Returns:
            For each part lists as `variables`, of functions of the number of a unit in the part.
        """
        firsts = [0, *itertools.accumulate(counts)]
        parts = [[[] for _ in self.filters] for _ in counts]
        for j, one in enumerate(variables):
            bounds = [int(self.starts[first][j]) for first in firsts]
            for variable in one:
                if len(variable.shape) > 1:  # large: parts of it are not copied
                    pieces = [_rows(variable, bounds[k], self.widths[firsts[k]][j]) for k in range(len(counts))]
                else:
                    pieces = ops.split(variable, bounds[1:-1]) if counts[1:] else [variable]
                    pieces = [picker(_unpacked(piece, n), n) for piece, n in zip(pieces, counts, strict=True)]
                for part, piece in zip(parts, pieces, strict=True):
                    part[j].append(piece)
        return parts

    def join(self, parts, counts):
        """Packs tensors of parts, in which units are along a new first axis if there are several."""
        flat = [_packed(part, count) for part, count in zip(parts, counts, strict=True)]
        return flat[0] if len(flat) == 1 else ops.concatenate(flat, axis=max(0, len(flat[0].shape) - 2))

    def with_untrained(self, gradients, variables):
        """One gradient for each variable, zero for what is not trained."""
        gradients = iter(gradients)
        return [
            next(gradients) if name in self.TRAINED else ops.zeros_like(variable)
            for one in variables
            for name, variable in zip(self.NAMES, one, strict=True)
        ]


def picker(tensor, count):
    """How to come by the part of one unit in a tensor of `count`, which are along the first axis."""
    return lambda i: tensor if count == 1 else backend().pick(tensor, i)


def _rows(kernel, start, width):
    height, breadth, _, filters = kernel.shape
    return lambda i: ops.slice(kernel, [0, 0, start + i * width, 0], [height, breadth, width, filters])


def _unpacked(vector, count):
    return vector if count == 1 else ops.reshape(vector, (count, -1))


def _packed(tensor, count):
    if count == 1:
        return tensor
    if len(tensor.shape) == 2:
        return ops.reshape(tensor, (-1,))
    _, height, breadth, width, filters = tensor.shape
    if height * breadth > 1:
        tensor = ops.transpose(tensor, (1, 2, 0, 3, 4))
    return ops.reshape(tensor, (height, breadth, count * width, filters))
