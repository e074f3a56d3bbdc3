"""Draws, for each example, whether one column of a FractalNet runs alone."""

import keras
from keras import ops

from keras_sparse import checks


@keras.saving.register_keras_serializable(package="keras_sparse")
class PathSampler(keras.layers.Layer):
    """Global drop-path of FractalNet: half of the examples train a single column throughout the network.

    All blocks of one network must agree on that column, so it is drawn once, here, and handed to each
    `FractalBlock` as its second input. The other half are left to the blocks' own (local) drop-path. The paper
    draws once for a mini-batch; drawing for each example has the same expectation and needs no agreement
    between replicas.

    Args:
        columns: Integer >= 1, columns of the network.
        global_fraction: Number in [0, 1], fraction of the examples that use one column.
        seed: Integer or None.
        **kwargs: As for every Keras layer.

    Input shape:
        Any; only the batch size is read.

    Output shape:
        `(batch, columns)`: a one-hot row where one column runs alone, a row of zeros where local drop-path rules.
        At inference all rows are zero.

    Reference:
        Larsson et al., FractalNet, 2017, section 3, https://arxiv.org/abs/1605.07648

    Example:
        >>> PathSampler(columns=3, global_fraction=1.0, seed=0)(images, training=True).shape
        (32, 3)
    """

    def __init__(self, columns, global_fraction=0.5, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.columns = checks.integer("columns", columns, owner=self, minimum=1)
        self.global_fraction = checks.number("global_fraction", global_fraction, self, 0, 1)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        """Nothing to create: the layer has no weights."""

    def call(self, inputs, training=False):
        batch = ops.shape(inputs)[0]
        if not training:
            return ops.zeros((batch, self.columns), dtype=self.compute_dtype)
        column = keras.random.randint((batch,), 0, self.columns, seed=self.seed_generator)
        alone = keras.random.uniform((batch, 1), seed=self.seed_generator) < self.global_fraction
        one_hot = ops.one_hot(column, self.columns, dtype=self.compute_dtype)
        return one_hot * ops.cast(alone, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.columns)

    def get_config(self):
        return {
            **super().get_config(),
            "columns": self.columns,
            "global_fraction": self.global_fraction,
            "seed": self.seed,
        }
