"""A whole stage of equal units as one layer, whose graph does not grow with their number."""

import keras
from keras import ops

from keras_sparse import aggregation, checks
from keras_sparse.layers.paper_layers import BN_EPSILON, BN_MOMENTUM, channel_axis, kernel_initializer
from keras_sparse.loops import OPERATORS
from keras_sparse.loops.block_loop import BlockLoop
from keras_sparse.loops.packed_units import PackedUnits
from keras_sparse.loops.unit import Unit


@keras.saving.register_keras_serializable(package="keras_sparse")
class LoopedAggregationBlock(keras.layers.Layer):
    """`SparseAggregationBlock` of equal `PreactivationUnit`s, as loops over packed weights.

    The same function, in another form. What is unrolled there, a thousand layers with ten variables each, is here a
    few loops and ten variables, in which the weights of all units lie one beside the other: it is built, traced, saved
    and loaded in a time that hardly depends on how many units there are. In training it keeps their outputs and what
    their inner convolutions read; normalised images are made once more where the gradient needs them.

    Its gradient is written by hand: where that is to be differentiated again, or forwards (`jax.jvp`, `jax.hessian`,
    `tf.GradientTape.jacobian`), take the unrolled form.

    On several replicas of `tf.distribute`, whose moments cannot be added up within a loop, units are run one by one.

    Where a stage changes the shape of images, its first unit and the shortcut are layers of their own.
    `unroll` and `roll` turn models from one form into the other.

    Args:
        units: Integer >= 1, number of units.
        filters, kernel_size: Integers or tuples of integers, one for each convolution of a unit.
        pattern, base: As in `SparseAggregationBlock`.
        operator: "concat", "sum" or "mean".
        shortcut: Keras layer or None, as in `SparseAggregationBlock`.
        first_unit: Keras layer, the first of the units, which reads the same as the shortcut; None without one.
        data_format: "channels_last", "channels_first", or None for Keras's setting.
        remat: Boolean, whether to compute once more what inner convolutions read, instead of keeping it; and where
            units read little (a running sum, a short window), outputs too, of a quarter of the block at a time.
        **kwargs: As for every Keras layer. Units are named `<name>_block1`, `<name>_block2`, ...

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)` with "channels_first".

    Output shape:
        As in `SparseAggregationBlock`.

    Raises:
        ValueError: If an argument is out of range, or the operator joins in a way of its own.

    Example:
        >>> block = LoopedAggregationBlock(100, filters=4, kernel_size=3)
        >>> block(keras.ops.ones((1, 8, 8, 4))).shape      # seven outputs of four channels
        (1, 8, 8, 28)
    """

    def __init__(
        self,
        units,
        filters,
        kernel_size,
        pattern="exponential",
        base=aggregation.DEFAULT_BASE,
        operator="concat",
        shortcut=None,
        first_unit=None,
        data_format=None,
        remat=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = checks.integer("units", units, owner=self, minimum=1 if shortcut is None else 2)
        self.filters = checks.integers("filters", filters, owner=self, minimum=1)
        self.kernel_size = checks.integers(
            "kernel_size", kernel_size, owner=self, minimum=1, count=len(self.filters), what="convolutions in `filters`"
        )
        self.data_format = data_format or keras.config.image_data_format()
        checks.choice("data_format", self.data_format, self, ("channels_last", "channels_first"))
        self.axis = channel_axis(self.data_format)
        self.pattern = aggregation.get_pattern(pattern, base, owner=self)
        self.operator = aggregation.get_operator(operator, owner=self)
        if type(self.operator) not in OPERATORS:
            raise checks.error(
                "operator", self, "'concat', 'sum' or 'mean'", operator,
                "A loop has the gradients of these; SparseAggregationBlock takes any operator.",
            )  # fmt: skip
        if (shortcut is None) != (first_unit is None):
            raise checks.error(
                "first_unit", self, "given with a shortcut, and not without", first_unit, "It reads what that reads."
            )
        self.shortcut, self.first_unit = shortcut, first_unit
        self.remat = checks.choice("remat", remat, self, (True, False))
        # XLA on a CPU runs convolutions in loops several times slower.
        self.supports_jit = keras.backend.backend() != "tensorflow"
        self._initializers = None

    @classmethod
    def from_units(cls, units, shortcut=None, **kwargs):
        """The block of some `PreactivationUnit`s that were not built, with the initial weights that they would have.

        Args:
            units: List of `PreactivationUnit`, of which only the first may have strides, and only with a shortcut.
            shortcut: Keras layer or None.
            **kwargs: Other arguments of the constructor.
        """
        unit = units[-1]
        first = None if shortcut is None else units[0]
        block = cls(
            len(units), unit.filters, unit.kernel_size, shortcut=shortcut, first_unit=first,
            data_format=unit.data_format, **kwargs,
        )  # fmt: skip
        looped = units if first is None else units[1:]
        block._initializers = [[layer.kernel_initializer for layer in one.convolutions] for one in looped]
        return block

    def build(self, input_shape):
        given = self._given(keras.KerasTensor(tuple(input_shape), dtype=self.compute_dtype))  # builds its layers
        self.packed = self._packed(given)
        self.variables_of_units = [
            [self._packed_variable(j, name, shape) for name, shape in zip(PackedUnits.NAMES, shapes, strict=True)]
            for j, shapes in enumerate(self.packed.shapes())
        ]

    def _packed(self, given):
        """Where weights lie, if this is there to begin with."""
        widths = [given[0].shape[self.axis]] + [self.filters[-1]] * (self.units + 1)
        sources = [self.pattern.sources(unit) for unit in range(len(given), self.units + 1)]
        concat = isinstance(self.operator, aggregation.Concat)
        read = [sum(widths[i] for i in found) if concat else widths[found[0]] for found in sources]
        return PackedUnits([(width, *self.filters[:-1]) for width in read], self.filters, self.kernel_size)

    def _packed_variable(self, j, name, shape):
        if name != "kernel":
            initializer = "ones" if name in ("gamma", "moving_variance") else "zeros"
        else:

            def initializer(shape, dtype=None):
                # Each unit draws its own, as unrolled.
                shapes = [self.packed.unit_shapes(unit)[j][-1] for unit in range(len(self.packed.widths))]
                own = [one[j] for one in self._initializers or ()] or [kernel_initializer() for _ in shapes]
                return ops.concatenate([draw(s, dtype) for draw, s in zip(own, shapes, strict=True)], axis=-2)

        return self.add_weight(
            shape=shape,
            initializer=initializer,
            trainable=not name.startswith("moving"),
            autocast=name == "kernel",
            name=f"{j + 1}_{name}",
        )

    def _given(self, inputs):
        """The outputs that are there before the loops begin."""
        if self.shortcut is None:
            return [inputs]
        return [self.shortcut(inputs), self.first_unit(inputs)]

    def call(self, inputs, training=None):
        given = [ops.cast(tensor, self.compute_dtype) for tensor in self._given(inputs)]
        training = bool(training) and self.trainable  # as a frozen BatchNormalization
        loop = BlockLoop(
            self.packed, Unit(self.data_format, BN_EPSILON), self.pattern, self.operator, given, training, self.remat
        )
        variables = [ops.convert_to_tensor(variable) for one in self.variables_of_units for variable in one]
        output, statistics = loop(given, variables)
        if training:
            moving = [variable for _, _, *moments, _ in self.variables_of_units for variable in moments]
            for variable, batch in zip(moving, statistics, strict=True):
                variable.assign(variable * BN_MOMENTUM + batch * (1 - BN_MOMENTUM))
        return output

    def compute_output_spec(self, inputs, training=None):
        shape = list(inputs.shape)
        if self.shortcut is not None:
            shape = list(self.shortcut.compute_output_shape(tuple(shape)))
        if isinstance(self.operator, aggregation.Concat):
            sources = self.pattern.sources(self.units + 1)
            shape[self.axis] = sum(self.filters[-1] if i else shape[self.axis] for i in sources)
        return keras.KerasTensor(tuple(shape), dtype=self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return self.compute_output_spec(keras.KerasTensor(tuple(input_shape), dtype=self.compute_dtype)).shape

    @property
    def links(self):
        """Number of links into the units."""
        return self.pattern.links(self.units)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "units": self.units,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "pattern": serialize(self.pattern),
            "operator": serialize(self.operator),
            "shortcut": None if self.shortcut is None else serialize(self.shortcut),
            "first_unit": None if self.first_unit is None else serialize(self.first_unit),
            "data_format": self.data_format,
            "remat": self.remat,
        }

    @classmethod
    def from_config(cls, config):
        given = {name: config[name] for name in ("shortcut", "first_unit") if config.get(name) is not None}
        deserialize = keras.saving.deserialize_keras_object
        return cls(**{**config, **{name: deserialize(layer) for name, layer in given.items()}})
