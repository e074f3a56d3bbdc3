"""The arguments that every constructor shares with `keras.applications`: input, top, weights."""

import dataclasses
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
            papers' size with three channels by default.
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

    def image(self, default_size, minimum_size):
        """The input of the network, checked: height and width are `default_size` unless given."""
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
            self._check_shape(tuple(self.input_tensor.shape[1:]), minimum_size)
            return self.input_tensor
        default = [default_size, default_size]
        default.insert(self.axis - 1, 3)
        shape = default if self.input_shape is None else self.input_shape
        shape = tuple(shape) if isinstance(shape, (list, tuple)) else (shape,)
        self._check_shape(shape, minimum_size)
        return layers.Input(shape=shape)

    def _check_shape(self, shape, minimum_size):
        sizes = shape[:2] if self.data_format == "channels_last" else shape[1:]
        right = (
            len(shape) == 3
            and all(size is None or (isinstance(size, numbers.Integral) and size >= 1) for size in shape)
            and shape[self.axis - 1] is not None
            and all(size is None or size >= minimum_size for size in sizes)
        )
        if not right:
            order = "height, width, channels" if self.axis == 3 else "channels, height, width"
            raise checks.error(
                "input_shape", self.owner,
                f"three numbers ({order}) with height and width >= {minimum_size}", shape,
                "Resize the images, or check the order of the axes.",
            )  # fmt: skip

    def classify(self, x, features=None):
        """The end of the network, from its last feature map.

        Args:
            x: Feature map.
            features: Function from the feature map to the classifier's input; global average by default.
        """
        options = {"data_format": self.data_format}
        if self.include_top:
            average = layers.GlobalAveragePooling2D(name="avg_pool", **options)
            x = (features or average)(x)
            # Under mixed precision the probabilities must not be in half precision.
            half = keras.config.dtype_policy().compute_dtype in ("float16", "bfloat16")
            return layers.Dense(
                self.classes,
                activation=self.classifier_activation,
                dtype="float32" if half else None,
                name="predictions",
            )(x)
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


SHARED = [field for field in dataclasses.fields(Conventions) if field.name != "owner"]


def constructor(classes, name=None, **fixed):
    """Makes a constructor with the shared arguments from a function that takes them as one `Conventions`.

    Args:
        classes: Integer, default number of classes.
        name: String, name of the constructor; that of the function by default.
        **fixed: Arguments of the function that the constructor does not offer.

    Returns:
        A decorator. The function's docstring may hold `{name}` and `{shared}`, the documentation of what is shared.
    """

    def decorate(function):
        owner = name or function.__name__
        defaults = {"classes": classes, "name": owner.lower()}
        own = list(inspect.signature(function).parameters.values())[1:]
        shared = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=defaults.get(field.name, field.default),
            )
            for field in SHARED
        ]
        signature = inspect.Signature([p for p in own if p.name not in fixed] + shared)

        def construct(*args, **kwargs):
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{owner}() {error}. It takes: {', '.join(signature.parameters)}.") from None
            bound.apply_defaults()
            arguments = {**bound.arguments, **fixed}
            conventions = Conventions(owner=owner, **{field.name: arguments.pop(field.name) for field in SHARED})
            return function(conventions, **arguments)

        construct.__signature__ = signature
        construct.__name__ = construct.__qualname__ = owner
        construct.__module__ = function.__module__
        construct.__doc__ = function.__doc__.replace("{name}", owner).replace("{shared}", SHARED_DOC.lstrip())
        return construct

    return decorate
