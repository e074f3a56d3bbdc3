"""How the outputs that a layer reads become its one input."""

from abc import ABC, abstractmethod

import keras
from keras import ops

from keras_sparse import checks
from keras_sparse.checks import describe
from keras_sparse.configured import Configured


class Operator(Configured, ABC):
    """Joins tensors. `accumulate` is associative, so a join can go on where an earlier one stopped.

    A subclass overrides `accumulate`, `check` and, if the join needs it, `finish`.
    """

    @abstractmethod
    def accumulate(self, tensors, axis):
        """One tensor from a non-empty list, oldest first, along the channel axis `axis`."""

    @abstractmethod
    def differing_axes(self, rank, axis):
        """The axes along which joined outputs may differ in size."""

    def finish(self, total, count):
        """The join, from the accumulation of `count` tensors."""
        return total

    def check(self, shapes, indices, axis, owner):
        """Refuses shapes that cannot be joined, naming the two outputs that disagree."""
        first = shapes[0]
        if not -len(first) <= axis < len(first):
            raise checks.error(
                "axis", owner, f"an axis of its inputs, which have {len(first)}", axis,
                "Channels are at -1, or at 1 with channels_first.",
            )  # fmt: skip
        free = self.differing_axes(len(first), axis)
        for shape, index in zip(shapes[1:], indices[1:], strict=True):
            same = len(shape) == len(first) and all(
                i in free or a == b or a is None or b is None for i, (a, b) in enumerate(zip(first, shape, strict=True))
            )
            if not same:
                raise ValueError(
                    f"`inputs` of {describe(owner)} must agree in every axis"
                    f"{f' but {axis}' if free else ''} to be joined by {type(self).__name__.lower()!r}. "
                    f"Received: output {indices[0]} with shape {tuple(first)}, output {index} with shape "
                    f"{tuple(shape)}. {self.advice}"
                )


@keras.saving.register_keras_serializable(package="keras_sparse")
class Concat(Operator):
    """Concatenation along the channel axis (DenseNet, SparseNet[⊕])."""

    advice = "Bring them to one spatial size first."

    def accumulate(self, tensors, axis):
        return tensors[0] if len(tensors) == 1 else ops.concatenate(tensors, axis=axis)

    def differing_axes(self, rank, axis):
        return {axis % rank}


@keras.saving.register_keras_serializable(package="keras_sparse")
class Sum(Operator):
    """Elementwise sum (ResNet, SparseNet[+])."""

    advice = "Give the layers equal output shapes, or join by 'concat'."

    def accumulate(self, tensors, axis):
        total = tensors[0]
        for tensor in tensors[1:]:
            total = ops.add(total, tensor)
        return total

    def differing_axes(self, rank, axis):
        return set()


@keras.saving.register_keras_serializable(package="keras_sparse")
class Mean(Sum):
    """Elementwise mean (the join of FractalNet)."""

    def finish(self, total, count):
        return ops.divide(total, count)
