"""The arguments that every constructor shares with `keras.applications`: input, top, weights."""

import dataclasses
import inspect
from pathlib import Path

import keras
from keras import layers

from keras_sparse import checks
from keras_sparse.layers.preactivation_unit import channel_axis

SHARED_DOC = """
        include_top: Boolean, whether to end in the classifier.
        weights: None (random initialisation) or the path of a weights file that this architecture saved. No
            trained weights are published; `transplant_weights` takes over those of `keras.applications`.
        input_tensor: Keras tensor to build on, instead of a new input.
        input_shape: Tuple without the batch axis, in the order of `keras.config.image_data_format()`;
            {default_shape} by default.
        pooling: None, "avg" or "max": what follows the last feature map if `include_top` is False.
        classes: Integer, number of classes.
        classifier_activation: Activation of the classifier; None for logits.
        name: String, name of the model.
"""


@dataclasses.dataclass(kw_only=True)
class Conventions:
    """The shared arguments of one constructor call, checked on arrival."""

    owner: str
    default_size: int
    minimum_size: int
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

    def image(self):
        """The input of the network, checked."""
        if self.input_tensor is not None:
            if self.input_shape is not None and tuple(self.input_shape) != self.input_tensor.shape[1:]:
                raise checks.error(
                    "input_shape", self.owner, f"that of `input_tensor`, {self.input_tensor.shape[1:]}",
                    self.input_shape, "Pass only one of the two.",
                )  # fmt: skip
            self._check_shape(tuple(self.input_tensor.shape[1:]))
            return self.input_tensor
        size = self.default_size
        default = (size, size, 3) if self.data_format == "channels_last" else (3, size, size)
        shape = default if self.input_shape is None else tuple(self.input_shape)
        self._check_shape(shape)
        return layers.Input(shape=shape)

    def _check_shape(self, shape):
        sizes = shape[:2] if self.data_format == "channels_last" else shape[1:]
        right = (
            len(shape) == 3
            and shape[self.axis - 1] is not None
            and all(size is None or size >= self.minimum_size for size in sizes)
        )
        if not right:
            order = "height, width, channels" if self.axis == 3 else "channels, height, width"
            raise checks.error(
                "input_shape", self.owner,
                f"three numbers ({order}) with height and width >= {self.minimum_size}", shape,
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


def variant(base, name, **fixed):
    """A constructor that is `base` with some arguments fixed, with a signature and documentation of its own.

    Args:
        base: Function.
        name: String, name of the new constructor.
        **fixed: Arguments it no longer takes.
    """

    def constructor(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.arguments.setdefault("name", name.lower())
        return base(**fixed, owner=name, **bound.arguments)

    hidden = {*fixed, "owner"}
    signature = inspect.Signature(
        [p for p in inspect.signature(base).parameters.values() if p.name not in hidden]
    )
    constructor.__signature__ = signature
    constructor.__name__ = constructor.__qualname__ = name
    constructor.__module__ = base.__module__
    constructor.__doc__ = base.__doc__.replace("{name}", name)
    return constructor
