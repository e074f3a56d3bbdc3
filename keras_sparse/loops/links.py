"""What the units of a block read from a store of outputs, and where the gradient of that goes."""

from keras import ops

from keras_sparse.aggregation import Concat
from keras_sparse.loops import backend


class Links:
    """The links of a `BlockLoop`, for the tensors of one call.

    A store of outputs is a ring if its size is less than all; in its last place, behind them, nothing is written.

    Args:
        block: `BlockLoop`.
        first: Tensor, output 0.
        kind: Kind of the outputs that are in stores.
    """

    def __init__(self, block, first, kind):
        self.block, self.first, self.kind = block, first, kind
        self.lists = backend()

    def place(self, number, size):
        """Where output `number` is in a store of `size`."""
        return number if size > self.block.last else number % size

    def read(self, outputs, size, segment, i):
        """What unit number `segment.first + i` reads, as a list."""
        places = zip(segment.offsets, self._places(segment, i, size), strict=True)
        return [
            self.first if self._is_apart(segment, offset) else self.lists.read(outputs, place, self.kind)
            for offset, place in places
            if place is not None
        ]

    def join(self, parts, segment, i):
        """What that unit makes of them."""
        operator = self.block.operator
        total = operator.accumulate(parts, self.block.axis)
        return ops.cast(operator.finish(total, self._count(segment, i)), self.first.dtype)

    def scatter(self, store, of_first, segment, i, gradient, also=None):
        """Adds a gradient of what a unit reads, and `also` another, to those of the outputs that it reads."""
        block, lists = self.block, self.lists
        apart = [self._is_apart(segment, offset) for offset in segment.offsets]
        if isinstance(block.operator, Concat):
            widths = [of_first.shape[block.axis] if one else block.units.filters[-1] for one in apart]
            bounds = [sum(widths[:j]) for j in range(1, len(widths))]
            parts = ops.split(gradient, bounds, axis=block.axis) if bounds else [gradient]
        else:
            # The gradient of a join that is linear: of a sum it is the same, of a mean a part.
            gradient = ops.cast(block.operator.finish(gradient, self._count(segment, i)), self.first.dtype)
            parts = [gradient if also is None else gradient + also] * len(apart)
        places = self._places(segment, i, block.reach + 1)
        for place, part, is_apart in zip(places, parts, apart, strict=True):
            if is_apart:
                of_first = of_first + part
            elif place is not None:
                store = lists.write(store, place, lists.read(store, place, self.kind) + part)
        return store, of_first

    def _places(self, segment, i, size):
        """Where the outputs are that a unit reads; None where it reads nothing, as far as that is known."""
        places = []
        for offset in segment.offsets:
            number = segment.first + i - offset
            if isinstance(number, int):
                places.append(self.place(number, size) if number >= 0 else None)
            elif offset <= segment.first:
                places.append(self.place(number, size))
            else:  # Behind all outputs is a place for nothing.
                places.append(ops.where(number < 0, size, self.place(number, size)))
        return places

    def _is_apart(self, segment, offset):
        return self.block.apart and segment.first == offset

    def _count(self, segment, i):
        """How many outputs are in what a unit reads."""
        unit = segment.first + i
        if self.block.running:
            return unit
        if isinstance(unit, int) or segment.offsets[0] <= segment.first:
            return sum(offset <= (unit if isinstance(unit, int) else segment.first) for offset in segment.offsets)
        return sum(ops.cast(unit >= offset, "int32") for offset in segment.offsets)
