"""A list of earlier outputs in, what the next layer reads out."""

import keras
from keras import ops

from keras_sparse import aggregation, checks


@keras.saving.register_keras_serializable(package="keras_sparse")
class SparseAggregation(keras.layers.Layer):
    """Selects from a list of earlier outputs by a pattern, and joins what it selected.

    For networks wired by hand; `SparseAggregationBlock` wires a whole stage.

    Args:
        pattern: Name in `aggregation.PATTERNS` ("all", "exponential", "hybrid", "previous", "window"), or
            a `Pattern`.
        base: Integer >= 2, for the patterns that have one.
        operator: "concat", "sum" or "mean", or an `Operator`.
        axis: Integer, the channel axis, along which "concat" concatenates.
        **kwargs: As for every Keras layer (`name`, `dtype`, ...).

    Input shape:
        List of n >= 1 tensors `y_0 .. y_{n-1}`, oldest first. Those that the pattern selects must have equal
        shapes ("sum", "mean"), or shapes that differ only along `axis` ("concat").

    Output shape:
        That of one input; with "concat", the selected channels added up.

    Raises:
        ValueError: If the inputs are no list, or the selected ones cannot be joined.

    Reference:
        Zhu et al., Sparsely aggregated convolutional networks, 2018, https://arxiv.org/abs/1801.05895

    Example:
        >>> outputs = [keras.ops.ones((2, 5)) * i for i in range(8)]
        >>> SparseAggregation(operator="sum")(outputs)[0, 0]      # 7 + 6 + 4 + 0
        17.0
    """

    def __init__(self, pattern="exponential", base=aggregation.DEFAULT_BASE, operator="concat", axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.pattern = aggregation.get_pattern(pattern, base, owner=self)
        self.operator = aggregation.get_operator(operator, owner=self)
        self.axis = checks.integer("axis", axis, owner=self, minimum=-8)

    def build(self, input_shape):
        """Nothing to create: the layer has no weights."""

    def call(self, inputs):
        if not isinstance(inputs, (list, tuple)) or not inputs:
            received = f"one tensor of shape {tuple(inputs.shape)}" if hasattr(inputs, "shape") else repr(inputs)
            raise ValueError(
                f'`inputs` of SparseAggregation "{self.name}" must be a non-empty list of tensors, oldest first. '
                f"Received: {received}. Wrap a single tensor in a list."
            )
        sources = self.pattern.sources(len(inputs))
        selected = [ops.cast(inputs[i], self.compute_dtype) for i in sources]
        self.operator.check([x.shape for x in selected], sources, self.axis, owner=self)
        return self.operator.finish(self.operator.accumulate(selected, self.axis), len(selected))

    def compute_output_spec(self, inputs):
        # The join itself, on symbolic tensors: its shape rules are those of the operations it uses.
        return keras.KerasTensor(self.call(inputs).shape, dtype=self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return self.compute_output_spec([keras.KerasTensor(shape) for shape in input_shape]).shape

    def get_config(self):
        return {
            **super().get_config(),
            "pattern": keras.saving.serialize_keras_object(self.pattern),
            "operator": keras.saving.serialize_keras_object(self.operator),
            "axis": self.axis,
        }
