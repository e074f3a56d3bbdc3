"""What the search spaces share: arguments that are fixed or searched, the budget, and ways to a model and a recipe."""

import contextlib
import dataclasses
import json
import warnings

import keras_tuner

from keras_sparse import checks
from keras_sparse.aggregation import takes_base
from keras_sparse.applications import MODELS
from keras_sparse.training import CoupledDecaySGD, Recipe
from keras_sparse.training.compilation import compile_classifier
from keras_sparse.tuning.budget import Budget, Size, without_weights

# An argument that means something only beside certain values of another: argument -> (the other, which values).
MEANINGFUL = {
    "base": ("pattern", lambda value: any(map(takes_base, value if isinstance(value, (list, tuple)) else [value]))),
    "compression": ("operator", lambda value: value == "concat"),
}


class SearchSpace(keras_tuner.HyperModel):
    """A constructor with some of its arguments searched.

    It is a KerasTuner `HyperModel`, for KerasTuner's own tuners, which train what `build` compiles; and it writes
    recipes, for `tuning.search`. A subclass sets `model` and `ranges`: argument -> list of choices, or a value that is
    fixed.

    Args:
        input_shape: Tuple without the batch axis.
        classes: Integer, number of classes.
        learning_rate: Number, or a list of choices.
        max_connected_parameters: Integer or None. A larger network is not trained: its trial fails at once, as with
            KerasTuner's `max_model_size`.
        max_macs: Integer or None, the same for multiply-adds per example.
        name: String or None, prefix of nothing else than KerasTuner's messages.
        **arguments: Arguments of the constructor: a list is searched, anything else is fixed. They replace the
            default `ranges`.

    Raises:
        ValueError: If an argument is not the constructor's, or a list is empty.
    """

    model = None
    ranges = {}  # noqa: RUF012  (replaced, never changed)

    def __init__(
        self,
        input_shape,
        classes,
        learning_rate=0.1,
        max_connected_parameters=None,
        max_macs=None,
        name=None,
        **arguments,
    ):
        super().__init__(name=name)
        self.input_shape = tuple(input_shape)
        self.classes = checks.integer("classes", classes, self, minimum=1)
        self.budget = Budget(max_connected_parameters, max_macs)
        unknown = sorted(set(arguments) - set(self.ranges))
        if unknown:
            raise checks.error(
                "arguments", type(self).__name__, f"among {', '.join(self.ranges)}", unknown,
                "Pass only arguments of the constructor.",
            )  # fmt: skip
        self.arguments = {**self.ranges, **arguments, "learning_rate": learning_rate}
        for argument, value in self.arguments.items():
            if value == []:
                raise checks.error(argument, type(self).__name__, "a value or a non-empty list", value, "Add choices.")

    def build(self, hp):
        """A compiled model for one set of hyperparameters.

        KerasTuner chooses among values of one simple type; others, such as `[12, (8, 16, 32)]`, are written as JSON
        strings: "12" and "[8, 16, 32]".
        """
        learning_rate, arguments = self.choose(hp)
        model = self.make(hp, arguments)
        compile_classifier(model, CoupledDecaySGD(learning_rate, momentum=0.9, nesterov=True))
        return model

    def fit(self, hp, model, *args, **kwargs):
        """Trains a model, as KerasTuner asks for it, if it is within the budget."""
        if self.budget.is_limited:
            self.budget.check(Size.of(model))
        return super().fit(hp, model, *args, **kwargs)

    def choose(self, hp):
        """`(learning_rate, arguments)` for one set of hyperparameters; what means nothing beside others is left out."""
        chosen = {}
        for argument, value in self.arguments.items():
            if argument in MEANINGFUL:
                chosen.update(self._choose_beside(hp, argument, value))
            else:
                chosen[argument] = choose(hp, argument, value)
        return chosen.pop("learning_rate"), chosen

    def _choose_beside(self, hp, argument, value):
        """`{argument: choice}` beside the value of the other that it depends on; empty if it means nothing there."""
        other, means_something = MEANINGFUL[argument]
        others = self.arguments.get(other)
        if not isinstance(others, list):
            # If all is fixed, the constructor says that one contradicts the other.
            useful = others is None or not isinstance(value, list) or means_something(others)
            return {argument: choose(hp, argument, value)} if useful else {}
        meaningful = [one for one, value in zip(_written(others), others, strict=True) if means_something(value)]
        if not meaningful:
            return {}
        with hp.conditional_scope(other, meaningful):
            chosen = choose(hp, argument, value)
        return {argument: chosen} if hp.get(other) in meaningful else {}

    def make(self, hp, arguments):
        """The model that arguments describe, not compiled."""
        with any_depth():
            constructor = MODELS.lookup(self.model, self)
            return constructor(**arguments, input_shape=self.input_shape, classes=self.classes)

    def measure(self, hp):
        """`Size` of the network for one set of hyperparameters, without its weights."""
        with without_weights():
            return Size.of(self.make(hp, self.choose(hp)[1]))

    def describe(self):
        """What is searched and within which budget, as a dictionary that JSON can hold."""
        arguments = {
            name: {"choices": value} if isinstance(value, list) else value for name, value in self.arguments.items()
        }
        named = self.model if isinstance(self.model, str) or hasattr(self.model, "__qualname__") else type(self.model)
        return {
            "kind": type(self).__name__,
            "model": getattr(named, "__qualname__", named),
            "images": [*self.input_shape, self.classes],
            "arguments": arguments,
            "budget": dataclasses.asdict(self.budget),
        }

    def recipe(self, hp, folder, **fields):
        """What a trial trains.

        Args:
            hp: KerasTuner `HyperParameters`.
            folder: Path, where a model is written that a recipe cannot describe.
            **fields: The other fields of the `Recipe`, such as `dataset` and `epochs`.

        Returns:
            A `Recipe`.
        """
        learning_rate, arguments = self.choose(hp)
        return Recipe(self.model, arguments, learning_rate=learning_rate, **fields)


@contextlib.contextmanager
def any_depth():
    """Without the warning that a depth leaves a remainder: among choices it is as good as the next below."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`depth` of ")
        yield


def choose(hp, argument, value):
    """A value for an argument: one of a list, anything else as it is; None if the scope is not active."""
    if not isinstance(value, list):
        return value
    if all(isinstance(choice, bool) for choice in value):
        # As a choice it would come back as 0 or 1.
        return hp.Boolean(argument, default=value[0]) if len(set(value)) == 2 else hp.Fixed(argument, value[0])
    found = hp.Choice(argument, _written(value))
    return found if found is None or _is_simple(value) else json.loads(found)


def _is_simple(choices):
    return len({type(choice) for choice in choices}) == 1 and isinstance(choices[0], (int, float, str))


def _written(choices):
    """Choices in the types that KerasTuner takes."""
    return choices if _is_simple(choices) else [json.dumps(choice) for choice in choices]
