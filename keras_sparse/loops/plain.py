"""Any backend: stores are lists, loops are Python's, and nothing is differentiated."""

from keras import ops


def loops_pay():
    """Whether a loop is worth it: there is no graph that could grow."""
    return False


def reserve(size, shape, dtype):
    """A store of `size` tensors of one shape, all zero."""
    return [None] * size


def read(store, index, shape, dtype):
    """The tensor at `index`; zeros if nothing was written."""
    return ops.zeros(shape, dtype) if store[index] is None else store[index]


def write(store, index, value):
    """The store with another tensor at `index`."""
    store[index] = value
    return store


def stack(store, size, shape, dtype):
    """All tensors of a store as one, along a new first axis."""
    return ops.stack(store)


def loop(count, body, carry):
    """`carry = body(i, *carry)` for i from 0 to `count - 1`."""
    for i in range(count):
        carry = body(i, *carry)
    return carry


def differentiable(forward, backward):
    """The function itself."""
    return lambda *tensors: forward(*tensors)[0]
