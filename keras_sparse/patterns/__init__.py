"""Which connections go together when a kernel is pruned: one by one, in blocks, n of m, whole channels.

>>> scores = np.array([[4.0, 1.0], [3.0, 2.0], [2.0, 3.0], [1.0, 4.0]])
>>> get("2:4").mask(scores, sparsity=0.5).astype(int)
array([[1, 0],
       [1, 0],
       [0, 1],
       [0, 1]])
>>> get("channel").mask(scores, sparsity=0.5)[0]      # equal: the earlier one stays
array([ True, False])
"""

from keras_sparse.checks import describe
from keras_sparse.patterns.block import Block
from keras_sparse.patterns.channel import Channel
from keras_sparse.patterns.nof_m import NofM
from keras_sparse.patterns.pattern import Pattern
from keras_sparse.patterns.ranking import keep_highest, keep_highest_of
from keras_sparse.patterns.unstructured import Unstructured
from keras_sparse.registry import Registry

PATTERNS = Registry("pattern", [Block, Channel, NofM, Unstructured])


def get(identifier, owner="patterns.get"):
    """A `Pattern` from its name, its saved configuration or itself.

    Args:
        identifier: Name in `PATTERNS`, with its arguments or without: "unstructured"; "block:4x4" or "block:4x4:max";
            "channel" or "channel:l1"; "2:4", two kept of every four. Or a serialized pattern, or a `Pattern`.
        owner: String or object that an error names.

    Returns:
        A `Pattern`.

    Raises:
        ValueError: If the name is unknown or an argument out of range.

    Example:
        >>> get("2:4"), get("block:8x1"), get("channel:l1")
        (NofM(n=2, m=4), Block(height=8, width=1, pool='mean'), Channel(norm='l1'))
    """
    if not isinstance(identifier, str) or ":" not in identifier:
        return PATTERNS.resolve(identifier, owner, Pattern)
    name, text = identifier.split(":", 1)
    if name.isdecimal() and text.isdecimal():
        return NofM(int(name), int(text))
    member = None if name.isdecimal() else PATTERNS.lookup(name, owner)
    arguments = member.arguments(text) if hasattr(member, "arguments") else None
    if arguments is None:
        raise ValueError(
            f"`pattern` of {describe(owner)} must be a name, or a block, a channel or a ratio with its arguments. "
            f"Received: pattern={identifier!r}. Write it as in 'block:4x4', 'channel:l1' or '2:4'."
        )
    return member(**arguments)


__all__ = [
    "PATTERNS",
    "Block",
    "Channel",
    "NofM",
    "Pattern",
    "Unstructured",
    "get",
    "keep_highest",
    "keep_highest_of",
]
