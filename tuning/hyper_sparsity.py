"""The search space over the connections of any model."""

import keras
import keras_tuner

from keras_sparse import checks
from keras_sparse.applications import MODELS
from keras_sparse.training import Recipe
from keras_sparse.training.saved_model import is_file, load_saved
from keras_sparse.transforms import sparsify
from keras_sparse.tuning.budget import Size
from keras_sparse.tuning.search_space import SearchSpace, choose


class HyperSparsity(SearchSpace):
    """Searches how a model is made sparse: the arguments of `sparsify`; see `SearchSpace`.

    Args:
        model: Name in `applications.list_models()`; the file of a saved model, `*.keras`; or what KerasTuner takes: a
            function from hyperparameters to a model, or a `HyperModel`, whose own are searched as well.
        input_shape: Tuple without the batch axis, for a name.
        classes: Integer, number of classes, for a name.
        model_arguments: Dictionary for the constructor of a name, all fixed.
        seed: Integer, of the connections.
        **arguments: Arguments of `sparsify`: a list is searched, anything else is fixed. `sparsity` may be a dictionary
            from names or patterns of layers to lists: then each has a sparsity of its own, and what none matches
            stays dense. `learning_rate`, `max_connected_parameters`, `max_macs` and `name` as for every space.

    Raises:
        ValueError: If an argument is not one of `sparsify`, a list is empty, or the model is unknown.

    Example:
        >>> HyperSparsity("lenet_300_100", (28, 28, 1), 10, sparsity=[0.9, 0.99], topology="expander")
        >>> HyperSparsity(lambda hp: keras.applications.MobileNetV2(weights=None), sparsity={"block_*": [0.5, 0.9]})
    """

    ranges = {  # noqa: RUF012
        "sparsity": [0.5, 0.75, 0.9, 0.95],
        "topology": ["random_fan_in", "expander", "random_edge"],
        "allocation": ["uniform", "erdos_renyi", "erdos_renyi_kernel"],
        "exclude": None,
        "format": "masked",
        "block_size": 1,
    }

    def __init__(self, model, input_shape=(), classes=1, model_arguments=None, seed=0, **arguments):
        if isinstance(arguments.get("sparsity"), dict):
            if "allocation" in arguments:
                raise checks.error(
                    "allocation", "HyperSparsity", "left out where each layer has a sparsity of its own",
                    arguments["allocation"], "Or pass one list for all as `sparsity`.",
                )  # fmt: skip
            arguments["allocation"] = None
        super().__init__(input_shape, classes, **arguments)
        if isinstance(model, str) and not is_file(model):
            MODELS.lookup(model, self)
            if not input_shape:
                raise checks.error("input_shape", self, "a tuple", input_shape, "A model by name needs its shapes.")
        elif not isinstance(model, (str, keras_tuner.HyperModel)) and not callable(model):
            raise checks.error(
                "model", self, "a name, a file, a function or a HyperModel", model, "Wrap a model as `lambda hp: ...`."
            )
        self.model = model
        self.model_arguments = model_arguments or {}
        self.seed = checks.integer("seed", seed, self, minimum=0)

    def choose(self, hp):
        learning_rate, chosen = super().choose(hp)
        if isinstance(chosen["sparsity"], dict):
            layers = chosen["sparsity"]
            chosen["allocation"] = {layer: choose(hp, f"sparsity/{layer}", layers[layer]) for layer in layers}
            chosen["sparsity"] = None
        return learning_rate, {**chosen, "seed": self.seed}

    def make(self, hp, arguments):
        return sparsify(self._dense(hp), **arguments)

    def _dense(self, hp):
        if isinstance(self.model, keras_tuner.HyperModel):
            return self.model.build(hp)
        if not isinstance(self.model, str):
            return self.model(hp)
        if is_file(self.model):
            return load_saved(self.model, self)
        constructor = MODELS.lookup(self.model, self)
        return constructor(**self.model_arguments, input_shape=self.input_shape, classes=self.classes)

    def measure(self, hp):
        # Connections are drawn, and moved until each has a path: that takes a model with all that it has.
        return Size.of(self.make(hp, self.choose(hp)[1]))

    def describe(self):
        return {**super().describe(), "model_arguments": self.model_arguments, "seed": self.seed}

    def recipe(self, hp, folder, **fields):
        learning_rate, arguments = self.choose(hp)
        model = self.model
        if not isinstance(model, str):
            # A recipe holds no code: the model is trained from a file.
            model = (folder / "dense.keras").resolve()
            if not model.is_file():
                folder.mkdir(parents=True, exist_ok=True)
                keras.utils.set_random_seed(self.seed)
                self._dense(hp).save(model)
        return Recipe(model, self.model_arguments, learning_rate=learning_rate, sparsify=arguments, **fields)
