"""Everything that decides how a training run ends."""

import dataclasses
import inspect
import json
from pathlib import Path

from keras_sparse import checks
from keras_sparse.applications import MODELS
from keras_sparse.datasets import SOURCES
from keras_sparse.datasets.splits import AUGMENTATIONS
from keras_sparse.training.saved_model import is_file, load_saved
from keras_sparse.training.sparse_training import check_connections, checked_verbs
from keras_sparse.transforms import sparsify

PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A training run as a value: equal recipes train equal models.

    On one device or several: `batch_size` is that of the whole batch, which the devices share, `learning_rate` is the
    one for it, and batch normalisation goes by its moments.

    Attributes:
        model: Name in `applications.list_models()`; or the file of a saved model, `*.keras`, to go on with.
        model_arguments: Dictionary for its constructor, of what JSON can hold; classes and input shape come from the
            data.
        dataset: Name in `datasets.list_datasets()`.
        epochs: Integer >= 1.
        batch_size: Integer >= 1.
        learning_rate: Number, where it starts.
        learning_rate_drops: Tuple of epochs (counted from 0) at whose beginning it is multiplied by `drop_factor`.
        drop_factor: Number in [0, 1].
        momentum: Number in [0, 1].
        nesterov: Boolean.
        weight_decay: Number in [0, 1], added to the gradient as `weight_decay * weight`.
        augmentation: "none", "shift" or "shift_mirror".
        validation_fraction: Number in [0, 1); with 0, validation is on the test split.
        examples: Integer or None, train on so many images only.
        seed: Integer in [0, 2^32): initial weights, order and augmentation of the images, dropout.
        precision: "float32", "mixed_float16" or "mixed_bfloat16".
        sparsify: None, or a dictionary of arguments of `keras_sparse.sparsify`: the model has few connections from the
            start. Its seed is that of the recipe, if it has none of its own.
        prune: None, or a dictionary: "sparsity" in the end; "begin", "end", "frequency" in steps (0, three quarters of
            the run, 200 or a twentieth of the run); "once": true to cut all at "begin"; "criterion", "scope",
            "pattern", "allocation", "exclude" as for `callbacks.Prune`.
        rewire: None, or a dictionary: "drop", "grow", "frequency", "until", "criterion", "exclude" as for
            `callbacks.Rewire`; until three quarters of the run, if nothing else is said.
        densify: None, or a dictionary: "initial", "period", "final" as for `schedules.Doubling`, "new" as for
            `callbacks.Densify`; done after three quarters of the run, if no period is given.

    Raises:
        ValueError: If a name is unknown, a number out of range, or the model does not take its arguments.

    Example:
        >>> Recipe("resnet", {"depth": 56}, dataset="cifar10", epochs=200).learning_rate_at(0)
        0.1
    """

    model: str
    model_arguments: dict = dataclasses.field(default_factory=dict)
    dataset: str = "digits"
    epochs: int = 8
    batch_size: int = 32
    learning_rate: float = 0.1
    learning_rate_drops: tuple = ()
    drop_factor: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 1e-4
    augmentation: str = "none"
    validation_fraction: float = 0.1
    examples: int | None = None
    seed: int = 0
    precision: str = "float32"
    sparsify: dict | None = None
    prune: dict | None = None
    rewire: dict | None = None
    densify: dict | None = None

    def __post_init__(self):
        owner = "Recipe"
        constructor = None if is_file(self.model) else MODELS.lookup(self.model, owner)
        for name, choices in (
            ("dataset", tuple(sorted(SOURCES))),
            ("augmentation", AUGMENTATIONS),
            ("precision", PRECISIONS),
            ("nesterov", (True, False)),
        ):
            checks.choice(name, getattr(self, name), owner, choices)
        drops = self.learning_rate_drops
        if not isinstance(drops, (list, tuple)):
            raise checks.error("learning_rate_drops", owner, "a tuple of epochs", drops, "Pass () for none.")
        checked = {
            # A plain number or string each, so that every recipe can be written as JSON.
            "model": str(self.model),
            "epochs": checks.integer("epochs", self.epochs, owner, minimum=1),
            "batch_size": checks.integer("batch_size", self.batch_size, owner, minimum=1, maximum=2**30),
            "seed": checks.integer("seed", self.seed, owner, minimum=0, maximum=2**32 - 1),
            "learning_rate": checks.number("learning_rate", self.learning_rate, owner, 0, 1e6),
            "validation_fraction": checks.number(
                "validation_fraction", self.validation_fraction, owner, 0, 1, exclude_maximum=True
            ),
            "learning_rate_drops": tuple(checks.integer("learning_rate_drops", d, owner, minimum=0) for d in drops),
            "model_arguments": self._json_arguments(constructor),
            **checked_verbs(self),
        }
        for name in ("drop_factor", "momentum", "weight_decay"):
            checked[name] = checks.number(name, getattr(self, name), owner, 0, 1)
        if self.examples is not None:
            checked["examples"] = checks.integer("examples", self.examples, owner, minimum=1)
        drops = checked["learning_rate_drops"]
        if drops != tuple(sorted(set(drops))) or (drops and drops[-1] >= checked["epochs"]):
            raise checks.error(
                "learning_rate_drops", owner, f"increasing epochs below {self.epochs}", drops,
                "A drop at or after the last epoch would never come.",
            )  # fmt: skip
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def _json_arguments(self, constructor):
        """The model's arguments as they come back from JSON, after a check against the constructor."""
        if constructor is None:
            if self.model_arguments:
                hint = "A saved model is as it is."
                raise checks.error("model_arguments", "Recipe", "empty for a file", self.model_arguments, hint)
            return {}
        try:
            inspect.signature(constructor).bind(**self.model_arguments)
            if {"input_shape", "classes"} & set(self.model_arguments):
                raise TypeError("takes input_shape and classes from the data")
            return json.loads(json.dumps(self.model_arguments))
        except TypeError as error:
            raise checks.error(
                "model_arguments", "Recipe", f"arguments of {constructor.__name__} that JSON can hold",
                self.model_arguments, f"The reason: {error}. Patterns are written as in 'window:5'.",
            ) from None  # fmt: skip

    def __hash__(self):
        return hash(json.dumps(self.to_dict(), sort_keys=True))

    def learning_rate_at(self, epoch):
        """The learning rate of an epoch, counted from 0."""
        return self.learning_rate * self.drop_factor ** sum(epoch >= drop for drop in self.learning_rate_drops)

    def build_model(self, dataset):
        """The model for a `Dataset` as it is before training, in the current precision.

        Raises:
            ValueError: If its connections are to move, and it has all of them.
        """
        if is_file(self.model):
            model = load_saved(self.model, "Recipe", dataset.image_shape, dataset.classes)
        else:
            model = MODELS.lookup(self.model, "Recipe")(
                **self.model_arguments, input_shape=dataset.image_shape, classes=dataset.classes
            )
        if self.sparsify is not None:
            model = sparsify(model, **{"seed": self.seed, **self.sparsify})
        check_connections(self, model)
        return model

    def to_dict(self):
        return {**dataclasses.asdict(self), "learning_rate_drops": list(self.learning_rate_drops)}

    @classmethod
    def from_dict(cls, fields):
        """The recipe of `to_dict`; a field that does not exist, or a missing model, is refused."""
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(fields) - known)
        if unknown or "model" not in fields:
            raise checks.error(
                "fields", "Recipe", f"'model' and others of {', '.join(sorted(known))}", sorted(fields),
                "Was the file written by another version?",
            )  # fmt: skip
        return cls(**fields)

    @classmethod
    def load(cls, path):
        """The recipe in the `recipe.json` of a run, given as a file or as the run's folder.

        Raises:
            ValueError: If the file holds no recipe.
        """
        path = Path(path)
        path = path / "recipe.json" if path.is_dir() else path
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8"))["recipe"])
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"{str(path)!r} is no recipe: {error}. Pass the recipe.json of a run, or start the run anew in another "
                "folder."
            ) from error

    def differences(self, other):
        """Names of the fields in which two recipes differ."""
        ours, theirs = self.to_dict(), other.to_dict()
        return [name for name in ours if ours[name] != theirs[name]]
