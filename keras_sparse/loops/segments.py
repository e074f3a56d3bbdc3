"""Which units of a block can be iterations of one loop."""

import dataclasses
import itertools
import math

from keras_sparse.aggregation import Concat

SHORTEST = 3  # iterations; a loop costs as much to build as two or three units


@dataclasses.dataclass(frozen=True)
class Segment:
    """Consecutive units that read as far back, each as wide a tensor.

    Attributes:
        first: Integer, number of the first unit.
        count: Integer, number of units.
        offsets: Tuple of integers, how far back they read, the farthest first; where that is before output 0, they
            read nothing there.
    """

    first: int
    count: int
    offsets: tuple


def is_running(pattern, operator, last):
    """Whether units read a running sum: each what the one before read, and one output more."""
    everything = all(pattern.sources(i) == list(range(i)) for i in range(1, last + 2))
    return everything and not isinstance(operator, Concat)


def offsets(pattern, unit, running):
    """How far back a unit reads, the farthest first; a running sum is one output back."""
    return (1,) if running else tuple(sorted(pattern.offsets(unit), reverse=True))


def segments(pattern, operator, first, last, apart):
    """The units of a block in segments, in order.

    Args:
        pattern: `Pattern`.
        operator: `Operator`. Sums have one width, however many outputs are in them: units with fewer can be in a loop
            with others.
        first, last: Integers, numbers of the units to be computed; lower numbers are outputs that are there.
        apart: Boolean, whether output 0 is not as wide as the others: a unit that reads it stands alone.

    Returns:
        List of `Segment`.
    """
    running = is_running(pattern, operator, last)
    farthest = offsets(pattern, last, running)
    found = []
    if not isinstance(operator, Concat) and all(
        offsets(pattern, unit, running) == tuple(offset for offset in farthest if offset <= unit)
        for unit in range(first, last)
    ):
        found.append(Segment(first, last - first + 1, farthest))
    for unit in range(first, last + 1) if not found else ():
        reads = offsets(pattern, unit, running)
        like_before = found and reads == found[-1].offsets
        # If output 0 is apart, the unit that reads it is, too: here it could only be the one before.
        if like_before and not (apart and reads[0] == found[-1].first):
            found[-1] = dataclasses.replace(found[-1], count=found[-1].count + 1)
        else:
            found.append(Segment(unit, 1, reads))
    return [part for segment in found for part in _worth_a_loop(segment)]


def shortened(segments, longest):
    """The same units in segments of at most `longest`, each cut into equal parts."""
    found = []
    for segment in segments:
        parts = math.ceil(segment.count / longest)
        bounds = [segment.count * k // parts for k in range(parts + 1)]
        found += [Segment(segment.first + a, b - a, segment.offsets) for a, b in itertools.pairwise(bounds)]
    return found


def _worth_a_loop(segment):
    if segment.count >= SHORTEST:
        return [segment]
    return [Segment(segment.first + i, 1, segment.offsets) for i in range(segment.count)]
