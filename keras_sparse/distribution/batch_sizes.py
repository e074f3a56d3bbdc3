"""Batches that replicas can share."""

LARGEST = 256


def evaluation_batch_size(examples, replicas):
    """How many examples to evaluate on at once.

    The first batch divides equally, as Keras's `fit` needs it; and the last is enough for all replicas, or its examples
    would be counted by each of them. Where there are too few examples for that, all batches are too small alike.

    Args:
        examples: Integer >= 1, how many there are.
        replicas: Integer >= 1.

    Example:
        >>> evaluation_batch_size(examples=360, replicas=2), evaluation_batch_size(examples=7, replicas=2)
        (256, 4)
    """
    return next(
        size
        for size in range(min(LARGEST, examples), 0, -1)
        if size < replicas or (size % replicas == 0 and not 0 < examples % size < replicas)
    )
