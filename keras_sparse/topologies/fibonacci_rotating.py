"""Connections at Fibonacci distances, rotated."""

import keras

from keras_sparse.topologies.rotation import Rotation


@keras.saving.register_keras_serializable(package="keras_sparse")
class FibonacciRotating(Rotation):
    """Connects input 0 to outputs 0, 1, 2, 3, 5, 8, 13, ...: near ones densely, far ones ever more rarely; rotated.

    These are the first `out_degree` Fibonacci numbers 1, 1, 2, 3, ..., the first 1 being moved to 0. Where the last
    of them does not fit below `fan_out`, all are scaled by `fan_out / last` and rounded down; a place that is taken
    already passes its connection to the next free one (after the last output comes output 0), so that exactly
    `out_degree` remain.

    Args:
        sparsity: Number in [0, 1), fraction of zeros; or None.
        out_degree: Integer in [1, fan_out], connections out of each input; or None.
        block_size: Integer >= 1, size of the dense blocks.
        seed: Integer or None; kept, but nothing is drawn.

    Reference:
        Bourely et al., Sparse neural network topologies, 2017, section 3.2.3, https://arxiv.org/abs/1706.05683

    Example:
        >>> FibonacciRotating(out_degree=5)(1, 10).astype(int)
        array([[1, 1, 1, 1, 0, 1, 0, 0, 0, 0]])
    """

    def row(self, degree, fan_out, rng):
        # The numbers from the largest down, until scaling makes the rest of them 0. Exact: they outgrow any float.
        last, before = 1, 0
        for _ in range(degree - 1):
            last, before = last + before, last
        scale = (fan_out, last) if last >= fan_out else (1, 1)
        wanted, number = [], last
        while len(wanted) < degree - 1 and number * scale[0] >= scale[1]:
            wanted.append(number * scale[0] // scale[1])
            number, before = before, number - before
        wanted += [0] * (degree - len(wanted))
        row, overflow, free = [], 0, 0
        for place in reversed(wanted):
            # Places come in increasing order, so the next free one follows the one before.
            place = max(place, row[-1] + 1 if row else 0)
            if place < fan_out:
                row.append(place)
            else:
                overflow += 1
        taken = set(row)
        while overflow:
            if free not in taken:
                row.append(free)
                overflow -= 1
            free += 1
        return row
