"""The step that schedules are asked for, kept where it is saved with the model."""

from keras import ops


class Clock:
    """Counts the optimizer's updates, from where a saved model stood.

    It goes by `optimizer.iterations`, which counts updates, not batches, under `steps_per_execution` and gradient
    accumulation. What it counts lives in `mask_step`, a weight of a sparse layer: it is in `.keras` and in
    `.weights.h5`, also where the optimizer starts anew. The iterations of the optimizer stand beside it, so that the
    step is right if the model was saved between an update and the callback that writes the step down.

    Args:
        model: Compiled Keras model.
        layer: A sparse layer of it, the same one every time.

    Attributes:
        begun: Integer, the step up to which schedules were followed when this model was saved; -1 for never.
    """

    def __init__(self, model, layer):
        self._variable = layer.mask_step
        self.begun, iterations = (int(number) for number in ops.convert_to_numpy(self._variable))
        now = _iterations(model)
        if self.begun < 0:
            self._offset = -now
        else:
            is_new_optimizer = now < iterations
            self._offset = self.begun - (now if is_new_optimizer else iterations)

    def read(self, model):
        """The step now."""
        return _iterations(model) + self._offset

    def write(self, model):
        """Writes down that schedules were followed up to now."""
        now = _iterations(model)
        self._variable.assign([now + self._offset, now])


def _iterations(model):
    return int(ops.convert_to_numpy(model.optimizer.iterations))
