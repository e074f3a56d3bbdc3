"""Argument checks that write the package's standard error.

    `depth` of SparseNet must be an integer >= 10. Received: depth=3. Use a deeper network.

Every check returns the value it accepted, so that it can be assigned in the same line.
"""

import difflib
import numbers


def describe(owner):
    """The words an error uses for `owner`: a name as given, or a class with its layer name."""
    if isinstance(owner, str):
        return owner
    name = getattr(owner, "name", None)
    return f'{type(owner).__name__} "{name}"' if isinstance(name, str) else type(owner).__name__


def error(argument, owner, allowed, received, hint):
    """The standard `ValueError`, to be raised by the caller.

    Args:
        argument: String, the argument's name.
        owner: String or object, whose argument it is.
        allowed: String that completes "must be": kind, range, unit.
        received: The value that arrived.
        hint: String, one sentence: the likely cause or what to do next.
    """
    return ValueError(f"`{argument}` of {describe(owner)} must be {allowed}. Received: {argument}={received!r}. {hint}")


def integer(argument, value, owner, minimum, maximum=None, hint=None):
    """`value` as an int in [minimum, maximum]; bools and floats are refused."""
    accepted = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not accepted or value < minimum or (maximum is not None and value > maximum):
        allowed = f"an integer >= {minimum}" if maximum is None else f"an integer in [{minimum}, {maximum}]"
        raise error(argument, owner, allowed, value, hint or f"Pass {allowed}.")
    return int(value)


def integers(argument, value, owner, minimum, count=None, what=None):
    """`value`, an integer or several, as a tuple of integers >= minimum: one for each of `count` things, `what`."""
    values = value if isinstance(value, (list, tuple)) else (value,)
    if count is not None and len(values) != count:
        allowed = f"one integer for each of the {count} {what}"
        raise error(argument, owner, allowed, value, f"Pass {count} of them.")
    return tuple(integer(argument, one, owner, minimum) for one in values)


def number(argument, value, owner, minimum, maximum, hint=None, exclude_maximum=False):
    """`value` as a float in [minimum, maximum], or in [minimum, maximum) with `exclude_maximum`."""
    accepted = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if accepted and minimum <= value <= maximum and not (exclude_maximum and value == maximum):
        return float(value)
    bracket = ")" if exclude_maximum else "]"
    allowed = f"a number in [{minimum:g}, {maximum:g}{bracket}"
    raise error(argument, owner, allowed, value, hint or f"Pass {allowed}.")


def choice(argument, value, owner, choices, hint=None):
    """`value` if it is one of `choices`; an unknown name suggests the nearest."""
    if value not in choices:
        raise error(
            argument,
            owner,
            f"one of {', '.join(repr(c) for c in choices)}",
            value,
            hint or nearest(value, choices),
        )
    return value


def nearest(value, choices):
    """The hint for a name that is none of `choices`: the nearest one, if one is near."""
    near = difflib.get_close_matches(str(value), [c for c in choices if isinstance(c, str)], n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}?" if near else "Pick one of them."


def per_stage(argument, value, owner, stages):
    """`value` as a list with one entry for each stage; a single value is repeated."""
    values = list(value) if isinstance(value, (list, tuple)) else [value] * stages
    if len(values) != stages:
        raise error(
            argument,
            owner,
            f"one value, or one for each of the {stages} stages",
            value,
            f"Pass {stages} values.",
        )
    return values
