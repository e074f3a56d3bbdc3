"""A dense kernel and its mask: in the product and after the update, with few passes over memory.

A pass over a kernel of 2048 x 2048 costs 5 to 10% of a training step on a CPU, so none is made without need. Cut
weights are stored as zeros, and stay zero as long as their gradient is: in training the product can take the kernel as
it is, only the gradient must be masked, and the update has nothing to mend. A flag says when that cannot be relied on.

Where XLA compiles (JAX, GPUs) masking costs no pass of its own, and the plain form is the better one.
"""

import functools

import keras
from keras import ops
from keras.src.backend.common.stateless_scope import in_stateless_scope


def masked(value, mask):
    """`value` where `mask` is True, zero elsewhere; so is the gradient."""
    value = ops.convert_to_tensor(value)
    return ops.where(ops.convert_to_tensor(mask), value, ops.zeros((), dtype=value.dtype))


def in_product(kernel, mask, unsure, training):
    """The kernel as the product takes it: zero where the mask is False, and so is its gradient.

    Args:
        kernel: Tensor `(..., fan_in, fan_out)`.
        mask: Boolean tensor `(fan_in, fan_out)`.
        unsure: Boolean tensor, scalar: whether cut weights may be stored as something else than zero.
        training: Boolean, whether this is a training step, where a pass is worth saving.

    Returns:
        Tensor like `kernel`.
    """
    if not training or not _counts_passes():
        return masked(kernel, mask)

    @ops.custom_gradient
    def as_it_is(kernel):
        def gradient(*args, upstream=None):
            return masked(args[0] if upstream is None else upstream, mask)

        return ops.cond(ops.any(unsure), lambda: masked(kernel, mask), lambda: kernel), gradient

    return as_it_is(kernel)


def after_update(kernel, mask, unsure, row):
    """The kernel with exact zeros, after an optimizer has changed it.

    With zero gradients from the first step on, every optimizer that works weight by weight leaves zeros alone. One that
    works on whole matrices (Muon) shows in any row that has both kinds of them.

    Args:
        kernel: Tensor `(..., fan_in, fan_out)`.
        mask: Boolean tensor `(fan_in, fan_out)`.
        unsure: Boolean tensor, scalar: whether cut weights may be something else than zero, or have momentum.
        row: Integer, an input that is connected to some outputs and not to others.
    """
    if not _counts_passes():
        return masked(kernel, mask)
    kernel, mask = ops.convert_to_tensor(kernel), ops.convert_to_tensor(mask)
    sample = ops.logical_and(kernel[..., row, :] != 0, ops.logical_not(mask[row]))
    needed = ops.logical_or(unsure, ops.any(sample))
    return ops.cond(needed, lambda: masked(kernel, mask), lambda: kernel)


def guard(kernel, mask, unsure):
    """Keeps `unsure` true while cut weights are something else than zero: after `set_weights`, say, or a callback.

    Looks at each assignment to one of the three outside of compiled training steps; inside, where the optimizer
    assigns, that is left to `after_update`.

    Args:
        kernel, mask, unsure: Keras variables.
    """
    variables = (kernel, mask, unsure)
    raise_flag = unsure.assign

    def watched(assign):
        def assign_and_look(value):
            result = assign(value)
            if not _is_compiling() and all(variable._value is not None for variable in variables):
                weights, connected = ops.convert_to_tensor(kernel), ops.convert_to_tensor(mask)
                if bool(ops.any(ops.logical_and(weights != 0, ops.logical_not(connected)))):
                    raise_flag(True)
            return result

        return assign_and_look

    for variable in variables:
        variable.assign = watched(variable.assign)


def _is_compiling():
    if in_stateless_scope():
        return True
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return tf.inside_function()


@functools.cache
def _counts_passes():
    """Whether operations run one by one: TensorFlow on a CPU, where Keras does not compile with XLA unless asked."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")
