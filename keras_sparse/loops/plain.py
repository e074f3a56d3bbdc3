"""Any backend: stores are lists, loops are Python's, and nothing is differentiated."""

import dataclasses

from keras import ops


def loops_pay():
    """Whether a loop is worth it: there is no graph that could grow."""
    return False


@dataclasses.dataclass
class Kind:
    """Shape and dtype of the tensors in a store."""

    shape: tuple
    dtype: str


def reserve(size, kind):
    """A store of `size` tensors of one kind, all zero."""
    return [None] * size


def read(store, index, kind):
    """The tensor at `index`; zeros if nothing was written."""
    return ops.zeros(kind.shape, kind.dtype) if store[index] is None else store[index]


def write(store, index, value):
    """The store with another tensor at `index`."""
    store[index] = value
    return store


def drop(store, index, kind):
    """The store, in which what is at `index` is not read any more; a second gradient may still read it."""
    return store


def snapshot(store):
    """The store as it is now, whatever is written later."""
    return list(store)


def later(store, tensor):
    """The store, but not before a tensor is computed: in Python things are done in turn."""
    return store


room, put = reserve, write  # of a store that is to become one tensor


def stack(store, size, kind):
    """All tensors of a `room` as one, along a new first axis."""
    return ops.stack(store)


def pick(tensor, index):
    """The part of a tensor at `index` of its first axis."""
    return tensor[index]


def loop(count, body, carry):
    """`carry = body(i, *carry)` for i from 0 to `count - 1`."""
    for i in range(count):
        carry = body(i, *carry)
    return carry


def differentiable(forward, backward):
    """The function itself."""
    return lambda *tensors: forward(*tensors)[0]
