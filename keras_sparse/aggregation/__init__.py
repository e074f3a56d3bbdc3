"""Which earlier outputs a layer reads (patterns), and how they are joined (operators).

>>> pattern = Exponential(base=2)
>>> pattern.sources(8)             # layer 8 reads outputs 0, 4, 6 and 7
[0, 4, 6, 7]
>>> pattern.links(100), All().links(100)
(580, 5050)
>>> pattern.longest_gradient_path(100), Previous().longest_gradient_path(100)
(6, 100)
"""

from keras_sparse.aggregation.all import All
from keras_sparse.aggregation.exponential import Exponential
from keras_sparse.aggregation.hybrid import Hybrid
from keras_sparse.aggregation.operators import Concat, Mean, Operator, Sum
from keras_sparse.aggregation.pattern import Pattern
from keras_sparse.aggregation.previous import Previous
from keras_sparse.aggregation.window import Window
from keras_sparse.checks import describe
from keras_sparse.registry import Registry

PATTERNS = Registry("pattern", [All, Exponential, Hybrid, Previous, Window])
OPERATORS = Registry("operator", [Concat, Mean, Sum])

DEFAULT_BASE = 2


def get_pattern(identifier, base=DEFAULT_BASE, owner="get_pattern"):
    """A `Pattern` from its name, its saved configuration or itself.

    Args:
        identifier: Name in `PATTERNS`, serialized pattern, or `Pattern`.
        base: Integer >= 2, for the patterns that have one. A base that would go unused is refused.
        owner: String or object that an error names.

    Returns:
        A `Pattern`.

    Raises:
        ValueError: If the name is unknown, or `base` contradicts the pattern.

    Example:
        >>> get_pattern("exponential", base=3)
        Exponential(base=3)
    """
    if isinstance(identifier, str) and hasattr(PATTERNS.lookup(identifier, owner), "has_base"):
        return PATTERNS.resolve(identifier, owner, Pattern, base=base)
    pattern = PATTERNS.resolve(identifier, owner, Pattern)
    if base not in (DEFAULT_BASE, getattr(pattern, "base", DEFAULT_BASE)):
        raise ValueError(
            f"`base` of {describe(owner)} must agree with its pattern, {pattern!r}. Received: "
            f"base={base}. Set the base on the pattern, or leave `base` out."
        )
    return pattern


def get_operator(identifier, owner="get_operator"):
    """An `Operator` from its name, its saved configuration or itself.

    Example:
        >>> get_operator("sum")
        Sum()
    """
    return OPERATORS.resolve(identifier, owner, Operator)
