"""Everything that decides how a training run ends."""

import dataclasses
import json

from keras_sparse import checks
from keras_sparse.applications import MODELS
from keras_sparse.datasets import SOURCES
from keras_sparse.datasets.splits import AUGMENTATIONS

PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A training run as a value: equal recipes train equal models.

    Attributes:
        model: Name in `applications.list_models()`.
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
        seed: Integer >= 0: initial weights, order and augmentation of the images, dropout.
        precision: "float32", "mixed_float16" or "mixed_bfloat16".

    Raises:
        ValueError: If a name is unknown or a number out of range.

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

    def __post_init__(self):
        owner = "Recipe"
        MODELS.lookup(self.model, owner)
        checks.choice("dataset", self.dataset, owner, tuple(sorted(SOURCES)))
        checks.choice("augmentation", self.augmentation, owner, AUGMENTATIONS)
        checks.choice("precision", self.precision, owner, PRECISIONS)
        checks.integer("epochs", self.epochs, owner, minimum=1)
        checks.integer("batch_size", self.batch_size, owner, minimum=1)
        checks.integer("seed", self.seed, owner, minimum=0)
        checks.number("learning_rate", self.learning_rate, owner, 0, 1e6)
        for name in ("drop_factor", "momentum", "weight_decay"):
            checks.number(name, getattr(self, name), owner, 0, 1)
        checks.number("validation_fraction", self.validation_fraction, owner, 0, 1, exclude_maximum=True)
        if self.examples is not None:
            checks.integer("examples", self.examples, owner, minimum=1)
        drops = tuple(
            checks.integer("learning_rate_drops", drop, owner, minimum=0) for drop in self.learning_rate_drops
        )
        if drops != tuple(sorted(set(drops))) or (drops and drops[-1] >= self.epochs):
            raise checks.error(
                "learning_rate_drops", owner, f"increasing epochs below {self.epochs}", drops,
                "A drop at or after the last epoch would never come.",
            )  # fmt: skip
        # As JSON has it, so that a recipe equals the one read back from its file.
        arguments = json.loads(json.dumps(self.model_arguments))
        object.__setattr__(self, "model_arguments", arguments)
        object.__setattr__(self, "learning_rate_drops", drops)

    def learning_rate_at(self, epoch):
        """The learning rate of an epoch, counted from 0."""
        return self.learning_rate * self.drop_factor ** sum(epoch >= drop for drop in self.learning_rate_drops)

    def build_model(self, dataset):
        """The untrained model for a `Dataset`, in the current precision."""
        return MODELS.lookup(self.model, "Recipe")(
            **self.model_arguments, input_shape=dataset.image_shape, classes=dataset.classes
        )

    def to_dict(self):
        return {**dataclasses.asdict(self), "learning_rate_drops": list(self.learning_rate_drops)}

    @classmethod
    def from_dict(cls, fields):
        """The recipe of `to_dict`; a field that does not exist is refused."""
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(fields) - known)
        if unknown:
            raise checks.error(
                "fields", "Recipe", f"among {', '.join(sorted(known))}", unknown,
                "Was the file written by another version?",
            )  # fmt: skip
        return cls(**{**fields, "learning_rate_drops": tuple(fields.get("learning_rate_drops", ()))})

    def differences(self, other):
        """Names of the fields in which two recipes differ."""
        ours, theirs = self.to_dict(), other.to_dict()
        return [name for name in ours if ours[name] != theirs[name]]
