"""A block of aggregated units, run segment by segment, with its gradient written out."""

import math

import keras
from keras import ops

from keras_sparse.aggregation import Concat
from keras_sparse.distribution.replicas import sum_over_replicas
from keras_sparse.loops import backend
from keras_sparse.loops.packed_units import picker
from keras_sparse.loops.segments import Segment, is_running, offsets, segments


class BlockLoop:
    """Computes what `SparseAggregationBlock` computes, for equal units with packed weights.

    Outputs are written into a store as they come, and read from there by number. Left to itself, automatic
    differentiation would keep the whole store once for each iteration; so the gradient is a loop of its own, backwards,
    which adds up the gradients of the outputs in another store. That one reaches only as far back as units read.

    Args:
        units: `PackedUnits`.
        unit: `Unit`.
        pattern: `Pattern`, which outputs a unit reads.
        operator: `Operator`, how they are joined.
        given: List of tensors, the outputs that are there: the block's input; or, where units change the shape, the
            shortcut's output and the first unit's.
        training: Boolean, whether to normalise by the batch.
        remat: Boolean, whether to keep outputs only, and to compute once more what is inside of units.
    """

    def __init__(self, units, unit, pattern, operator, given, training, remat):
        self.units, self.unit, self.operator = units, unit, operator
        self.axis = unit.axis
        self.training, self.remat = training, remat
        self.start = len(given)
        self.last = self.start + len(units.widths) - 1
        self.running = is_running(pattern, operator, self.last)
        # Output 0 is not in the store where it is wider or narrower than the others.
        self.apart = given[0].shape[self.axis] != units.filters[-1]
        self.segments = segments(pattern, operator, self.start, self.last, self.apart)
        self.counts = [segment.count for segment in self.segments]
        # The exit reads like a unit behind the last.
        self.exit = Segment(self.last + 1, 1, offsets(pattern, self.last + 1, self.running))
        self.reach = max(segment.offsets[0] for segment in (*self.segments, self.exit))

    def __call__(self, given, variables):
        """Runs the block.

        Args:
            given: The outputs that are there.
            variables: Tensors of each convolution, in the order of `PackedUnits.NAMES`, all in one list.

        Returns:
            What leaves the block, and a list with mean and variance for each convolution, those of all units packed.
        """
        names = len(self.units.NAMES)

        def split(tensors):
            given, flat = tensors[: self.start], tensors[self.start :]
            return list(given), [flat[i : i + names] for i in range(0, len(flat), names)]

        def forward(*tensors):
            joined, statistics, kept = _Run(self, *split(tensors)).forward(keep=self.training)
            return [joined, *statistics], kept

        def backward(tensors, kept, gradients):
            run = _Run(self, *split(tensors))
            # Predictions keep nothing. Their gradients are rare: then they are made once more.
            kept = kept if self.training else run.forward(keep=True)[2]
            return run.backward(kept, gradients[0])

        joined, *statistics = backend().differentiable(forward, backward)(*given, *variables)
        return joined, statistics


class _Run:
    """A `BlockLoop` with the tensors of one call."""

    def __init__(self, block, given, variables):
        self.block, self.given, self.variables = block, given, variables
        self.lists = backend()
        self.dtype = keras.backend.standardize_dtype(given[0].dtype)
        shape, self.kinds = list(ops.shape(given[-1])), []  # of what each convolution puts out
        for filters in block.units.filters:
            shape[block.axis] = filters
            self.kinds.append(self.lists.Kind(tuple(shape), self.dtype))
        shape[block.axis] = 1
        self.positions = ops.cast(math.prod(shape), variables[0][0].dtype)

    def forward(self, keep):
        """Runs all units; `keep` tells whether `backward` follows.

        Returns:
            What leaves the block, means and variances, and what `backward` needs.
        """
        block = self.block
        size = block.last + 1 if keep else block.reach + 1
        outputs = self.lists.reserve(size + 1, self.kinds[-1])  # the last stays zero
        for number, output in self._stored():
            outputs = self.lists.write(outputs, number % size, output)
        inner_kinds = self.kinds[:-1] if keep and not block.remat else []
        inner, moments = [], []
        for segment, all_weights in zip(block.segments, self._weights(), strict=True):
            kinds = self._kinds(segment, (2, 3)) if block.training else []

            def step(i, weights, outputs, segment=segment, kinds=kinds):
                parts = self._read(outputs, size, segment, i)
                x = self._join(parts, segment, i)
                y, read, statistics = block.unit.forward(x, weights, block.training)
                y = parts[0] + y if block.running else y
                outputs = self.lists.write(outputs, self._place(segment.first + i, size), y)
                return [outputs], read[1:][: len(inner_kinds)], [m for pair in statistics for m in pair][: len(kinds)]

            (outputs,), kept, found = self._repeat(segment, step, all_weights, [outputs], inner_kinds, kinds)
            inner.append(kept)
            moments.append(found)
        leaves = self._join(self._read(outputs, size, block.exit, 0), block.exit, 0)
        if block.training:
            statistics = [block.units.join(parts, block.counts) for parts in zip(*moments, strict=True)]
        else:
            statistics = [moving for one in self.variables for moving in one[2:4]]
        return leaves, statistics, [outputs, inner, moments]

    def backward(self, kept, gradient):
        """Carries a gradient from the exit back to the given outputs and the variables; a list, in their order."""
        block, lists = self.block, self.lists
        outputs, inner, moments = kept
        (positions,) = sum_over_replicas(self.positions)
        size, ring = block.last + 1, block.reach + 1
        store, of_first = lists.reserve(ring + 1, self.kinds[-1]), ops.zeros_like(self.given[0])
        zeros = lists.read(store, 0, self.kinds[-1])
        store, of_first = self._scatter(store, of_first, block.exit, 0, gradient)
        found = []
        parts = list(zip(block.segments, self._weights(), inner, moments, strict=True))
        for segment, all_weights, stores, means in reversed(parts):
            kinds, means = self._kinds(segment, (0, 1, 4)), [picker(tensor, segment.count) for tensor in means]

            def step(i, tensors, store, of_first, segment=segment, stores=stores):
                *weights, moments = tensors
                place = (segment.first + i) % ring
                gradient = lists.read(store, place, self.kinds[-1])
                # Its place is for an output farther back from now on.
                store = lists.write(store, place, zeros)
                x = self._join(self._read(outputs, size, segment, i), segment, i)
                if block.remat:
                    read = block.unit.forward(x, weights, block.training)[1]
                elif segment.count == 1:
                    read = [x, *stores]
                else:
                    read = [x, *(lists.read(s, i, kind) for s, kind in zip(stores, self.kinds[:-1], strict=True))]
                statistics = [moments[j : j + 2] for j in range(0, len(moments), 2)] or [one[2:4] for one in weights]
                of_x, of_weights = block.unit.backward(
                    read, statistics, weights, block.training, gradient, 1 / positions
                )
                also = gradient if block.running else None
                carry = self._scatter(store, of_first, segment, i, of_x, also)
                return carry, [], [tensor for one in of_weights for tensor in one]

            (store, of_first), _, gradients = self._repeat(
                segment, step, [*all_weights, means], [store, of_first], [], kinds, reverse=True
            )
            found.insert(0, gradients)
        of_variables = [block.units.join(parts, block.counts) for parts in zip(*found, strict=True)]
        of_given = [lists.read(store, number % ring, self.kinds[-1]) for number, _ in self._stored()]
        if block.apart:
            of_given = [of_first]
        elif block.running:
            of_given *= block.start  # a sum
        return [*of_given, *block.units.with_untrained(of_variables, self.variables)]

    def _repeat(self, segment, step, tensors, carry, kept, stacked, reverse=False):
        """Runs the units of a segment.

        Args:
            segment: `Segment`.
            step: Function of the number of the unit in the segment, of its `tensors` and of what is carried; it gives
                what is carried on, tensors to be kept, and tensors to be stacked.
            tensors: Lists of functions that give tensors for that number.
            carry: List of what is carried into the first unit.
            kept, stacked: Lists of the kinds of what `step` gives.
            reverse: Boolean, whether to begin with the last unit.

        Returns:
            What is carried out of the last unit; stores of what is kept; what is stacked, along a new first axis. Of a
            single unit the tensors themselves.
        """
        lists = self.lists

        def of_unit(i):
            return [[pick(i) for pick in one] for one in tensors]

        if segment.count == 1:
            return step(0, of_unit(0), *carry)

        def body(i, *state):
            i = segment.count - 1 - i if reverse else i
            carried, kept, stacked = step(i, of_unit(i), *state[: len(carry)])
            stores = state[len(carry) :]
            return (*carried, *(lists.write(s, i, v) for s, v in zip(stores, [*kept, *stacked], strict=True)))

        stores = [lists.reserve(segment.count, kind) for kind in (*kept, *stacked)]
        state = list(lists.loop(segment.count, body, [*carry, *stores]))
        carry, stores = state[: len(carry)], state[len(carry) :]
        last = [lists.stack(s, segment.count, kind) for s, kind in zip(stores[len(kept) :], stacked, strict=True)]
        return carry, stores[: len(kept)], last

    def _weights(self):
        """For each segment how to come by the weights of its units."""
        return self.block.units.pickers(self.variables, self.block.counts)

    def _kinds(self, segment, names):
        """The kinds of what a unit has of some of its weights, by their places in `PackedUnits.NAMES`."""
        shapes = self.block.units.unit_shapes(segment.first - self.block.start)
        pairs = zip(shapes, self.variables, strict=True)
        return [self.lists.Kind(shape[name], one[name].dtype) for shape, one in pairs for name in names]

    def _stored(self):
        """Pairs of a number and what is stored under it to begin with."""
        if self.block.apart:
            return []
        if self.block.running:
            return [(self.block.start - 1, sum(self.given[1:], start=self.given[0]))]
        return list(enumerate(self.given))

    def _place(self, number, size):
        """Where output `number` is in a store of `size`, which is a ring if that is less than all."""
        return number if size > self.block.last else number % size

    def _places(self, segment, i, size):
        """Where the outputs are that a unit reads; None where it reads nothing, as far as that is known."""
        places = []
        for offset in segment.offsets:
            number = segment.first + i - offset
            if isinstance(number, int):
                places.append(self._place(number, size) if number >= 0 else None)
            elif offset <= segment.first:
                places.append(self._place(number, size))
            else:  # Behind all outputs is a place for nothing.
                places.append(ops.where(number < 0, size, self._place(number, size)))
        return places

    def _read(self, outputs, size, segment, i):
        """What unit number `segment.first + i` reads, as a list."""
        places = zip(segment.offsets, self._places(segment, i, size), strict=True)
        return [
            self.given[0] if self._is_apart(segment, offset) else self.lists.read(outputs, place, self.kinds[-1])
            for offset, place in places
            if place is not None
        ]

    def _is_apart(self, segment, offset):
        return self.block.apart and segment.first == offset

    def _join(self, parts, segment, i):
        operator = self.block.operator
        total = operator.accumulate(parts, self.block.axis)
        return ops.cast(operator.finish(total, self._count(segment, i)), self.dtype)

    def _count(self, segment, i):
        """How many outputs are in what a unit reads."""
        unit = segment.first + i
        if self.block.running:
            return unit
        if isinstance(unit, int) or segment.offsets[0] <= segment.first:
            return sum(offset <= (unit if isinstance(unit, int) else segment.first) for offset in segment.offsets)
        return sum(ops.cast(unit >= offset, "int32") for offset in segment.offsets)

    def _scatter(self, store, of_first, segment, i, gradient, also=None):
        """Adds a gradient of what a unit reads, and `also` another, to those of the outputs that it reads."""
        block, lists = self.block, self.lists
        apart = [self._is_apart(segment, offset) for offset in segment.offsets]
        if isinstance(block.operator, Concat):
            widths = [of_first.shape[block.axis] if one else block.units.filters[-1] for one in apart]
            bounds = [sum(widths[:j]) for j in range(1, len(widths))]
            parts = ops.split(gradient, bounds, axis=block.axis) if bounds else [gradient]
        else:
            # The gradient of a join that is linear: of a sum it is the same, of a mean a part.
            gradient = ops.cast(block.operator.finish(gradient, self._count(segment, i)), self.dtype)
            parts = [gradient if also is None else gradient + also] * len(apart)
        places = self._places(segment, i, block.reach + 1)
        for place, part, is_apart in zip(places, parts, apart, strict=True):
            if is_apart:
                of_first = of_first + part
            elif place is not None:
                store = lists.write(store, place, lists.read(store, place, self.kinds[-1]) + part)
        return [store, of_first]
