"""Connections in groups that share an output, so that a batched product sums over a group by itself.

A product of one pair after another writes each of its terms and reads it again for the sum; a group writes one. Shapes
must not depend on where connections are, which may change while a compiled step stays: the number of groups is
therefore the most that any degrees need, and some slots stay empty.
"""

import dataclasses

from keras import ops

# What a multiply-add of a batched product costs, beside moving one number (TensorFlow, one core).
MULTIPLY_ADD = 0.07


@dataclasses.dataclass(frozen=True)
class Groups:
    """`len(outputs)` groups of `size` slots.

    Attributes:
        size: Integer, slots of a group.
        outputs: int32 tensor `(groups,)`, never decreasing; None if there is one for each output, in order.
        connections: int32 tensor `(groups * size,)`, the connection of each slot; None if slots are connections.
        filled: Boolean tensor `(groups * size,)`, False for empty slots, which repeat a connection of their output.
        slots: int32 tensor `(n,)`, the slot of each connection.
    """

    size: int
    outputs: object = None
    connections: object = None
    filled: object = None
    slots: object = None


def best_size(n, count, rows, columns):
    """The size of groups with the least work for uneven degrees.

    Args:
        n, count: Integers, connections and outputs.
        rows, columns: Integers, numbers that a connection reads and that a group writes.
    """
    if rows * columns == 1:
        return 1  # a product of vectors costs more than the moves that it saves
    slot = rows + MULTIPLY_ADD * rows * columns
    sizes = range(1, min(-(-n // count), 64) + 1)
    return min(sizes or [1], key=lambda size: (n + count * (size - 1)) * (slot + columns / size))


def constant(n, count):
    """Groups for outputs that all have `n / count` connections."""
    return Groups(n // count)


def is_constant(outputs, count):
    """Boolean tensor: whether each output has the same number of connections, which must divide evenly."""
    n = outputs.shape[0]
    return ops.all(ops.equal(outputs, ops.arange(n, dtype="int32") // (n // count)))


def uneven(outputs, count, size):
    """Groups for whatever degrees.

    Args:
        outputs: int32 tensor `(n,)`, never decreasing.
        count: Integer, number of outputs.
        size: Integer.
    """
    if size == 1:
        return Groups(1, outputs)
    n = outputs.shape[0]
    ends = ops.cast(ops.searchsorted(outputs, ops.arange(count, dtype="int32"), side="right"), "int32")
    starts = ops.concatenate([ops.zeros((1,), "int32"), ends[:-1]])
    group_ends = ops.cumsum((ends - starts + size - 1) // size)
    group_starts = ops.concatenate([ops.zeros((1,), "int32"), group_ends[:-1]])

    group = ops.arange((n + count * (size - 1)) // size, dtype="int32")
    # Groups beyond the last one that is needed belong to the output of the last connection, and stay empty.
    own = ops.minimum(ops.cast(ops.searchsorted(group_ends, group, side="right"), "int32"), outputs[n - 1])
    first = ops.take(starts, own) + (group - ops.take(group_starts, own)) * size
    wanted = first[:, None] + ops.arange(size, dtype="int32")
    last = ops.take(ends, own)[:, None] - 1
    place = ops.arange(n, dtype="int32") - ops.take(starts, outputs)
    return Groups(
        size,
        own,
        ops.reshape(ops.minimum(wanted, last), (-1,)),
        ops.reshape(wanted <= last, (-1,)),
        (ops.take(group_starts, outputs) + place // size) * size + place % size,
    )
