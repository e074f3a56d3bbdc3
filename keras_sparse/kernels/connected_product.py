"""The product with a kernel of connected blocks, on planes: what `gather` and `blocked` share.

Activations are `(blocks, rows of a block, P)`, `P` being the examples or pixels, so that what a connection reads is one
run of memory. Connections are sorted by output. With connection `i -> o` holding a matrix `v`:

    y[o] = sum of v^T x[i]         dx[i] = sum of v dy[o]         dv = x[i] dy[o]^T

The gradients are written by hand: nothing but `x` and the values is kept for them, `dy` is gathered for both at once,
and the sum over the connections of an input goes by the sorted order, where the derivative of a gather would scatter.
"""

import math

import keras
from keras import ops

from keras_sparse.kernels import groups as grouping
from keras_sparse.kernels import tensorflow

PART = 2**24  # numbers that are gathered at once
UNKNOWN_BATCH = 32


def product(planes, values, inputs, outputs, count):
    """What each output block is.

    Args:
        planes: Tensor `(blocks, rows, P)`.
        values: Tensor `(n, rows, columns)`, with the data type of `planes`.
        inputs: int32 tensor `(n,)`, input block of each connection.
        outputs: int32 tensor `(n,)`, output block; never decreasing.
        count: Integer, number of output blocks.

    Returns:
        Tensor `(count, columns, P)`.
    """
    n, rows, columns = values.shape
    # Reads a variable here: TensorFlow wants none inside of a function with a gradient of its own.
    values = ops.reshape(values, (n, rows, columns))
    # The gradient may be traced where XLA cannot be seen.
    sums = _sorted_sums if tensorflow.has_sorted_sum(values.dtype) else _sums

    def grouped(function):
        """Calls it with the groups of these connections."""

        def uneven():
            return function(grouping.uneven(outputs, count, grouping.best_size(n, count, rows, columns)))

        if n <= count or n % count:
            return uneven()
        even = grouping.is_constant(outputs, count)
        return ops.cond(even, lambda: function(grouping.constant(n, count)), uneven)

    @ops.custom_gradient
    def of(planes, values):
        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            return grouped(lambda groups: _backward(planes, values, inputs, upstream, groups, sums))

        return grouped(lambda groups: _forward(planes, values, inputs, count, groups, sums)), gradient

    return of(planes, values)


def _forward(planes, values, inputs, count, groups, sums):
    columns, size = values.shape[-1], ops.shape(planes)[-1]
    inputs, values = _in_slots(inputs, values, groups)
    results = []
    for part in _parts(planes, values, groups.size):
        if results:
            planes = tensorflow.after(planes, results[-1])
        x, v = _rows(planes, values, inputs, groups.size, part)
        y = v[:, 0, :, None] * x if v.shape[1] == 1 else ops.matmul(ops.transpose(v, (0, 2, 1)), x)
        results.append(y if groups.outputs is None else sums(y, groups.outputs[part], count))
    if groups.outputs is None:
        results = [results[0] if len(results) == 1 else ops.concatenate(results)]
    return ops.reshape(sum(results[1:], results[0]), (count, columns, size))


def _backward(planes, values, inputs, upstream, groups, sums):
    """Gradients to the planes and to the values."""
    (blocks, rows), columns = planes.shape[:2], values.shape[-1]
    n, shape = values.shape[0], (blocks, rows, ops.shape(planes)[-1])
    inputs, values = _in_slots(inputs, values, groups)
    to_planes, to_values = [], []
    for part in _parts(planes, values, groups.size):
        if to_planes:
            planes, upstream = (tensorflow.after(each, to_planes[-1]) for each in (planes, upstream))
        x, v = _rows(planes, values, inputs, groups.size, part)
        dy = upstream[part] if groups.outputs is None else ops.take(upstream, groups.outputs[part], axis=0)
        if x.shape[1] == columns == 1:
            to_values.append(ops.sum(x * dy, axis=-1, keepdims=True))
        else:
            to_values.append(ops.matmul(x, ops.transpose(dy, (0, 2, 1))))
        terms = v * dy if columns == 1 else ops.matmul(v, dy)
        slots = slice(part.start * groups.size, part.stop * groups.size)
        terms = ops.reshape(terms, (slots.stop - slots.start, rows, shape[-1]))
        to_planes.append(sums(terms, inputs[slots], blocks, is_sorted=False))
    to_values = to_values[0] if len(to_values) == 1 else ops.concatenate(to_values)
    to_values = ops.reshape(to_values, (values.shape[0], rows, columns))
    if groups.slots is not None:
        to_values = ops.take(to_values, groups.slots, axis=0)
    return ops.reshape(sum(to_planes[1:], to_planes[0]), shape), ops.reshape(to_values, (n, rows, columns))


def _in_slots(inputs, values, groups):
    """Indices and values, slot by slot; those of empty slots are zero."""
    if groups.connections is None:
        return inputs, values
    values = ops.take(values, groups.connections, axis=0)
    values = ops.where(groups.filled[:, None, None], values, ops.zeros((), values.dtype))
    return ops.take(inputs, groups.connections, axis=0), values


def _rows(planes, values, inputs, size, part):
    """What a part of the groups reads, `(groups, size * rows, P)`, and its values."""
    rows, columns = values.shape[1:]
    groups = part.stop - part.start
    slots = slice(part.start * size, part.stop * size)
    x = ops.take(planes, inputs[slots], axis=0)
    shape = (groups, size * rows)
    return ops.reshape(x, (*shape, ops.shape(planes)[-1])), ops.reshape(values[slots], (*shape, columns))


def _parts(planes, values, size):
    """Slices of groups, so that not everything that is gathered is there at once."""
    slots, rows, columns = values.shape
    number = slots // size
    numbers = (planes.shape[-1] or UNKNOWN_BATCH) * max(size * rows, columns)
    step = max(PART // max(numbers, 1), 1, math.ceil(number / 32))
    return [slice(start, min(start + step, number)) for start in range(0, max(number, 1), step)]


def _sums(rows, segments, count, is_sorted=True):
    if keras.backend.backend() == "jax":
        return ops.segment_sum(rows, segments, count, sorted=is_sorted)
    return ops.segment_sum(rows, segments, count)


def _sorted_sums(rows, segments, count, is_sorted=True):
    if is_sorted:
        return tensorflow.sorted_sum(rows, ops.arange(segments.shape[0], dtype="int32"), segments, count)
    order = ops.argsort(segments)
    return tensorflow.sorted_sum(rows, order, ops.take(segments, order), count)
