"""The examples on which a callback takes gradients."""

import keras
import numpy as np

from keras_sparse import checks


class GradientBatch:
    """Gives out a batch for each step, the same one for the same step.

    Args:
        data: Tuple of arrays `(x, y)` or `(x, y, sample_weight)`, from which examples are drawn; a function
            `step -> such a tuple`, which is the batch; a data set that can be gone through (`tf.data.Dataset`,
            `keras.utils.PyDataset`, list of batches), whose first batch is taken each time; or None.
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
        goes_in_batches = isinstance(data, keras.utils.PyDataset) or hasattr(data, "__iter__")
        is_one_array = hasattr(data, "shape")  # which could be gone through, too, row by row
        if not callable(data) and (is_one_array or not goes_in_batches):
            raise checks.error(
                "data", owner, "arrays (x, y), a data set of batches, or a function from the step to a batch", data,
                f"{why} takes gradients on it: pass the training data, data=(x, y).",
            )  # fmt: skip
        self.data = data

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
