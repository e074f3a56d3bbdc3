"""TensorFlow: outputs are kept in tensor lists, whose elements are neither copied nor moved."""

import tensorflow as tf

from keras_sparse.distribution.replicas import replica_count


def loops_pay():
    """Whether a loop is worth it: a graph that is traced and optimised grows with each unit."""
    return True


class Kind:
    """Shape and dtype of the tensors in a store; sizes may be unknown until the graph runs."""

    def __init__(self, shape, dtype):
        self.dtype = tf.as_dtype(dtype)
        self.static = [size if isinstance(size, int) else None for size in shape]
        self.shape = list(shape) if None not in self.static else tf.stack(shape)


def reserve(size, kind):
    """A store of `size` tensors of one kind, all zero."""
    return tf.raw_ops.TensorListReserve(element_shape=-1, num_elements=size, element_dtype=kind.dtype)


def read(store, index, kind):
    """The tensor at `index`; zeros if nothing was written."""
    value = tf.raw_ops.TensorListGetItem(
        input_handle=store, index=index, element_shape=kind.shape, element_dtype=kind.dtype
    )
    value.set_shape(kind.static)
    return value


def write(store, index, value):
    """The store with another tensor at `index`."""
    return tf.raw_ops.TensorListSetItem(input_handle=store, index=index, item=value)


def drop(store, index, kind):
    """The store without what is at `index`, which is not read any more: its memory is free."""
    return write(store, index, tf.zeros([], kind.dtype))


def snapshot(store):
    """The store as it is now, whatever is written later."""
    return store


def later(store, tensor):
    """The store, but not before a tensor is computed: or what is made of it would be made as early as can be."""
    with tf.control_dependencies([tensor]):
        return tf.identity(store)


def room(size, kind):
    """A store of `size` tensors of one kind that is to become one tensor: it is that from the beginning."""
    return tf.raw_ops.Empty(shape=tf.concat([[size], kind.shape], axis=0), dtype=kind.dtype, init=False)


def put(store, index, value):
    """The `room` with another tensor at `index`, written in place."""
    return tf.raw_ops.InplaceUpdate(x=store, i=tf.reshape(index, [1]), v=tf.expand_dims(value, 0))


def stack(store, size, kind):
    """All tensors of a `room` as one, along a new first axis."""
    store.set_shape([size, *kind.static])
    return store


def pick(tensor, index):
    """The part of a tensor at `index` of its first axis."""
    return tf.gather(tensor, index)


def loop(count, body, carry):
    """`carry = body(i, *carry)` for i from 0 to `count - 1`."""
    if replica_count() > 1:  # which can tell one another nothing from within a loop of TensorFlow
        for i in range(count):
            carry = body(i, *carry)
        return carry
    # One iteration depends on the one before: to begin several at once only costs memory.
    _, *carry = tf.while_loop(
        lambda i, *carry: i < count,
        lambda i, *carry: (i + 1, *body(i, *carry)),
        (tf.constant(0), *carry),
        parallel_iterations=1,
    )
    return carry


def vjp(function, tensors, gradient):
    """The gradient of a function's output, carried back to the tensors that it takes."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        output = function(*tensors)
    return tape.gradient(output, tensors, output_gradients=gradient)


def differentiable(forward, backward):
    """A function of tensors whose gradient is written by hand.

    Args:
        forward: Function of tensors that gives its outputs, a list, and what `backward` needs.
        backward: Function of the tensors, of what it needs and of the outputs' gradients; a list, one for each tensor.
    """

    @tf.custom_gradient
    def function(*tensors):
        outputs, kept = forward(*tensors)

        def once(*gradients):
            return tf.custom_gradient(lambda *both: (backward(tensors, kept, gradients), _refuse))(*tensors, *gradients)

        return tuple(outputs), once

    # Of a variable its value, or the gradient would be asked for the variable.
    return lambda *tensors: function(*map(tf.convert_to_tensor, tensors))


def _refuse(*gradients):
    raise NotImplementedError(
        "What LoopedAggregationBlock computes must be differentiated once. Received: a gradient of its gradient. Pass "
        "`keras_sparse.unroll(model)`, or build the network with loop=False."
    )
