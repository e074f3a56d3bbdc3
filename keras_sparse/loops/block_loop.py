"""A block of aggregated units, run segment by segment, with its gradient written out."""

import math

import keras
from keras import ops

from keras_sparse.distribution.replicas import sum_over_replicas
from keras_sparse.loops import backend
from keras_sparse.loops.links import Links
from keras_sparse.loops.packed_units import picker
from keras_sparse.loops.segments import Segment, is_running, offsets, segments, shortened

PARTS = 4  # of a block that is computed once more part by part; with more there is more to trace, and little to save


class BlockLoop:
    """Computes what `SparseAggregationBlock` computes, for equal units with packed weights.

    Outputs are written into a store as they come, and read from there by number. Left to itself, automatic
    differentiation would keep the whole store once for each iteration; so the gradient is a loop of its own, backwards,
    which adds up the gradients of the outputs in another store. That one reaches only as far back as units read.

    With `remat` only outputs are kept; and where units do not read far back, only those which the first units of a few
    parts read: a part is computed once more when the gradient comes to it.

    Args:
        units: `PackedUnits`.
        unit: `Unit`.
        pattern: `Pattern`, which outputs a unit reads.
        operator: `Operator`, how they are joined.
        given: List of tensors, the outputs that are there: the block's input; or, where units change the shape, the
            shortcut's output and the first unit's.
        training: Boolean, whether to normalise by the batch.
        remat: Boolean, whether to compute once more for the gradient what can be.
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
        # The exit reads like a unit behind the last.
        self.exit = Segment(self.last + 1, 1, offsets(pattern, self.last + 1, self.running))
        self.reach = max(segment.offsets[0] for segment in (*self.segments, self.exit))
        longest = math.ceil(len(units.widths) / PARTS)
        channels = PARTS * self.reach * units.filters[-1] + longest * sum(units.filters)
        self.in_parts = remat and channels < len(units.widths) * units.filters[-1]
        if self.in_parts:
            self.segments = shortened(self.segments, longest)
        self.counts = [segment.count for segment in self.segments]

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
        dtype = keras.backend.standardize_dtype(given[0].dtype)
        shape, self.kinds = list(ops.shape(given[-1])), []  # of what each convolution puts out
        for filters in block.units.filters:
            shape[block.axis] = filters
            self.kinds.append(self.lists.Kind(tuple(shape), dtype))
        shape[block.axis] = 1
        self.positions = ops.cast(math.prod(shape), variables[0][0].dtype)
        self.links = Links(block, given[0], self.kinds[-1])
        # For each segment how to come by the weights of its units.
        self.weights = block.units.pickers(variables, block.counts)

    def forward(self, keep):
        """Runs all units; `keep` tells whether `backward` follows.

        Returns:
            What leaves the block, means and variances, and what `backward` needs.
        """
        block = self.block
        keeps_outputs = keep and not block.in_parts
        size = block.last + 1 if keeps_outputs else block.reach + 1
        outputs = self.lists.reserve(size + 1, self.kinds[-1])  # the last stays zero
        for number, output in self._stored():
            outputs = self.lists.write(outputs, number % size, output)
        inner_kinds = self.kinds[:-1] if keep and not block.remat else []
        windows, inner, moments = [], [], []
        for segment, weights in zip(block.segments, self.weights, strict=True):
            windows.append(self.lists.snapshot(outputs) if keep and block.in_parts else [])
            outputs, kept, found = self._compute(segment, weights, outputs, size, block.training, inner_kinds)
            inner.append(kept)
            moments.append(found)
        leaves = self.links.join(self.links.read(outputs, size, block.exit, 0), block.exit, 0)
        if block.training:
            statistics = [block.units.join(parts, block.counts) for parts in zip(*moments, strict=True)]
        else:
            statistics = [moving for one in self.variables for moving in one[2:4]]
        return leaves, statistics, [outputs if keeps_outputs else [], windows, inner, moments]

    def backward(self, kept, gradient):
        """Carries a gradient from the exit back to the given outputs and the variables; a list, in their order."""
        block, lists = self.block, self.lists
        outputs, *kept = kept
        (positions,) = sum_over_replicas(self.positions)
        parts = list(zip(block.segments, self.weights, *kept, strict=True))
        size, ring = block.last + 1, block.reach + 1
        store, of_first = lists.reserve(ring + 1, self.kinds[-1]), ops.zeros_like(self.given[0])
        carry = self.links.scatter(store, of_first, block.exit, 0, gradient)
        found = []
        for segment, weights, window, inner, moments in reversed(parts):
            if moments:  # by which it was normalised
                means = [picker(tensor, segment.count) for tensor in moments]
                weights = [[*one[:2], *means[2 * j : 2 * j + 2], one[4]] for j, one in enumerate(weights)]
            if block.in_parts:
                size = block.reach + segment.count
                outputs = self._moved(lists.later(window, carry[0]), ring, segment.first, size)
                outputs, inner, _ = self._compute(segment, weights, outputs, size, False, self.kinds[:-1])
            carry, outputs, gradients = self._carry_back(segment, weights, outputs, size, inner, carry, 1 / positions)
            found.insert(0, gradients)
        store, of_first = carry
        of_variables = [block.units.join(parts, block.counts) for parts in zip(*found, strict=True)]
        of_given = [lists.read(store, number % ring, self.kinds[-1]) for number, _ in self._stored()]
        if block.apart:
            of_given = [of_first]
        elif block.running:
            of_given *= block.start  # a sum
        return [*of_given, *block.units.with_untrained(of_variables, self.variables)]

    def _compute(self, segment, weights, outputs, size, training, inner_kinds):
        """Runs the units of a segment; gives outputs, what inner convolutions read (of some kinds), and moments."""
        block, links = self.block, self.links
        kinds = self._kinds(segment, (2, 3)) if training else []

        def step(i, weights, outputs):
            parts = links.read(outputs, size, segment, i)
            x = links.join(parts, segment, i)
            y, read, statistics = block.unit.forward(x, weights, training)
            y = parts[0] + y if block.running else y
            outputs = self.lists.write(outputs, links.place(segment.first + i, size), y)
            return [outputs], read[1:][: len(inner_kinds)], [m for pair in statistics for m in pair][: len(kinds)]

        (outputs,), kept, found = self._repeat(segment, step, weights, [outputs], inner_kinds, kinds)
        return outputs, kept, found

    def _carry_back(self, segment, weights, outputs, size, inner, carry, share):
        """Carries gradients back through the units of a segment; gives what is carried, outputs, those of weights."""
        block, lists, links = self.block, self.lists, self.links
        ring = block.reach + 1
        zeros = lists.read(lists.reserve(1, self.kinds[-1]), 0, self.kinds[-1])

        def step(i, weights, store, of_first, outputs, *inner):
            number = segment.first + i
            gradient = lists.read(store, number % ring, self.kinds[-1])
            # Its place is for an output farther back from now on, and the output itself has had its readers.
            store = lists.write(store, number % ring, zeros)
            outputs = lists.drop(outputs, links.place(number, size), self.kinds[-1])
            x = links.join(links.read(outputs, size, segment, i), segment, i)
            if len(inner) < len(self.kinds) - 1:
                read = block.unit.forward(x, weights, False)[1]
            elif segment.count == 1:
                read = [x, *inner]
            else:
                read = [x, *(lists.read(s, i, kind) for s, kind in zip(inner, self.kinds[:-1], strict=True))]
                inner = [lists.drop(s, i, kind) for s, kind in zip(inner, self.kinds[:-1], strict=True)]
            of_x, of_weights = block.unit.backward(read, weights, block.training, gradient, share)
            carried = links.scatter(store, of_first, segment, i, of_x, gradient if block.running else None)
            return [*carried, outputs, *inner], [], [tensor for one in of_weights for tensor in one]

        state, _, gradients = self._repeat(
            segment, step, weights, [*carry, outputs, *inner], [], self._kinds(segment, (0, 1, 4)), reverse=True
        )
        return state[:2], state[2], gradients

    def _moved(self, window, ring, first, size):
        """A store of `size` with the outputs before `first` that are in a ring."""
        store = self.lists.reserve(size + 1, self.kinds[-1])

        def move(i, store):
            number = first - 1 - i
            return [self.lists.write(store, number % size, self.lists.read(window, number % ring, self.kinds[-1]))]

        (store,) = self.lists.loop(min(first, self.block.reach), move, [store])
        return store

    def _repeat(self, segment, step, weights, carry, kept, stacked, reverse=False):
        """Runs the units of a segment.

        Args:
            segment: `Segment`.
            step: Function of the number of the unit in the segment, of its weights and of what is carried; it gives
                what is carried on, tensors to be kept, and tensors to be stacked.
            weights: Lists of functions that give weights for that number.
            carry: List of what is carried into the first unit.
            kept, stacked: Lists of the kinds of what `step` gives.
            reverse: Boolean, whether to begin with the last unit.

        Returns:
            What is carried out of the last unit; stores of what is kept; what is stacked, along a new first axis. Of a
            single unit the tensors themselves.
        """
        lists = self.lists

        def of_unit(i):
            return [[pick(i) for pick in one] for one in weights]

        if segment.count == 1:
            return step(0, of_unit(0), *carry)

        def parts(state):
            first, second = len(carry), len(carry) + len(kept)
            return list(state[:first]), list(state[first:second]), list(state[second:])

        def body(i, *state):
            i = segment.count - 1 - i if reverse else i
            state, stores, rooms = parts(state)
            carried, to_keep, to_stack = step(i, of_unit(i), *state)
            stores = [lists.write(store, i, value) for store, value in zip(stores, to_keep, strict=True)]
            rooms = [lists.put(room, i, value) for room, value in zip(rooms, to_stack, strict=True)]
            return (*carried, *stores, *rooms)

        stores = [lists.reserve(segment.count, kind) for kind in kept]
        rooms = [lists.room(segment.count, kind) for kind in stacked]
        state, stores, rooms = parts(lists.loop(segment.count, body, [*carry, *stores, *rooms]))
        return (
            state,
            stores,
            [lists.stack(room, segment.count, kind) for room, kind in zip(rooms, stacked, strict=True)],
        )

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
