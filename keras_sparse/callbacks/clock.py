"""The step that schedules are asked for, kept where it is saved with the model."""

import warnings

from keras import ops

from keras_sparse import checks


class Clock:
    """Counts the optimizer's updates, from where a saved model stood.

    It goes by `optimizer.iterations`, which counts updates, not batches, under `steps_per_execution` and gradient
    accumulation. What it counts lives in `mask_step`, a weight of each sparse layer: it is in `.keras` and in
    `.weights.h5`, also where the optimizer starts anew. The iterations of the optimizer stand beside it, so that the
    step is right if the model was saved between an update and the callback that writes the step down. Layers differ
    where some were excluded; the largest step counts.

    Layers that are saved as stock ones have no such weight in a file. If a model has none but these, the step follows
    from `counts_from`, or from a checkpoint that was restored after training had begun. Else it is a guess, of which a
    warning speaks: the optimizer's count of updates, if there are cut weights, or 0.

    Args:
        model: Compiled Keras model.
        layers: List of its sparse layers.
        counts_from: Integer or None, the optimizer's count of updates at step 0, if no layer knows the step.
        count_before: Integer or None, that count before this training began; None: nothing was restored since.
        owner: String or object that errors and the warning name.

    Attributes:
        begun: Integer, the step up to which schedules were followed when it was written down last; -1 for never.

    Raises:
        ValueError: If the optimizer has not come to `counts_from`.
    """

    def __init__(self, model, layers, counts_from=None, count_before=None, owner="Clock"):
        saved = [layer for layer in layers if not layer.is_saved_as_stock]
        keepers = saved or layers
        variables, written = [layer.mask_step for layer in keepers], [_written(layer) for layer in keepers]
        latest = max(range(len(written)), key=lambda i: written[i][0])  # the first of equals
        self._first, self._others = variables[latest], variables[:latest] + variables[latest + 1 :]
        self.begun, iterations = written[latest]
        now = optimizer_count(model)
        if self.begun >= 0:
            is_new_optimizer = now < iterations
            self._offset = self.begun - (now if is_new_optimizer else iterations)
            return
        was_cut_before = not saved and any(layer.was_cut_before for layer in layers)
        if counts_from is None and not saved:
            if count_before not in (None, now):
                counts_from = count_before  # where this very training began before it was cut off
            elif now:
                counts_from = 0 if was_cut_before else now
                _warn_of_guess(model, owner, now, counts_from)
        counts_from = now if counts_from is None else counts_from
        if counts_from > now:
            raise checks.error(
                "counts_from", owner, f"at most {now}, the updates that the optimizer has made", counts_from,
                "Its schedule cannot have begun later than now.",
            )  # fmt: skip
        self._offset = -counts_from
        if now > counts_from or was_cut_before:
            self.begun = now - counts_from

    def read(self, model):
        """The step now."""
        return optimizer_count(model) + self._offset

    def write(self, model, everywhere=False):
        """Writes down that schedules were followed up to now.

        Args:
            model: The model.
            everywhere: Boolean, in all layers, which takes a while; False writes to one of them. The others are needed
                where that one is excluded next time, and tell as much if they know the last update.
        """
        now = optimizer_count(model)
        self.begun = now + self._offset
        for variable in (self._first, *(self._others if everywhere else ())):
            variable.assign([self.begun, now])


def step_of(model, layers):
    """The step of a model's clock, which schedules go by; if nothing keeps one, the optimizer's count of updates.

    Args:
        model: Compiled Keras model.
        layers: List of its sparse layers, each of which may have been written to by another callback.
    """
    now = optimizer_count(model)
    begun, iterations = max(_written(layer) for layer in layers)
    return now if begun < 0 or now < iterations else begun + now - iterations


def optimizer_count(model):
    """The updates that the optimizer of a model has made; 0 if it has none."""
    optimizer = getattr(model, "optimizer", None)
    return 0 if optimizer is None else int(ops.convert_to_numpy(optimizer.iterations))


def _written(layer):
    return ops.convert_to_numpy(layer.mask_step).tolist()


def _warn_of_guess(model, owner, now, counts_from):
    reason = "as nothing is cut yet" if counts_from else "as weights are cut already"
    warnings.warn(
        f"{checks.describe(owner)} cannot know where its schedule stands: all layers that it prunes in {model.name!r} "
        f"are made by the code of a class, a file of such a model holds no step, and its optimizer has made {now} "
        f"updates. {reason.capitalize()}, this is taken for step {now - counts_from}. Say it by `counts_from`, the "
        f"optimizer's count of updates at step 0: counts_from=0 if it was pruned from the start, counts_from={now} if "
        "that begins now.",
        stacklevel=2,
    )
