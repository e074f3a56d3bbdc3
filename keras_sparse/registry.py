"""Name tables: what is registered here is a layer string, a command-line choice and a test case."""

import inspect
import re

import keras

from keras_sparse.checks import describe, nearest


def registered_name(member):
    """`LongShortRotating` -> `"long_short_rotating"`, `SparseConv2D` -> `"sparse_conv2d"`; functions such as
    `SparseNet121` -> `"sparsenet121"`.
    """
    if isinstance(member, type):
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", member.__name__).lower()
    return member.__name__.lower()


class Registry:
    """A table from names to classes or functions, with suggestions for names it does not hold.

    Args:
        kind: String, what the members are, in the words of an error ("pattern").
        members: Classes or functions; names derive from theirs, and a name used twice is refused.

    Example:
        >>> PATTERNS = Registry("pattern", [All, Exponential])
        >>> PATTERNS.names()
        ['all', 'exponential']
    """

    def __init__(self, kind, members):
        self.kind = kind
        self._members = {}
        for member in members:
            name = registered_name(member)
            if name in self._members:
                raise ValueError(
                    f"`members` of the {kind} registry must have distinct names. Received: two members "
                    f"named {name!r}. Rename one."
                )
            self._members[name] = member

    def names(self):
        return sorted(self._members)

    def __contains__(self, name):
        return name in self._members

    def __iter__(self):
        return iter(self.names())

    def __len__(self):
        return len(self._members)

    def lookup(self, name, owner):
        """The member called `name`; an unknown name lists the valid ones and the nearest."""
        if name in self._members:
            return self._members[name]
        raise ValueError(
            f"`{self.kind}` of {describe(owner)} must be one of {', '.join(map(repr, self.names()))}. "
            f"Received: {self.kind}={name!r}. {nearest(name, self._members)}"
        )

    def resolve(self, identifier, owner, kind, /, **arguments):
        """An instance from a name (built with `arguments`), a saved configuration, or an instance.

        Args:
            identifier: String, dictionary of `keras.saving.serialize_keras_object`, or `kind` instance.
            owner: String or object that an error names.
            kind: Class that an instance must belong to.
            **arguments: Constructor arguments for a name.
        """
        if isinstance(identifier, dict):
            identifier = keras.saving.deserialize_keras_object(identifier)
        if isinstance(identifier, kind):
            return identifier
        if isinstance(identifier, str):
            member = self.lookup(identifier, owner)
            missing = [name for name in _needed(member) if name not in arguments]
            if missing:
                raise ValueError(
                    f"`{self.kind}` of {describe(owner)} must be a {kind.__name__}, or the name of one that needs no "
                    f"arguments. Received: {self.kind}={identifier!r}, which needs {', '.join(missing)}. Pass "
                    f"{member.__name__}({', '.join(f'{name}=...' for name in missing)})."
                )
            return member(**arguments)
        raise ValueError(
            f"`{self.kind}` of {describe(owner)} must be a name ({', '.join(self.names())}) or a "
            f"{kind.__name__}. Received: {self.kind}={identifier!r}. Pass a name or an instance."
        )


def _needed(member):
    """Names of the arguments without a default."""
    parameters = inspect.signature(member).parameters.values()
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in several]
