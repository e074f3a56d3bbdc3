"""A block of aggregated units, run segment by segment, with its gradient written out."""

import keras
from keras import ops

from keras_sparse.aggregation import Concat
from keras_sparse.loops import backend
from keras_sparse.loops.packed_units import Collected
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
        self.dtype = keras.backend.standardize_dtype(given[0].dtype)
        self.start = len(given)
        self.last = self.start + len(units.widths) - 1
        self.running = is_running(pattern, operator, self.last)
        # Output 0 is not in the store where it is wider or narrower than the others.
        self.apart = given[0].shape[self.axis] != units.filters[-1]
        self.segments = segments(pattern, self.start, self.last, self.running, self.apart)
        self.exit = offsets(pattern, self.last + 1, self.running)
        self.reach = max(self.exit[0], *(segment.offsets[0] for segment in self.segments))

    def __call__(self, given, variables):
        """Runs the block.

        Args:
            given: The outputs that are there.
            variables: Tensors of each convolution, in the order of `PackedUnits.NAMES`, all in one list.

        Returns:
            What leaves the block, and a list with mean and variance for each convolution, those of all units packed.
        """
        kinds = len(self.units.NAMES)

        def split(tensors):
            given, flat = tensors[: self.start], tensors[self.start :]
            return list(given), [flat[i : i + kinds] for i in range(0, len(flat), kinds)]

        def forward(*tensors):
            joined, statistics, kept = self.forward(*split(tensors), keep=self.training)
            return [joined, *statistics], kept

        def backward(tensors, kept, gradients):
            # Predictions keep nothing. Their gradients are rare: then they are made once more.
            kept = kept if self.training else self.forward(*split(tensors), keep=True)[2]
            return self.backward(*split(tensors), kept, gradients[0])

        joined, *statistics = backend().differentiable(forward, backward)(*given, *variables)
        return joined, statistics

    def forward(self, given, variables, keep):
        """Runs all units.

        Args:
            given, variables: As in a call; variables in a list for each convolution.
            keep: Boolean, whether `backward` will follow.

        Returns:
            What leaves the block, means and variances, and what `backward` needs.
        """
        lists, shapes = backend(), self._shapes(given)
        size = self.last + 1 if keep else self.reach + 1
        outputs = lists.reserve(size, shapes[-1], self.dtype)
        for number, output in self._stored(given):
            outputs = lists.write(outputs, number % size, output)
        statistics, kept = [], []
        for segment in self.segments:
            widths = self.units.widths[segment.first - self.start]
            moments = [Collected(segment.count, (w,), variables[0][0].dtype) for w in widths for _ in range(2)]
            inner = [Collected(segment.count, shape, self.dtype) for shape in shapes[:-1]]
            inner, moments = inner if keep and not self.remat else [], moments if self.training else []

            def step(i, outputs, *stores, segment=segment, inner=inner, moments=moments):
                weights = self.units.slice(variables, segment.first - self.start, i)
                parts = self._read(outputs, size, segment, i, given[0], shapes)
                y, read, found = self.unit.forward(self._join(parts, segment.first + i), weights, self.training)
                values = [*read[1:][: len(inner)], *[m for pair in found for m in pair][: len(moments)]]
                stores = [lists.write(store, i, value) for store, value in zip(stores, values, strict=True)]
                y = parts[0] + y if self.running else y
                return lists.write(outputs, (segment.first + i) % size, y), *stores

            stores = [collected.reserve() for collected in (*inner, *moments)]
            outputs, *stores = self._repeat(segment, step, (outputs, *stores))
            kept.append(stores[: len(inner)])
            statistics.append([m.packed(s) for m, s in zip(moments, stores[len(inner) :], strict=True)])
        leaves = self._join(self._read(outputs, size, self._leaving(), 0, given[0], shapes), self.last + 1)
        if self.training:
            statistics = [ops.concatenate(parts) for parts in zip(*statistics, strict=True)]
        else:
            statistics = [moving for _, _, *moments, _ in variables for moving in moments]
        return leaves, statistics, [outputs, kept, statistics]

    def backward(self, given, variables, kept, gradient):
        """Carries a gradient from the exit back to the given outputs and the variables; a list, in their order."""
        lists, shapes = backend(), self._shapes(given)
        outputs, inner, statistics = kept
        moments = [statistics[i : i + 2] for i in range(0, len(statistics), 2)]
        size, ring = self.last + 1, self.reach + 1
        store = lists.reserve(ring, shapes[-1], self.dtype)
        of_first = ops.zeros_like(given[0])
        leaving = self._leaving()
        store, of_first = self._scatter(store, of_first, ring, leaving, 0, gradient, shapes)
        found = []
        for segment, stores in reversed(list(zip(self.segments, inner, strict=True))):
            first = segment.first - self.start
            kinds = [
                Collected(segment.count, shape, variable.dtype)
                for shape, variable in zip(self.units.trained_shapes(first), self.units.trained(variables), strict=True)
            ]

            def step(i, store, of_first, *gradients, segment=segment, stores=stores, first=first):
                i = segment.count - 1 - i
                unit = segment.first + i
                gradient = lists.read(store, unit % ring, shapes[-1], self.dtype)
                # Its place is for an output farther back from now on.
                store = lists.write(store, unit % ring, ops.zeros_like(gradient))
                weights, found = self.units.slice(variables, first, i), self.units.slice(moments, first, i)
                x = self._join(self._read(outputs, size, segment, i, given[0], shapes), unit)
                if self.remat or not stores:
                    read = self.unit.forward(x, weights, self.training)[1]
                else:
                    read = [x, *(lists.read(s, i, shape, self.dtype) for s, shape in zip(stores, shapes, strict=False))]
                of_x, of_weights = self.unit.backward(read, found, weights, self.training, gradient)
                also = gradient if self.running else None
                store, of_first = self._scatter(store, of_first, ring, segment, i, of_x, shapes, also)
                of_weights = [tensor for one in of_weights for tensor in one]
                return store, of_first, *(lists.write(g, i, w) for g, w in zip(gradients, of_weights, strict=True))

            carry = (store, of_first, *(kind.reserve() for kind in kinds))
            store, of_first, *gradients = self._repeat(segment, step, carry)
            found.insert(0, [kind.packed(g) for kind, g in zip(kinds, gradients, strict=True)])
        of_variables = [self.units.join(parts) for parts in zip(*found, strict=True)]
        of_given = [lists.read(store, number % ring, shapes[-1], self.dtype) for number, _ in self._stored(given)]
        if self.apart:
            of_given = [of_first]
        elif self.running:
            of_given *= self.start  # a sum
        return [*of_given, *self.units.with_untrained(of_variables, variables)]

    def _repeat(self, segment, step, carry):
        return step(0, *carry) if segment.count == 1 else backend().loop(segment.count, step, carry)

    def _leaving(self):
        """The exit reads like a unit behind the last."""
        return Segment(self.last + 1, 1, self.exit)

    def _shapes(self, given):
        """Shapes of what the convolutions put out."""
        shape, shapes = list(ops.shape(given[-1])), []
        for filters in self.units.filters:
            shape[self.axis] = filters
            shapes.append(tuple(shape))
        return shapes

    def _stored(self, given):
        """Pairs of a number and what is stored under it to begin with."""
        if self.apart:
            return []
        if self.running:
            return [(self.start - 1, sum(given[1:], start=given[0]))]
        return list(enumerate(given))

    def _read(self, outputs, size, segment, i, first, shapes):
        """What unit number `segment.first + i` reads, as a list."""
        return [
            first if self._is_apart(segment, offset)
            else backend().read(outputs, (segment.first + i - offset) % size, shapes[-1], self.dtype)
            for offset in segment.offsets
        ]  # fmt: skip

    def _is_apart(self, segment, offset):
        return self.apart and segment.first == offset

    def _join(self, parts, unit):
        count = unit if self.running else len(parts)
        return ops.cast(self.operator.finish(self.operator.accumulate(parts, self.axis), count), self.dtype)

    def _scatter(self, store, of_first, ring, segment, i, gradient, shapes, also=None):
        """Adds a gradient of what a unit reads, and `also` another, to those of the outputs that it reads."""
        if not isinstance(self.operator, Concat):
            count = segment.first + i if self.running else len(segment.offsets)
            # The gradient of a join that is linear: of a sum, 1; of a mean, 1 / count.
            gradient = ops.cast(self.operator.finish(gradient, count), self.dtype)
        gradient = gradient if also is None else gradient + also
        begin = 0
        for offset in segment.offsets:
            apart, part = self._is_apart(segment, offset), gradient
            if isinstance(self.operator, Concat):
                width = of_first.shape[self.axis] if apart else self.units.filters[-1]
                part = gradient[(slice(None),) * self.axis + (slice(begin, begin + width),)]
                begin += width
            if apart:
                of_first = of_first + part
            else:
                place = (segment.first + i - offset) % ring
                before = backend().read(store, place, shapes[-1], self.dtype)
                store = backend().write(store, place, before + part)
        return store, of_first
