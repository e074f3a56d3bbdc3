"""What the search spaces share: arguments that are fixed or searched, and the compilation."""

import json

import keras_tuner

from keras_sparse import checks
from keras_sparse.aggregation import takes_base
from keras_sparse.training import CoupledDecaySGD
from keras_sparse.training.compilation import compile_classifier


class SearchSpace(keras_tuner.HyperModel):
    """A constructor with some of its arguments searched.

    A subclass sets `constructor` and `ranges`: argument -> list of choices, or a value that is fixed.

    Args:
        input_shape: Tuple without the batch axis.
        classes: Integer, number of classes.
        learning_rate: List of choices, or a number.
        name: String or None, prefix of nothing else than KerasTuner's messages.
        **arguments: Arguments of the constructor: a list is searched, anything else is fixed. They replace the
            default `ranges`.

    Raises:
        ValueError: If an argument is not the constructor's, or a list is empty.
    """

    constructor = None
    ranges = {}  # noqa: RUF012  (replaced, never changed)

    def __init__(self, input_shape, classes, learning_rate=(0.1,), name=None, **arguments):
        super().__init__(name=name)
        self.input_shape = tuple(input_shape)
        self.classes = checks.integer("classes", classes, self, minimum=1)
        unknown = sorted(set(arguments) - set(self.ranges))
        if unknown:
            raise checks.error(
                "arguments", type(self).__name__, f"among {', '.join(self.ranges)}", unknown,
                "Pass only arguments of the constructor.",
            )  # fmt: skip
        self.arguments = {**self.ranges, **arguments}
        self.arguments["learning_rate"] = (
            list(learning_rate) if isinstance(learning_rate, (list, tuple)) else learning_rate
        )
        for argument, value in self.arguments.items():
            if value == []:
                raise checks.error(argument, type(self).__name__, "a value or a non-empty list", value, "Add choices.")

    def build(self, hp):
        """A compiled model for one set of hyperparameters.

        KerasTuner chooses among values of one simple type; others, such as `[12, (8, 16, 32)]`, are written as JSON
        strings: "12" and "[8, 16, 32]".
        """
        chosen = {argument: self._choose(hp, argument, value) for argument, value in self.arguments.items()}
        learning_rate = chosen.pop("learning_rate")
        for argument, meaningful in (("base", self._takes_base(chosen)), ("compression", self._concatenates(chosen))):
            # A searched argument that means nothing beside the other choices must not fail the trial.
            if isinstance(self.arguments.get(argument), list) and not meaningful:
                del chosen[argument]
        model = type(self).constructor(**chosen, input_shape=self.input_shape, classes=self.classes)
        compile_classifier(model, CoupledDecaySGD(learning_rate, momentum=0.9, nesterov=True))
        return model

    @staticmethod
    def _choose(hp, argument, value):
        if not isinstance(value, list):
            return value
        if len({type(choice) for choice in value}) == 1 and isinstance(value[0], (bool, int, float, str)):
            return hp.Choice(argument, value)
        return json.loads(hp.Choice(argument, [json.dumps(choice) for choice in value]))

    @staticmethod
    def _takes_base(chosen):
        patterns = chosen.get("pattern", "exponential")
        return any(takes_base(one) for one in (patterns if isinstance(patterns, (list, tuple)) else [patterns]))

    @staticmethod
    def _concatenates(chosen):
        return chosen.get("operator", "concat") == "concat"
