"""A dense kernel and its mask: in the product and after the update, with few passes over memory.

A pass over a kernel of 2048 x 2048 costs 5 to 10% of a training step on a CPU, so none is made without need. Cut
weights are stored as zeros (`Guard`), and stay zero as long as their gradient is: in training the product can take the
kernel as it is, only the gradient must be masked, and the update seldom has anything to mend.

Where XLA compiles (JAX, GPUs) masking costs no pass of its own, and the plain form is the better one.
"""

import functools
import math

import keras
from keras import ops


def masked(value, mask):
    """`value` where `mask` is True, zero elsewhere; so is the gradient."""
    value = ops.convert_to_tensor(value)
    return ops.where(ops.convert_to_tensor(mask), value, ops.zeros((), dtype=value.dtype))


def in_product(kernel, mask, training):
    """The kernel as the product takes it.

    Args:
        kernel: Tensor `(..., fan_in, fan_out)`, zero where the mask is False.
        mask: Boolean tensor `(fan_in, fan_out)`, or of the kernel's shape.
        training: Boolean, whether this is a training step, where a pass is worth saving.

    Returns:
        Tensor like `kernel`, whose gradient is zero where the mask is False.
    """
    if not counts_passes() or not training:  # in this order: rematerialised on JAX, `training` is a tracer
        return masked(kernel, mask)

    @ops.custom_gradient
    def as_it_is(kernel):
        def gradient(*args, upstream=None):
            return masked(args[0] if upstream is None else upstream, mask)

        return kernel, gradient

    return as_it_is(kernel)


def after_update(kernel, mask, moved, samples):
    """The kernel with exact zeros, after an optimizer has changed it.

    With zero gradients from the first step on, every optimizer that works weight by weight leaves zeros alone. One that
    works on whole matrices (Muon) shows in any cut weight between units of one component of the graph.

    Args:
        kernel: Tensor `(..., fan_in, fan_out)`.
        mask: Boolean tensor `(fan_in, fan_out)`, or of the kernel's shape.
        moved: Boolean tensor, scalar: whether cut weights may have momentum.
        samples: Integer array, such cut weights of all components: positions in the flattened mask.
    """
    if not counts_passes():
        return masked(kernel, mask)
    kernel, mask = ops.convert_to_tensor(kernel), ops.convert_to_tensor(mask)
    first = ops.reshape(kernel, (-1, math.prod(mask.shape)))[0]
    needed = ops.logical_or(moved, ops.any(ops.take(first, samples) != 0))
    return ops.cond(needed, lambda: masked(kernel, mask), lambda: kernel)


class Guard:
    """Keeps cut weights at zero whatever is assigned: by `set_weights`, a callback, an average of weights.

    It looks at assignments outside of compiled training steps; those inside are left to `after_update`. A kernel may
    come before the mask that it belongs to (`set_weights` has them in that order): what was set to zero is therefore
    kept until the next assignment, and put back if the mask lets it. Needed where the product relies on zeros
    (`counts_passes`); on JAX, whose trainer assigns variables one by one while others are void, it would be in the way.

    Args:
        kernel, mask: Keras variables.
        moved: Keras variable, boolean, which stays true once the mask has changed.
    """

    def __init__(self, kernel, mask, moved):
        self._variables = (kernel, mask, moved)
        self._plain = tuple(variable.assign for variable in self._variables)
        self._whole = None
        self._changed = False
        kernel.assign, mask.assign, moved.assign = self._assign_kernel, self._assign_mask, self._assign_moved

    def forget(self):
        """Says that no optimizer has seen the mask that was there before."""
        self._changed = False
        self._plain[2](False)

    def _assign_kernel(self, value):
        result = self._plain[0](value)
        if self._can_look():
            self._whole = None
            self._cut()
        return result

    def _assign_mask(self, value):
        if not self._can_look():
            return self._plain[1](value)
        before = ops.convert_to_numpy(self._variables[1])
        result = self._plain[1](value)
        if (ops.convert_to_numpy(self._variables[1]) != before).any():
            self._changed = True
            self._plain[2](True)
        if self._whole is not None:
            self._plain[0](self._whole)
        self._cut()
        return result

    def _assign_moved(self, value):
        return self._plain[2](True if self._changed and self._can_look() else value)

    def _cut(self):
        kernel, mask = self._variables[:2]
        value = ops.convert_to_numpy(kernel)
        if ((value != 0) & ~ops.convert_to_numpy(mask)).any():
            self._whole = value.copy()
            self._plain[0](masked(kernel, mask))

    def _can_look(self):
        import tensorflow as tf

        return not tf.inside_function() and all(variable._value is not None for variable in self._variables)


@functools.cache
def counts_passes():
    """Whether operations run one by one: TensorFlow on a CPU, where Keras does not compile with XLA unless asked."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")
