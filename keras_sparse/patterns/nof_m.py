"""A few of every few."""

import math

import keras
import numpy as np

from keras_sparse import checks
from keras_sparse.patterns.pattern import Pattern


@keras.saving.register_keras_serializable(package="keras_sparse")
class NofM(Pattern):
    """Of each `m` consecutive inputs of an output, `n` are KEPT: 2:4 as NVIDIA writes it.

    `sparsity_m_by_n` of tensorflow-model-optimization gives the number of zeros first: (1, 4) there is 3:4 here, and
    (2, 4) is the same in both. Inputs are counted along the second axis from the end: the inputs of a Dense kernel,
    the input channels of a convolution's at each position of its window. The last run of an output may be shorter
    than `m`; it keeps `n` too, or all if it has no more.

    A group is one run. It is cut by going from all to its `n` highest, and its score is the sum of what is then lost,
    so that sparsity may grow gradually: `floor(sparsity / (1 - n / m) * runs)` runs are cut, all of them at
    `1 - n / m`. Short runs lose fewer connections than others, or none, and so a kernel whose inputs `m` does not
    divide has fewer zeros than `sparsity` says.

    Args:
        n: Integer in [1, m), kept of each run.
        m: Integer >= 2, length of a run.

    Raises:
        ValueError: If an argument is out of range; in use, if the sparsity is above `1 - n / m`.

    Reference:
        Mishra et al., Accelerating sparse deep neural networks, 2021, https://arxiv.org/abs/2104.08378

    Example:
        >>> kernel = np.array([[-0.49, -0.66, 0.42, 0.1], [0.31, 0.63, -1.63, 0.2]]).T    # two outputs
        >>> NofM(2, 4).mask(np.abs(kernel), sparsity=0.5).T.astype(int)
        array([[1, 1, 0, 0],
               [0, 1, 1, 0]])
    """

    def __init__(self, n=2, m=4):
        self.m = checks.integer("m", m, self, minimum=2)
        hint = f"It is the number that is kept of {self.m}; with all of them nothing would be sparse."
        self.n = checks.integer("n", n, self, minimum=1, maximum=self.m - 1, hint=hint)

    @property
    def max_sparsity(self):
        return 1 - self.n / self.m

    def group_shape(self, shape):
        *positions, inputs, outputs = shape
        return (*positions, -(-inputs // self.m), outputs)

    def cut_among(self, groups, sparsity):
        hint = f"{self.n} of {self.m} are kept; lower the sparsity, or keep fewer."
        sparsity = checks.number("sparsity", sparsity, self, 0, self.max_sparsity + 1e-12, hint=hint)
        return min(math.floor(sparsity * self.m / (self.m - self.n) * groups + 1e-9 + 1e-15 * groups), groups)

    def pool(self, scores):
        lost = []
        for runs in self._runs(self.checked(scores)):
            cut = max(runs.shape[-2] - self.n, 0)
            lowest = np.partition(runs, cut - 1, axis=-2)[..., :cut, :] if cut else runs[..., :0, :]
            lost.append(lowest.sum(axis=-2, dtype=np.float64))
        return np.concatenate(lost, axis=-2)

    def spread(self, kept, scores):
        kept = self.checked_groups(kept, scores.shape)
        # Stable, on the negative: of equal scores the earlier is kept.
        masks = []
        for runs in self._runs(self.checked(scores)):
            highest = np.argsort(-runs, axis=-2, kind="stable")[..., : self.n, :]
            mask = np.zeros(runs.shape, dtype=bool)
            np.put_along_axis(mask, highest, True, axis=-2)
            here, kept = np.split(kept, [runs.shape[-3]], axis=-2)
            mask |= here[..., None, :]
            masks.append(mask.reshape(*scores.shape[:-2], -1, scores.shape[-1]))
        return np.concatenate(masks, axis=-2)

    def _runs(self, scores):
        """`(..., runs, m, outputs)` of those that are full, then the same of the last where it is shorter."""
        *positions, inputs, outputs = scores.shape
        full = inputs - inputs % self.m
        parts = [(scores[..., :full, :], self.m), (scores[..., full:, :], inputs - full)]
        return [part.reshape(*positions, -1, length, outputs) for part, length in parts if part.shape[-2]]

    def get_config(self):
        return {"n": self.n, "m": self.m}
