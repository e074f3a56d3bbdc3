"""A list of earlier outputs in, what the next layer reads out."""

import keras

from keras_sparse import aggregation


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
        self.axis = axis

    def build(self, input_shape):
        if not isinstance(input_shape, (list, tuple)) or not all(
            isinstance(shape, (list, tuple)) for shape in input_shape
        ):
            raise ValueError(
                f'`inputs` of SparseAggregation "{self.name}" must be a list of tensors, oldest first. '
                f"Received: one tensor of shape {tuple(input_shape)}. Wrap it in a list."
            )

    def _select(self, inputs):
        return [inputs[i] for i in self.pattern.sources(len(inputs))]

    def call(self, inputs):
        selected = self._select(inputs)
        self._check([x.shape for x in selected], len(inputs))
        return self.operator.finish(self.operator.accumulate(selected, self.axis), len(selected))

    def _check(self, shapes, available):
        self.operator.check(shapes, self.pattern.sources(available), self.axis, owner=self)

    def compute_output_spec(self, inputs):
        # The join itself, on symbolic tensors: its shape rules are those of the operations it uses.
        output = self.call(inputs)
        return keras.KerasTensor(output.shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "pattern": keras.saving.serialize_keras_object(self.pattern),
            "operator": keras.saving.serialize_keras_object(self.operator),
            "axis": self.axis,
        }
