"""A sparsity for each layer that is named, one for all others."""

import fnmatch

from keras_sparse import checks
from keras_sparse.allocation.shares import checked_share


def by_name(allocation, names, otherwise, owner, maximum=1.0, not_asked=()):
    """The sparsity of each layer, from a dictionary.

    Args:
        allocation: Dictionary from names of layers or patterns (`conv2_*`) to sparsities; the first that matches
            counts.
        names: List of strings, the layers.
        otherwise: Number in [0, 1), of layers that nothing matches.
        owner: String or object that an error names.
        maximum: Number, what no layer may exceed, or reach where it is 1.
        not_asked: List of names of layers that are sparse already and stay as they are.

    Returns:
        List of sparsities, one for each layer.

    Raises:
        ValueError: If a sparsity is out of range, or a pattern matches no layer.

    Example:
        >>> by_name({"out": 0.5, "conv*": 0.8}, ["conv1", "conv2", "hidden", "out"], 0.9, "example")
        [0.8, 0.8, 0.9, 0.5]
    """
    unused = [p for p in allocation if not any(fnmatch.fnmatchcase(name, p) for name in names)]
    if unused:
        before = [name for name in not_asked if any(fnmatch.fnmatchcase(name, p) for p in unused)]
        hint = f"These match no layer that can be sparse: {', '.join(names)}."
        if before:
            hint += f" Sparse already: {', '.join(before)}; `strip` the model first to draw them anew."
        raise checks.error(
            "allocation", owner, "a dictionary from names or patterns of layers to sparsities",
            {p: allocation[p] for p in unused}, hint,
        )  # fmt: skip
    matches = [next((p for p in allocation if fnmatch.fnmatchcase(name, p)), None) for name in names]
    return [
        otherwise if p is None else checked_share(allocation[p], {p: allocation[p]}, name, owner, maximum)
        for p, name in zip(matches, names, strict=True)
    ]
