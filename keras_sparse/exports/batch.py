"""The examples on which a model and its files are compared.

>>> batch = Batch.of(keras.Sequential([keras.Input((28, 28, 1), name="image"), keras.layers.Conv2D(8, 3)]))
>>> batch.values.shape, list(batch.named)
((16, 28, 28, 1), ['image'])
"""

import dataclasses
import re

import keras
import numpy as np
from keras import ops

from keras_sparse import checks
from keras_sparse.analysis.layer_calls import input_specs

EXAMPLES = 16
SEED = 0


@dataclasses.dataclass(frozen=True)
class Batch:
    """Examples in the structure that a model takes, and the names of its inputs.

    Attributes:
        values: Array, or structure of arrays.
        specs: `keras.InputSpec` for each of them in the same structure: sizes as the model knows them, any number of
            examples, and a name that is legal in every format.
    """

    values: object
    specs: object

    @classmethod
    def of(cls, model, values=None):
        """A batch for a model.

        Args:
            model: Built Keras model.
            values: Array, or structure of arrays, of at least one example; None draws 16: normal numbers of variance
                1, and 0 or 1 where the model takes integers or booleans.

        Returns:
            A `Batch`.

        Raises:
            ValueError: If `values` do not have the model's structure, or cannot be drawn.
        """
        struct = _inputs(model)
        values = _drawn(model) if values is None else _arranged(values, struct)
        arrays = keras.tree.flatten(values)
        if not arrays or any(array.ndim == 0 or len(array) == 0 for array in arrays):
            shapes = [array.shape for array in arrays]
            raise checks.error("batch", "export", "at least one example", shapes, "Pass some inputs of the model.")
        known = keras.tree.flatten(struct) if struct is not None else arrays
        if struct is not None:
            arrays = [a.astype(keras.backend.standardize_dtype(k.dtype)) for a, k in zip(arrays, known, strict=True)]
        specs = [
            keras.InputSpec(shape=(None, *k.shape[1:]), dtype=keras.backend.standardize_dtype(k.dtype), name=name)
            for k, name in zip(known, _names(known), strict=True)
        ]
        return cls(*(keras.tree.pack_sequence_as(values, flat) for flat in (arrays, specs)))

    @property
    def named(self):
        """Dictionary from the name of each input to its array."""
        pairs = zip(keras.tree.flatten(self.specs), keras.tree.flatten(self.values), strict=True)
        return {spec.name: array for spec, array in pairs}

    @property
    def signature(self):
        """What `model.export` takes as `input_signature`."""
        return [self.specs]


def predictions(model, batch):
    """What a Keras model predicts for a `Batch`: a flat list of arrays."""
    outputs = model(batch.values, training=False)
    return [ops.convert_to_numpy(output) for output in keras.tree.flatten(outputs)]


def _inputs(model):
    """The symbolic inputs of a functional or sequential model in their structure; None for others."""
    known = getattr(model, "inputs", None)
    return getattr(model, "_inputs_struct", known[0]) if known else None


def _drawn(model):
    try:
        specs = input_specs(model, None)
    except ValueError as error:
        raise checks.error(
            "batch", "export", "given for a model whose input sizes are not fully known", None, "Pass a few examples."
        ) from error
    rng = np.random.default_rng(SEED)
    struct = _inputs(model)
    count = (keras.tree.flatten(struct)[0].shape[0] if struct is not None else None) or EXAMPLES

    def draw(spec):
        shape = (count, *spec.shape[1:])
        if keras.backend.is_float_dtype(spec.dtype):
            return rng.normal(size=shape).astype(spec.dtype)
        if spec.dtype == "string":
            raise checks.error("batch", "export", "given for a model that takes text", None, "Pass a few examples.")
        return rng.integers(2, size=shape).astype(spec.dtype)

    return keras.tree.map_structure(draw, specs)


def _arranged(values, struct):
    """Arrays in the structure of the model; a single one may come with or without the list around it."""
    values = keras.tree.map_structure(np.asarray, values)
    if struct is None:
        return values
    flat, known = keras.tree.flatten(values), keras.tree.flatten(struct)
    if len(flat) != 1 or len(known) != 1:
        try:
            keras.tree.assert_same_structure(values, struct)
        except (ValueError, TypeError) as error:
            structure = keras.tree.map_structure(lambda tensor: tensor.name, struct)
            shapes = [array.shape for array in flat]
            raise checks.error(
                "batch", "export", f"in the structure of the model's inputs, {structure}", shapes,
                "Pass one array for each input, in the same list or dictionary.",
            ) from error  # fmt: skip
    return keras.tree.pack_sequence_as(struct, flat)


def _names(tensors):
    """Names of inputs: as in the model, where they are legal and differ; TensorFlow takes letters, digits and `_`."""
    names = [re.sub(r"\W", "_", getattr(tensor, "name", None) or "", flags=re.ASCII) for tensor in tensors]
    if len(set(names)) == len(names) and all(re.match(r"[A-Za-z]", name) for name in names):
        return names
    return [f"input_{i}" for i in range(len(names))]
