"""The base class of pruning criteria."""

from abc import ABC, abstractmethod

import numpy as np

from keras_sparse.checks import describe
from keras_sparse.configured import Configured

# What `gradients` may be, in the words of an error.
GRADIENTS = {
    "loss": "the gradient of the training loss",
    "hessian": "the Hessian of the training loss times its gradient",
    "flow": "the gradient of the summed outputs of the network with absolute weights, for an input of ones",
    "movement": "the sum over steps of weight before the step times change of the weight",
}


class Criterion(Configured, ABC):
    """Scores the connections of a kernel; those with the highest scores are worth keeping.

    A subclass overrides `compute`, and `gradients` if it needs some.

    Attributes:
        gradients: What it needs beside the weights: None, nothing; "loss", the gradient of the training loss;
            "hessian", the product of the loss's Hessian with its gradient; "flow", the gradient of the sum of the
            outputs, where all weights are replaced by their absolute values and the input is all ones; "movement",
            the sum over the steps of training of weight before the step times change of the weight.
        may_be_negative: Whether scores may be below 0; a norm over several of them, as of a channel, then says nothing.
        at_initialization: Whether it is meant for a network that was not trained yet; `Prune` warns of another.
        rounds: Number of rounds in which it prunes; between two of them the scores are computed anew.

    Example:
        >>> class Smallest(Criterion):
        ...     def compute(self, weights, gradients, rng):
        ...         return -np.abs(weights)
        >>> Smallest().scores(np.array([1.0, -3.0]))
        array([-1., -3.])
    """

    gradients = None
    may_be_negative = False
    at_initialization = False
    rounds = 1

    @abstractmethod
    def compute(self, weights, gradients, rng):
        """The scores of one kernel, from arguments that were checked: an array of the shape of the weights."""

    def scores(self, weights, gradients=None, rng=None):
        """The scores of one kernel, high = keep.

        Args:
            weights: Array of any shape.
            gradients: Array of the same shape, what the attribute `gradients` says; criteria that need none do not
                look at it.
            rng: `numpy.random.Generator`, for those that draw.

        Returns:
            Array of floats of the same shape.

        Raises:
            ValueError: If gradients or a generator are needed and missing, or of another shape than the weights.
        """
        return self.scores_of([weights], [gradients], rng)[0]

    def scores_of(self, weights, gradients=None, rng=None):
        """The scores of several kernels, on one scale: what a ranking over a whole model compares.

        Args:
            weights: List of arrays.
            gradients: List of as many arrays, or None.
            rng: `numpy.random.Generator`, for those that draw.

        Returns:
            List of arrays.

        Example:
            >>> [s.tolist() for s in Snip().scores_of([np.ones(2), np.ones(1)], [np.ones(2), np.full(1, 2.0)])]
            [[0.25, 0.25], [0.5]]
        """
        weights = [_floats(w) for w in weights]
        gradients = [None] * len(weights) if gradients is None else list(gradients)
        if len(gradients) != len(weights):
            raise ValueError(
                f"`gradients` of {describe(self)} must be a list with an array for each of the kernels. Received: "
                f"{len(gradients)} gradients, {len(weights)} kernels. Pass them in the same order."
            )
        gradients = [self._checked(g, w.shape) for w, g in zip(weights, gradients, strict=True)]
        return self.on_one_scale([self.compute(w, g, rng) for w, g in zip(weights, gradients, strict=True)])

    def on_one_scale(self, scores):
        """The scores of several kernels, made comparable where `compute` did not."""
        return scores

    def density_after(self, done, density):
        """The density when `done` of all `rounds` are over and `density` is wanted in the end; it falls exponentially.

        Example:
            >>> SynFlow(rounds=2).density_after(1, 0.01)
            0.1
        """
        return density ** (done / self.rounds)

    def _checked(self, gradients, shape):
        if self.gradients is None:
            return None
        if gradients is None:
            received = "gradients=None"
        else:
            gradients = _floats(gradients)
            if gradients.shape == shape:
                return gradients
            received = f"gradients of shape {gradients.shape}, weights of shape {shape}"
        raise ValueError(
            f"`gradients` of {describe(self)} must be {GRADIENTS[self.gradients]}, an array of the shape of the "
            f"weights. Received: {received}. Compute it for this kernel, or use a criterion that needs none, such as "
            "'magnitude'."
        )


def _floats(values):
    """As an array of single or double precision: half precision has too few steps to tell scores apart."""
    values = np.asarray(values)
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float32)


def product(one, other):
    """`one * other` in double precision, where the product of two single ones neither rounds nor vanishes."""
    return np.multiply(one, other, dtype=np.float64)
