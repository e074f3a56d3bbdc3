"""Which examples of each batch one of several processes reads."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Part:
    """One of several consecutive parts of each batch: all processes together see the whole batches.

    Parts are as equal as they can be. Of a batch that is smaller than `minimum`, or that `divisor` does not divide,
    each is the whole of it.

    Attributes:
        index: Integer in [0, count), which of them.
        count: Integer >= 1, how many.
        divisor: Integer >= 1.
        minimum: Integer >= 0.

    Example:
        >>> batches = [load("digits").train.batches(32, Part(index, count=2)) for index in range(2)]
    """

    index: int = 0
    count: int = 1
    divisor: int = 1
    minimum: int = 0


WHOLE = Part()
