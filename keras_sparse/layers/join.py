"""One join inside an aggregating layer."""

import keras
from keras import ops


class Join(keras.layers.Layer):
    """Accumulates tensors by an operator, as a layer of its own, so that a profile sees what joins cost.

    Lives inside `SparseAggregationBlock`, which saves what it is made of.
    """

    def __init__(self, operator, axis, **kwargs):
        super().__init__(**kwargs)
        self.operator = operator
        self.axis = axis

    def build(self, input_shape):
        """Nothing to create."""

    def call(self, tensors):
        return self.operator.accumulate([ops.cast(tensor, self.compute_dtype) for tensor in tensors], self.axis)

    def compute_output_spec(self, tensors):
        return keras.KerasTensor(self.call(tensors).shape, dtype=self.compute_dtype)
