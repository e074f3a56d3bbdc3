"""The fractal expansion of a convolution, with drop-path."""

import keras
from keras import ops

from keras_sparse import checks
from keras_sparse.layers.paper_layers import batch_normalization, convolution, deserialized, shown

MAXIMUM_COLUMNS = 10  # the longest of ten columns has 512 convolutions


@keras.saving.register_keras_serializable(package="keras_sparse")
class FractalBlock(keras.layers.Layer):
    """`f_1 = conv`, `f_{C+1} = (f_C after f_C) joined with conv`: C columns, the longest of `2^(C-1)` convolutions.

    A convolution is Conv2D, BatchNormalization, ReLU. Columns that end a convolution at the same depth are
    joined by their mean, and all of them go on from the join. In training, local drop-path leaves out each
    input of a join with probability `drop_path`, but never all of them; an example for which `PathSampler`
    chose a column takes that column alone.

    Args:
        filters: Integer, filters of every convolution.
        columns: Integer in [1, 10], columns C.
        kernel_size: Integer.
        drop_path: Number in [0, 1), probability that a join loses one of its inputs.
        data_format: "channels_last", "channels_first", or None for Keras's setting.
        seed: Integer or None, of the local drop-path.
        convolutions: None, or a list of convolution layers to use (sparse ones, say) instead of making them.
        **kwargs: As for every Keras layer.

    Input shape:
        Images `(batch, height, width, channels)`, or a list of images and the rows of `PathSampler`.

    Output shape:
        `(batch, height, width, filters)`.

    Reference:
        Larsson, Maire and Shakhnarovich, FractalNet: ultra-deep neural networks without residuals, 2017,
        https://arxiv.org/abs/1605.07648

    Example:
        >>> FractalBlock(16, columns=3)(keras.ops.ones((2, 8, 8, 3))).shape
        (2, 8, 8, 16)
    """

    # `sparsify` and its like may exchange these: a configuration can hold them.
    replaceable_sublayers = "convolutions"

    def __init__(
        self,
        filters,
        columns=3,
        kernel_size=3,
        drop_path=0.15,
        data_format=None,
        seed=None,
        convolutions=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = checks.integer("filters", filters, owner=self, minimum=1)
        self.columns = checks.integer("columns", columns, owner=self, minimum=1, maximum=MAXIMUM_COLUMNS)
        self.kernel_size = checks.integer("kernel_size", kernel_size, owner=self, minimum=1)
        self.drop_path = checks.number("drop_path", drop_path, self, 0, 1, exclude_maximum=True)
        self.data_format = data_format or keras.config.image_data_format()
        checks.choice("data_format", self.data_format, self, ("channels_last", "channels_first"))
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        # Column c, shortest first, has 2^c convolutions; convs and norms are in order of depth, then column.
        self.depth = 2 ** (self.columns - 1)
        self.relu = keras.layers.ReLU(dtype=self.dtype_policy, name=f"{self.name}_relu")
        made, self.norms = [], []
        for step in range(1, self.depth + 1):
            for column in self.ending(step):
                name = f"{self.name}_column{column + 1}_{step}"
                made.append(
                    convolution(
                        self.filters, self.kernel_size, self.data_format, f"{name}_conv", dtype=self.dtype_policy
                    )
                )
                self.norms.append(batch_normalization(self.data_format, f"{name}_bn", dtype=self.dtype_policy))
        self._given_convolutions = convolutions is not None
        self.convolutions = convolutions or made

    def ending(self, step):
        """The columns with a convolution that ends at depth `step` (1 to `depth`)."""
        return [c for c in range(self.columns) if step % 2 ** (self.columns - 1 - c) == 0]

    def _forward(self, inputs, convolve, join):
        states = [inputs] * self.columns
        layers = iter(zip(self.convolutions, self.norms, strict=True))
        joined = None
        for step in range(1, self.depth + 1):
            ending = self.ending(step)
            joined = join([convolve(*next(layers), states[c]) for c in ending], ending)
            for c in ending:
                states[c] = joined
        return joined

    def _images(self, inputs):
        return inputs[0] if isinstance(inputs, (list, tuple)) else inputs

    def build(self, input_shape):
        shape = input_shape[0] if isinstance(input_shape[0], (list, tuple)) else input_shape

        def convolve(convolution, norm, shape):
            if not convolution.built:  # a given one may have been
                convolution.build(shape)
            shape = convolution.compute_output_shape(shape)
            norm.build(shape)
            return shape

        self._forward(tuple(shape), convolve, join=lambda shapes, ending: shapes[0])

    def call(self, inputs, training=False):
        paths = inputs[1] if isinstance(inputs, (list, tuple)) else None

        def join(tensors, ending):
            if len(tensors) == 1:
                return tensors[0]
            stacked = ops.stack(tensors, axis=1)
            if not training:
                return ops.mean(stacked, axis=1)
            weights = self._join_weights(ops.shape(stacked)[0], ending, paths)
            return ops.sum(stacked * ops.reshape(weights, (-1, len(ending), 1, 1, 1)), axis=1)

        return self._forward(
            self._images(inputs),
            convolve=lambda convolution, norm, x: self.relu(norm(convolution(x))),
            join=join,
        )

    def _join_weights(self, batch, ending, paths):
        """Weights `(batch, inputs)` of a join in training: rows add up to one."""
        count = len(ending)
        draws = keras.random.uniform((batch, count), seed=self.seed_generator)
        # The input with the largest draw always survives: never all are left out.
        survives = ops.logical_or(draws >= self.drop_path, draws >= ops.max(draws, 1, keepdims=True))
        weights = ops.cast(survives, self.compute_dtype)
        if paths is not None:
            chosen = ops.cast(ops.take(paths, ending, axis=1), self.compute_dtype)
            alone = ops.sum(ops.cast(paths, self.compute_dtype), axis=1, keepdims=True) > 0
            ends_here = ops.sum(chosen, axis=1, keepdims=True) > 0
            # Where the chosen column does not end at this join, nothing of the join reaches its path.
            chosen = ops.where(ends_here, chosen, ops.ones_like(chosen))
            weights = ops.where(alone, chosen, weights)
        return weights / ops.sum(weights, axis=1, keepdims=True)

    def compute_output_spec(self, inputs, training=False):
        return self._forward(
            self._images(inputs),
            convolve=lambda convolution, norm, x: self.relu.compute_output_spec(
                norm.compute_output_spec(convolution.compute_output_spec(x))
            ),
            join=lambda tensors, ending: tensors[0],
        )

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "columns": self.columns,
            "kernel_size": self.kernel_size,
            "drop_path": self.drop_path,
            "data_format": self.data_format,
            "seed": self.seed,
            "convolutions": shown(self.convolutions, self._given_convolutions),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "convolutions": deserialized(config.get("convolutions"))})
