"""What the connections of a model would cost in a file made for them.

>>> kernel = np.zeros((1000, 10), "float32")
>>> kernel[::100] = 0.5                             # 10 connections into each of 10 units
>>> KernelEncoding.of("kernel", kernel)             # values: 400 bytes; 10 counts of 2 bytes; 100 gaps of 1 byte
KernelEncoding(name='kernel', shape=(1000, 10), connections=100, layout='gaps', bytes=520, dense_bytes=40000)
"""

import dataclasses

import numpy as np
from keras import ops


@dataclasses.dataclass(frozen=True)
class KernelEncoding:
    """The smallest of five ways to store one kernel.

    A kernel of shape `(..., fan_in, fan_out)` is read as a matrix with one column for each index of the last axis. A
    connection is a weight that is not exactly zero; values keep their type. The layouts:

    - "dense": every weight, no index.
    - "bitmap": the values, and one bit for each weight.
    - "rows": the values; for each column their number; for each value its row. Numbers and rows take 1, 2 or 4 bytes
      each, whatever holds the largest that the kernel can have.
    - "gaps": the same with the number of zeros since the value before (or the top) instead of the row, 7 bits in a
      byte (LEB128): 1 byte below 128, 2 below 16,384, 3 below 2,097,152, then 4.
    - "pairs": of kernels with more than two axes. A pair of an input and an output channel is stored with all its
      positions or not at all; index as in "rows", "gaps" or "bitmap", whichever is smallest.

    Attributes:
        name: String, path of the variable.
        shape: Tuple.
        connections: Number of weights that are not zero.
        layout: String, the layout that is smallest.
        bytes: Values and index in that layout.
        dense_bytes: All weights, no index.
    """

    name: str
    shape: tuple
    connections: int
    layout: str
    bytes: int
    dense_bytes: int

    @classmethod
    def of(cls, name, kernel):
        """The encoding of a kernel, an array with at least two axes."""
        mask = kernel != 0
        width, count = kernel.dtype.itemsize, int(mask.sum())
        sizes = {"dense": kernel.size * width}
        sizes |= {key: size + count * width for key, size in index_bytes(mask.reshape(-1, mask.shape[-1])).items()}
        if kernel.ndim > 2:
            pairs = mask.any(axis=tuple(range(kernel.ndim - 2)))
            positions = mask.size // pairs.size
            sizes["pairs"] = int(pairs.sum()) * positions * width + min(index_bytes(pairs).values())
        layout = min(sizes, key=sizes.get)
        return cls(name, tuple(kernel.shape), count, layout, sizes[layout], sizes["dense"])


def index_bytes(mask):
    """Bytes that say where the connections of a mask `(fan_in, fan_out)` are, by layout.

    Example:
        >>> index_bytes(np.eye(16, dtype=bool))
        {'bitmap': 32, 'rows': 32, 'gaps': 32}
    """
    columns, rows = np.nonzero(mask.T)  # column by column, from the top
    counts = mask.shape[1] * _width(mask.shape[0])
    before = np.where(np.diff(columns, prepend=-1) > 0, -1, np.roll(rows, 1))
    gaps = rows - before - 1
    return {
        "bitmap": -(-mask.size // 8),
        "rows": counts + len(rows) * _width(mask.shape[0] - 1),
        "gaps": counts + sum(int((gaps >= limit).sum()) for limit in (0, 2**7, 2**14, 2**21)),
    }


def _width(largest):
    return 1 if largest < 2**8 else 2 if largest < 2**16 else 4


def encodings(model):
    """Of a model of stock layers: the encodings of its kernels, and the bytes of all other weights.

    Returns:
        A pair: tuple of `KernelEncoding`, one for each weight with two or more axes; bytes of biases, statistics and
        other vectors, which are stored as they are.
    """
    kernels, others = [], 0
    for variable in model.weights:
        value = ops.convert_to_numpy(variable)
        if value.ndim >= 2:
            kernels.append(KernelEncoding.of(variable.path, value))
        else:
            others += value.nbytes
    return tuple(kernels), others
