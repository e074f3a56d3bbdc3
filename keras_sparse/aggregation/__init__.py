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
SIZED = [name for name in PATTERNS if hasattr(PATTERNS.lookup(name, "aggregation"), "has_size")]


def takes_base(identifier, owner="takes_base"):
    """Whether `base` means something to a pattern that is given by name."""
    return isinstance(identifier, str) and hasattr(PATTERNS.lookup(identifier.split(":")[0], owner), "has_base")


def get_pattern(identifier, base=DEFAULT_BASE, owner="get_pattern"):
    """A `Pattern` from its name, its saved configuration or itself.

    Args:
        identifier: Name in `PATTERNS`; a name and its number, such as "window:5", the last 5 outputs, or
            "hybrid:4", all of the nearest 4; a serialized pattern; or a `Pattern`.
        base: Integer >= 2, for the patterns that have one. A base that would go unused is refused.
        owner: String or object that an error names.

    Returns:
        A `Pattern`.

    Raises:
        ValueError: If the name is unknown, or `base` contradicts the pattern.

    Example:
        >>> get_pattern("exponential", base=3), get_pattern("window:5")
        (Exponential(base=3), Window(size=5))
    """
    arguments = {"base": base} if takes_base(identifier, owner) else {}
    if isinstance(identifier, str) and ":" in identifier:
        identifier, number = identifier.split(":", 1)
        sized = PATTERNS.lookup(identifier, owner)
        if not (number.isdecimal() and hasattr(sized, "has_size")):
            raise ValueError(
                f"`pattern` of {describe(owner)} must be a name, or one of {', '.join(SIZED)} with its number. "
                f"Received: pattern={identifier + ':' + number!r}. Write it as in 'window:5'."
            )
        arguments["size"] = int(number)
    pattern = PATTERNS.resolve(identifier, owner, Pattern, **arguments)
    if base not in (DEFAULT_BASE, getattr(pattern, "base", DEFAULT_BASE)):
        raise ValueError(
            f"`base` of {describe(owner)} must agree with its pattern, {pattern!r}. Received: "
            f"base={base}. Set the base on the pattern, or leave `base` out."
        )
    return pattern


def get_patterns(identifiers, base=DEFAULT_BASE, owner="get_patterns"):
    """Patterns for several stages; `base` is for those that take one, and refused if none does.

    Example:
        >>> get_patterns(["all", "exponential"], base=3)
        [All(), Exponential(base=3)]
    """
    taken = any(takes_base(one, owner) for one in identifiers)
    return [
        get_pattern(one, base if takes_base(one, owner) or not taken else DEFAULT_BASE, owner) for one in identifiers
    ]


def get_operator(identifier, owner="get_operator"):
    """An `Operator` from its name, its saved configuration or itself.

    Example:
        >>> get_operator("sum")
        Sum()
    """
    return OPERATORS.resolve(identifier, owner, Operator)
