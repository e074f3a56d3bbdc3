"""Which examples of each batch one of several processes reads."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Part:
    """One of several consecutive, nearly equal parts of each batch: all processes together see the whole batches.

    Attributes:
        index: Integer in [0, count), which of them.
        count: Integer >= 1, how many.

    Example:
        >>> [Part(i, 3).bounds(32) for i in range(3)]
        [(0, 10), (10, 21), (21, 32)]
    """

    index: int = 0
    count: int = 1

    def bounds(self, size):
        """Where the part begins and ends in a batch of a size, which may be a tensor."""
        return size * self.index // self.count, size * (self.index + 1) // self.count


WHOLE = Part()
