"""A search of which each trial takes a second."""

import os

from keras_sparse.tuning import SearchSpace
from keras_sparse.tuning.search import search

FIELDS = {"dataset": "digits", "epochs": 3, "examples": 300, "learning_rate_drops": (), "seed": 1}


class HyperMLP(SearchSpace):
    """Widths of a network of dense layers."""

    model = "mlp"
    ranges = {"hidden": [[2], [8], [32], [64]], "activation": ["relu", "sigmoid"]}  # noqa: RUF012

    def make(self, hp, arguments):
        if arguments["hidden"] == [int(os.environ.get("FAILS_AT", 0))]:
            raise RuntimeError("no such width")
        return super().make(hp, arguments)

    def recipe(self, hp, folder, **fields):
        self.make(hp, self.choose(hp)[1])
        return super().recipe(hp, folder, **fields)


def space_of(**arguments):
    return HyperMLP((16, 16, 1), 10, learning_rate=0.05, **arguments)


def small_search(output, fields=None, limits=None, **arguments):
    return search(space_of(**(limits or {})), output, {**FIELDS, **(fields or {})}, **arguments)
