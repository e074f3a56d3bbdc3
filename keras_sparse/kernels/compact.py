"""Products with a kernel that is stored as one value per connection: the ways to compute them, by name.

A kernel is a tensor of values and two index vectors, sorted by output, as in `topologies.Connections`. Shapes, with
`n` connected pairs of blocks of size `b`:

    dense           (n,)            (n, b, b)
    convolution     (n, kh, kw)     (n, kh, kw, b, b)
"""

from keras_sparse import checks
from keras_sparse.kernels import blocked, gather, native, scattered

IMPLEMENTATIONS = {"native": native, "blocked": blocked, "gather": gather, "scattered": scattered}


def dense(x, values, inputs, outputs, fan_out, implementation=None):
    """`x @ kernel`.

    Args:
        x: Tensor `(..., fan_in)`.
        values: Tensor `(n,)` or `(n, b, b)`.
        inputs, outputs: int32 tensors `(n,)`, sorted by output.
        fan_out: Integer.
        implementation: Name in `IMPLEMENTATIONS`, or None for "blocked" or "gather", with blocks or without.

    Returns:
        Tensor `(..., fan_out)`.

    Raises:
        ValueError: If there is no such implementation, or not for these values.
    """
    return _module(implementation, len(values.shape) > 1).dense(x, values, inputs, outputs, fan_out)


def convolution(x, values, inputs, outputs, filters, strides, padding, dilation_rate, data_format, implementation=None):
    """Two-dimensional convolution with the same connections between channels at every position.

    Args:
        x: Tensor `(batch, height, width, channels)`, or with channels first.
        values: Tensor `(n, kh, kw)` or `(n, kh, kw, b, b)`.
        inputs, outputs: int32 tensors `(n,)`, sorted by output.
        filters: Integer.
        strides, dilation_rate: Pairs of integers, as in `keras.layers.Conv2D`.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first".
        implementation: As in `dense`.

    Returns:
        Tensor `(batch, new_height, new_width, filters)`, or with channels first.

    Raises:
        ValueError: If there is no such implementation, or not for these values.
    """
    module = _module(implementation, len(values.shape) > 3)
    return module.convolution(x, values, inputs, outputs, filters, strides, padding, dilation_rate, data_format)


def candidates(has_blocks):
    """Names of the implementations for values with blocks, or without."""
    return ("native", "blocked", "scattered") if has_blocks else ("native", "gather", "scattered")


def _module(implementation, has_blocks):
    names = candidates(has_blocks)
    if implementation is None:
        implementation = "blocked" if has_blocks else "gather"
    return IMPLEMENTATIONS[checks.choice("implementation", implementation, "a sparse product", names, HINT)]


HINT = "Blocked takes values with blocks, gather single ones; native and scattered take both."
