"""The highest scores, exactly as many as wanted."""

import numpy as np

from keras_sparse import checks


def keep_highest(scores, count):
    """Where the `count` highest scores are; of equal ones the earlier, in C order, is kept.

    Never a threshold, which would keep or cut all ties. Time grows linearly with the number of scores.

    Args:
        scores: Array of numbers; infinite ones may be among them, NaN not.
        count: Integer from 0 to the number of scores.

    Returns:
        Boolean array of the shape of `scores` with exactly `count` True.

    Raises:
        ValueError: If a score is NaN or `count` out of range.

    Example:
        >>> keep_highest(np.array([1, 3, 1, 2, 1]), 3)
        array([ True,  True, False,  True, False])
    """
    scores = checked_scores(scores, "keep_highest")
    flat = scores.ravel()
    count = checks.integer("count", count, "keep_highest", 0, flat.size, "There are not more scores than that.")
    if count in (0, flat.size):
        return np.full(scores.shape, count > 0)
    threshold = np.partition(flat, flat.size - count)[flat.size - count]
    kept = flat > threshold
    ties = np.flatnonzero(flat == threshold)
    kept[ties[: count - np.count_nonzero(kept)]] = True
    return kept.reshape(scores.shape)


def keep_highest_of(list_of_scores, count):
    """`keep_highest` in one ranking over several arrays; of equal scores those of earlier arrays are kept.

    Args:
        list_of_scores: List of arrays of any shapes.
        count: Integer from 0 to the number of scores in all of them.

    Returns:
        List of boolean arrays of the same shapes, with `count` True in all of them together.

    Raises:
        ValueError: If there is no array, a score is NaN or `count` out of range.

    Example:
        >>> [kept.tolist() for kept in keep_highest_of([np.array([5, 1]), np.array([[4], [9]])], 2)]
        [[True, False], [[False], [True]]]
    """
    arrays = [np.asarray(scores) for scores in list_of_scores]
    if not arrays:
        hint = "Pass the scores of one layer or more."
        raise checks.error("list_of_scores", "keep_highest_of", "a list of arrays", list_of_scores, hint)
    kept = keep_highest(np.concatenate([scores.ravel() for scores in arrays]), count)
    parts = np.split(kept, np.cumsum([scores.size for scores in arrays])[:-1])
    return [part.reshape(scores.shape) for part, scores in zip(parts, arrays, strict=True)]


def checked_scores(scores, owner, axes=0):
    """`scores` as an array in single or double precision, without NaN.

    Raises:
        ValueError: If a score is NaN, there is none, or the array has fewer than `axes` axes.
    """
    scores = np.asarray(scores)
    if scores.ndim < axes or scores.size == 0:
        allowed = f"a non-empty array with {axes} axes or more" if axes else "a non-empty array"
        hint = "Pass the scores of a kernel (..., inputs, outputs); biases are not pruned."
        raise checks.error("scores", owner, allowed, f"array of shape {scores.shape}", hint)
    if scores.dtype not in (np.float32, np.float64):
        # Not every routine of NumPy takes half precision, and not every integer has a negative.
        scores = scores.astype(np.float64 if scores.dtype.kind in "iub" else np.float32)
    if np.isnan(scores.min()):
        received = f"{np.count_nonzero(np.isnan(scores))} NaN of {scores.size}"
        hint = "Look for a loss that is not finite; a lower learning rate may help."
        raise checks.error("scores", owner, "numbers that can be compared", received, hint)
    return scores
