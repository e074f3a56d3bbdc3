"""The step that schedules are asked for, kept where it is saved with the model."""

from keras import ops


class Clock:
    """Counts the optimizer's updates, from where a saved model stood.

    It goes by `optimizer.iterations`, which counts updates, not batches, under `steps_per_execution` and gradient
    accumulation. What it counts lives in `mask_step`, a weight of a sparse layer: it is in `.keras` and in
    `.weights.h5`, also where the optimizer starts anew. The iterations of the optimizer stand beside it, so that the
    step is right if the model was saved between an update and the callback that writes the step down.

    Layers that are saved as stock ones have no such weight in a file. If a model has none but these, and they come with
    cut weights, the step is the optimizer's count of iterations.

    Args:
        model: Compiled Keras model.
        layers: List of its sparse layers.

    Attributes:
        begun: Integer, the step up to which schedules were followed when it was written down last; -1 for never.
    """

    def __init__(self, model, layers):
        saved = [layer for layer in layers if not layer.is_saved_as_stock]
        self._variable = (saved or layers)[0].mask_step
        self.begun, iterations = (int(number) for number in ops.convert_to_numpy(self._variable))
        now = _iterations(model)
        if self.begun < 0 and not saved and any(layer.was_cut_before for layer in layers):
            self.begun = iterations = now
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
        self.begun = now + self._offset
        self._variable.assign([self.begun, now])


def _iterations(model):
    return int(ops.convert_to_numpy(model.optimizer.iterations))


def step_of(model, layers):
    """The step of a model's clock, which schedules go by; if nothing keeps one, the optimizer's count of updates.

    Args:
        model: Compiled Keras model.
        layers: List of its sparse layers, each of which may have been written to by another callback.
    """
    now = _iterations(model)
    begun, then = max(tuple(int(number) for number in ops.convert_to_numpy(layer.mask_step)) for layer in layers)
    return now if begun < 0 or now < then else begun + now - then
