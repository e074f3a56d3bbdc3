"""SGD as the papers' frameworks define it."""

import contextlib

import keras
from keras import ops

from keras_sparse import checks


@keras.saving.register_keras_serializable(package="keras_sparse")
class CoupledDecaySGD(keras.optimizers.SGD):
    """SGD whose weight decay is part of the gradient, and so of the momentum.

    Keras's `weight_decay` shrinks weights beside the update (`w -= lr * decay * w`). The papers' decay is added to
    the gradient (`g + decay * w`); with momentum 0.9 that shrinks ten times as much for the same number. Without
    momentum the two agree.

    Args:
        learning_rate: Number or schedule.
        momentum: Number in [0, 1].
        nesterov: Boolean.
        coupled_decay: Number in [0, 1], decay coefficient.
        **kwargs: As for `keras.optimizers.SGD`.

    Example:
        >>> model.compile(CoupledDecaySGD(0.1, momentum=0.9, nesterov=True, coupled_decay=1e-4), "mse")
    """

    def __init__(self, learning_rate=0.01, momentum=0.0, nesterov=False, coupled_decay=1e-4, **kwargs):
        kwargs.setdefault("name", "coupled_decay_sgd")
        super().__init__(learning_rate, momentum=momentum, nesterov=nesterov, **kwargs)
        self.coupled_decay = checks.number("coupled_decay", coupled_decay, "CoupledDecaySGD", 0, 1)

    def update_step(self, gradient, variable, learning_rate):
        with _after(gradient):
            if self.coupled_decay:
                decay = ops.cast(self.coupled_decay, variable.dtype)
                weights = ops.convert_to_tensor(variable)
                gradient = ops.add(ops.cast(gradient, variable.dtype), ops.multiply(decay, weights))
            super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        return {**super().get_config(), "coupled_decay": self.coupled_decay}


def _after(gradient):
    """TensorFlow would begin each step with decay and momentum of all weights, and hold them while it computes."""
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    from keras_sparse.training.tensorflow import after

    return after(gradient)
