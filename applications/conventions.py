"""The arguments that every constructor shares with `keras.applications`: input, top, weights."""

import dataclasses
import functools
import inspect
import numbers
from pathlib import Path

import keras
from keras import layers

from keras_sparse import checks
from keras_sparse.layers.paper_layers import channel_axis

SHARED_DOC = """\
        include_top: Boolean, whether to end in the classifier.
        weights: None (random initialisation) or the path of a weights file that this architecture saved. No
            trained weights are published; `transplant_weights` takes over those of `keras.applications`.
        input_tensor: Keras tensor to build on, instead of a new input.
        input_shape: Tuple without the batch axis, in the order of `keras.config.image_data_format()`. Images of the
            papers' size by default.
        pooling: None, "avg" or "max": what follows the last feature map if `include_top` is False.
        classes: Integer, number of classes.
        classifier_activation: Activation of the classifier; None for logits.
        name: String, name of the model."""


@dataclasses.dataclass(kw_only=True)
class Conventions:
    """The shared arguments of one constructor call, checked on arrival."""

    owner: str
    include_top: bool = True
    weights: object = None
    input_tensor: object = None
    input_shape: tuple | None = None
    pooling: str | None = None
    classes: int = 10
    classifier_activation: object = "softmax"
    name: str | None = None

    def __post_init__(self):
        self.data_format = keras.config.image_data_format()
        self.axis = channel_axis(self.data_format)
        checks.choice("pooling", self.pooling, self.owner, (None, "avg", "max"))
        self.classes = checks.integer("classes", self.classes, self.owner, minimum=1)
        if self.include_top and self.pooling is not None:
            raise checks.error(
                "pooling", self.owner, "None with include_top=True", self.pooling,
                "The classifier brings its own pooling; pass include_top=False to choose one.",
            )  # fmt: skip
        if self.weights is not None and not Path(str(self.weights)).is_file():
            raise checks.error(
                "weights", self.owner, "None or the path of a weights file", self.weights,
                "Pass a file written by `model.save_weights`; for the weights of keras.applications see "
                "`transplant_weights`.",
            )  # fmt: skip

    def image(self, default_size, minimum_size, channels=3, known=False, flat=False):
        """The input of the network, checked.

        Args:
            default_size: Integer, height and width unless given.
            minimum_size: Integer.
            channels: Integer, channels unless given.
            known: Boolean, whether height and width must be given as numbers, for a network that flattens its map.
            flat: Boolean, whether vectors will do as well.
        """
        check = functools.partial(self._check_shape, minimum_size=minimum_size, known=known or flat, flat=flat)
        if self.input_tensor is not None:
            if not keras.backend.is_keras_tensor(self.input_tensor):
                raise checks.error(
                    "input_tensor", self.owner, "a Keras tensor", type(self.input_tensor).__name__,
                    "Pass what `keras.Input` or a layer returns.",
                )  # fmt: skip
            if self.input_shape is not None and tuple(self.input_shape) != self.input_tensor.shape[1:]:
                raise checks.error(
                    "input_shape", self.owner, f"that of `input_tensor`, {self.input_tensor.shape[1:]}",
                    self.input_shape, "Pass only one of the two.",
                )  # fmt: skip
            check(tuple(self.input_tensor.shape[1:]))
            return self.input_tensor
        default = [default_size, default_size]
        default.insert(self.axis - 1, channels)
        shape = default if self.input_shape is None else self.input_shape
        shape = tuple(shape) if isinstance(shape, (list, tuple)) else (shape,)
        check(shape)
        return layers.Input(shape=shape)

    def _check_shape(self, shape, minimum_size, known, flat):
        sizes = shape[:2] if self.data_format == "channels_last" else shape[1:]
        right = (
            (len(shape) == 3 or (flat and len(shape) == 1))
            and not (known and None in shape)
            and all(size is None or (isinstance(size, numbers.Integral) and size >= 1) for size in shape)
            and shape[min(self.axis, len(shape)) - 1] is not None
            and all(size is None or size >= minimum_size for size in sizes)
        )
        if not right:
            order = "height, width, channels" if self.axis == 3 else "channels, height, width"
            raise checks.error(
                "input_shape", self.owner,
                f"three numbers ({order}) with height and width >= {minimum_size}{', or one number' * flat}", shape,
                "Resize the images, or check the order of the axes.",
            )  # fmt: skip

    def classify(self, x, features=None, dense=None):
        """The end of the network, from its last feature map.

        Args:
            x: Feature map.
            features: Function from the feature map to the classifier's input; global average by default.
            dense: Function that applies a dense layer, `dense(x, units, **options)`; a stock `Dense` by default.
        """
        options = {"data_format": self.data_format}
        if self.include_top:
            average = layers.GlobalAveragePooling2D(name="avg_pool", **options)
            x = (features or average)(x)
            # Under mixed precision the probabilities must not be in half precision.
            half = keras.config.dtype_policy().compute_dtype in ("float16", "bfloat16")
            return (dense or _dense)(
                x,
                self.classes,
                activation=self.classifier_activation,
                dtype="float32" if half else None,
                name="predictions",
            )
        if self.pooling == "avg":
            x = layers.GlobalAveragePooling2D(name="avg_pool", **options)(x)
        elif self.pooling == "max":
            x = layers.GlobalMaxPooling2D(name="max_pool", **options)(x)
        return x

    def model(self, image, outputs):
        """The model from `image` to `outputs`, with its weights."""
        inputs = image if self.input_tensor is None else keras.utils.get_source_inputs(image)
        model = keras.Model(inputs, outputs, name=self.name)
        if self.weights is not None:
            model.load_weights(self.weights)
        return model


def _dense(x, units, **options):
    return layers.Dense(units, **options)(x)


def _fields(kind):
    return [field for field in dataclasses.fields(kind) if field.name != "owner"]


def constructor(classes, name=None, twin=None, documents=None, **fixed):
    """Makes a constructor with the shared arguments from a function that takes them as one `Conventions`.

    Args:
        classes: Integer, default number of classes.
        name: String, name of the constructor; that of the function by default.
        twin: Dataclass like `SparseTwin`, whose fields are arguments of the constructor, too; the function takes an
            instance of it as its second argument. Or None.
        documents: Dictionary of texts that stand in several docstrings, by the word that holds their place.
        **fixed: Arguments of the function that the constructor does not offer.

    Returns:
        A decorator. The function's docstring may hold `{name}`, and `{shared}`, `{twin}` and words of `documents`, in
        whose places the documentation of those arguments comes.
    """
    kinds = [Conventions] if twin is None else [Conventions, twin]

    def decorate(function):
        owner = name or function.__name__
        defaults = {"classes": classes, "name": owner.lower()}
        own = list(inspect.signature(function).parameters.values())[len(kinds) :]
        common = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=defaults.get(field.name, field.default),
            )
            for kind in reversed(kinds)
            for field in _fields(kind)
        ]
        signature = inspect.Signature([p for p in own if p.name not in fixed] + common)

        def construct(*args, **kwargs):
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{owner}() {error}. It takes: {', '.join(signature.parameters)}.") from None
            bound.apply_defaults()
            arguments = {**bound.arguments, **fixed}
            shared = [
                kind(owner=owner, **{field.name: arguments.pop(field.name) for field in _fields(kind)})
                for kind in kinds
            ]
            return function(*shared, **arguments)

        construct.__signature__ = signature
        construct.__name__ = construct.__qualname__ = owner
        construct.__module__ = function.__module__
        texts = {"name": owner, "shared": SHARED_DOC, **(documents or {})}
        if twin is not None:
            texts["twin"] = twin.ARGUMENTS_DOC
        construct.__doc__ = function.__doc__
        for word, text in texts.items():
            construct.__doc__ = construct.__doc__.replace(f"{{{word}}}", text.lstrip())
        return construct

    return decorate
