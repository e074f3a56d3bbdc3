"""JAX: outputs are kept in one array, which XLA updates in place."""

import jax
from jax import lax
from jax import numpy as jnp


def loops_pay():
    """Whether a loop is worth it: on a CPU, XLA runs convolutions in loops several times slower."""
    return jax.default_backend() != "cpu"


Kind = jax.ShapeDtypeStruct


def reserve(size, kind):
    """A store of `size` tensors of one kind, all zero."""
    return jnp.zeros((size, *kind.shape), kind.dtype)


def read(store, index, kind):
    """The tensor at `index`; zeros if nothing was written."""
    return lax.dynamic_index_in_dim(store, index, keepdims=False)


def write(store, index, value):
    """The store with another tensor at `index`."""
    return lax.dynamic_update_index_in_dim(store, value, index, axis=0)


def drop(store, index, kind):
    """The store, in which what is at `index` is not read any more: one array has one size."""
    return store


def snapshot(store):
    """The store as it is now, whatever is written later."""
    return store


def later(store, tensor):
    """The store, but not before a tensor is computed; so nothing made of it is taken for what was made before."""
    return lax.optimization_barrier((store, tensor))[0]


room, put = reserve, write  # of a store that is to become one tensor


def stack(store, size, kind):
    """All tensors of a `room` as one, along a new first axis."""
    return store


def pick(tensor, index):
    """The part of a tensor at `index` of its first axis."""
    return lax.dynamic_index_in_dim(tensor, index, keepdims=False)


def loop(count, body, carry):
    """`carry = body(i, *carry)` for i from 0 to `count - 1`."""
    return lax.fori_loop(0, count, lambda i, carry: tuple(body(i, *carry)), tuple(carry))


def vjp(function, tensors, gradient):
    """The gradient of a function's output, carried back to the tensors that it takes."""
    _, pull = jax.vjp(function, *tensors)
    return pull(gradient)


def differentiable(forward, backward):
    """A function of tensors whose gradient is written by hand; see the file for TensorFlow."""

    @jax.custom_vjp
    def function(*tensors):
        return forward(*tensors)[0]

    def keeping(*tensors):
        outputs, kept = forward(*tensors)
        return outputs, (tensors, kept)

    function.defvjp(keeping, lambda kept, gradients: tuple(backward(*kept, gradients)))
    return function
