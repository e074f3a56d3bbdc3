"""The examples on which a callback takes gradients."""

import keras
import numpy as np

from keras_sparse import checks


class GradientBatch:
    """Gives out a batch for each step, the same one for the same step.

    Args:
        data: Tuple of arrays `(x, y)` or `(x, y, sample_weight)`, from which examples are drawn; a function
            `step -> such a tuple`, which is the batch; a data set that can be gone through (`tf.data.Dataset`,
            `keras.utils.PyDataset`, list of batches), whose first batch is taken each time; or None. A data set that
            shuffles anew gives other batches each time, and others to a run that is resumed.
        batch_size: Integer >= 1, examples to draw from arrays.
        seed: Integer.
        owner: Object that an error names.
        why: String, what needs the data.

    Raises:
        ValueError: If `data` is missing or is nothing of these.
    """

    def __init__(self, data, batch_size, seed, owner, why):
        self.seed = seed
        self.batch_size = checks.integer("batch_size", batch_size, owner, minimum=1)
        if not callable(data):  # a PyDataset may be, too
            self._check(data, owner, why)
        self.data = data

    def _check(self, data, owner, why):
        received, hint = _described(data), f"{why} takes gradients on it: pass the training data, data=(x, y)."
        if isinstance(data, tuple):
            shapes = [getattr(leaf, "shape", ()) for leaf in keras.tree.flatten(data)]
            has_arrays = len(data) in (2, 3) and all(len(shape) for shape in shapes)
            if has_arrays and len({shape[0] for shape in shapes}) == 1:
                return
            received = f"({', '.join(map(_described, data))})"
            hint = "They must have as many examples each." if has_arrays else hint
        elif hasattr(data, "__next__"):
            hint = "Each batch comes once from it: pass what it goes through, or a function from the step to a batch."
        elif isinstance(data, list) and any(hasattr(batch, "shape") for batch in data):
            received = f"[{', '.join(map(_described, data[:3]))}]"
            hint = f"A list is one of batches. {hint}"
        elif isinstance(data, keras.utils.PyDataset) or _goes_in_batches(data):
            return
        raise ValueError(
            f"`data` of {checks.describe(owner)} must be arrays (x, y) or (x, y, sample_weight), a data set of "
            f"batches, or a function from the step to a batch. Received: data={received}. {hint}"
        )

    def at(self, step):
        """The batch for a step, a tuple."""
        data = self.data
        if isinstance(data, keras.utils.PyDataset):
            return data[0]
        if callable(data):
            return data(step)
        if not isinstance(data, tuple):
            batch = next(iter(data))
            return tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
        count = len(keras.tree.flatten(data)[0])
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, step]))
        rows = rng.choice(count, size=min(self.batch_size, count), replace=False)
        return keras.tree.map_structure(lambda array: np.asarray(array)[rows], data)


def _goes_in_batches(data):
    is_one_array = hasattr(data, "shape")  # which could be gone through, too, row by row
    return hasattr(data, "__iter__") and not is_one_array and not isinstance(data, (str, dict))


def _described(value):
    """Without the numbers of an array, which say nothing and fill the screen."""
    if hasattr(value, "shape"):
        return f"array of shape {tuple(value.shape)}"
    return repr(value) if isinstance(value, (int, float, str, type(None))) else type(value).__name__
