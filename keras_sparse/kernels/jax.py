"""JAX only: whether a value is one of a trace. Other backends read variables wherever they are asked, and say False."""

import keras


def is_traced(value):
    """Whether `value` stands for one that comes later, in a function that JAX is compiling or differentiating."""
    if keras.backend.backend() != "jax":
        return False
    import jax

    return isinstance(value, jax.core.Tracer)


def same_trace(one, other):
    """Whether two values stand in the same trace. A value of another, of a step compiled before, is void."""
    traces = [getattr(x, "_trace", None) for x in (one, other)]
    return is_traced(other) and traces[0] is not None and traces[0] is traces[1]
