"""Keeps cut weights at zero, whatever the optimizer does."""

import keras
from keras import ops

from keras_sparse.kernels.jax import is_traced, same_trace
from keras_sparse.kernels.masked import after_update, masked
from keras_sparse.topologies import FromMask


@keras.saving.register_keras_serializable(package="keras_sparse")
class MaskConstraint(keras.constraints.Constraint):
    """Sets the weights to zero where a mask is False, after each update of the optimizer.

    The optimizer applies it inside the training step, so zeros are exact after every step, under momentum, weight
    decay, gradient accumulation, XLA and replicas. `MaskedDense` and `SparseConv2D` bring it with them; it can be
    given to any layer.

    Args:
        mask: Boolean array or variable `(fan_in, fan_out)`, True = kept. It applies to the last two axes of the
            weights, so that one mask serves a convolution at every position.
        constraint: Constraint of your own (object or Keras name), applied first; or None.

    Raises:
        ValueError: If the mask is no boolean matrix.

    Example:
        >>> mask = keras_sparse.topologies.Rotating(out_degree=1)(3, 4)
        >>> keras.layers.Dense(4, kernel_constraint=MaskConstraint(mask, "non_neg"))
    """

    def __init__(self, mask, constraint=None):
        self.constraint = keras.constraints.get(constraint)
        # A variable is read each time, so that connections may move.
        self.mask = mask if isinstance(mask, keras.Variable) else FromMask(mask, seed=0).given.mask()
        self._moved = self.samples = None
        self.was_used = False  # by an optimizer, in this process
        self._mask_in_forward_pass = None

    def __call__(self, value):
        self.was_used = True
        mask = self.mask
        if self._is_taken() or same_trace(ops.convert_to_tensor(value), self._mask_in_forward_pass):
            mask = self._mask_in_forward_pass
        if self.constraint is None and self._moved is not None:
            return after_update(value, mask, self._moved, self.samples)
        return masked(value if self.constraint is None else self.constraint(value), mask)

    @classmethod
    def of_layer(cls, mask, constraint, moved):
        """For a layer that masks the gradient itself, and keeps `samples` up to date: cut weights to look at.

        Args:
            mask: Keras variable.
            constraint: As in the constructor.
            moved: Keras variable, boolean: whether cut weights may have momentum.
        """
        of_layer = cls(mask, constraint)
        of_layer._moved = moved
        return of_layer

    def saw(self, mask):
        """The layer says with which mask, a tensor, it computes; and has it back."""
        if self._is_taken() or is_traced(mask):
            self._mask_in_forward_pass = mask
        return mask

    def _is_taken(self):
        # JAX compiles a training step as a function of all variables. Keras hands the value of the mask to the forward
        # pass, and not to the optimizer, which follows in the same trace; while it fits, the variables are empty.
        return isinstance(self.mask, keras.Variable) and self.mask._value is None

    def get_config(self):
        mask = ops.convert_to_numpy(self.mask) if isinstance(self.mask, keras.Variable) else self.mask
        return {
            "mask": FromMask(mask, seed=0).get_config()["mask"],
            "constraint": keras.constraints.serialize(self.constraint),
        }
