"""The step that schedules are asked for, kept where it is saved with the model."""

from keras import ops


class Clock:
    """Counts the optimizer's updates, from where a saved model stood.

    The count lives in `mask_step`, a weight of the first sparse layer: it is in `.keras` and in `.weights.h5`, also
    where the optimizer starts anew. It goes by `optimizer.iterations`, which counts updates, not batches, under
    `steps_per_execution` and gradient accumulation.

    Args:
        model: Compiled Keras model.
        layer: Its first sparse layer.
    """

    def __init__(self, model, layer):
        self._variable = layer.mask_step
        self._offset = _number(self._variable) - _number(model.optimizer.iterations)

    def read(self, model):
        """The step now, and written down."""
        step = _number(model.optimizer.iterations) + self._offset
        self._variable.assign(step)
        return step


def _number(variable):
    return int(ops.convert_to_numpy(variable))
