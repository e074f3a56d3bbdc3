"""A whole stage as one layer: each unit reads a sparse set of the outputs before it."""

import keras
from keras import ops

from keras_sparse import aggregation, checks
from keras_sparse.layers.join import Join
from keras_sparse.layers.preactivation_unit import PreactivationUnit
from keras_sparse.normalization import native
from keras_sparse.normalization.shared_moments import SharedMoments


@keras.saving.register_keras_serializable(package="keras_sparse")
class SparseAggregationBlock(keras.layers.Layer):
    """Runs units one after another, each on an aggregation of earlier outputs.

    With `y_0` the block's input, unit `l` computes `y_l = F_l(agg(y_{l-1}, y_{l-2}, y_{l-4}, ...))` (here
    for the exponential pattern with base 2; an offset is used as long as it is at most `l`). What leaves the
    block is the same aggregation applied once more, over all its outputs, `y_0` included. The block is one
    layer: a network of such blocks is as easy for Keras to walk as a shallow one.

    Where consecutive units read nested sets (`pattern="all"`), the join goes on from the one before instead of
    starting over, so that N units cost N additions or concatenations and not N^2 / 2.

    Args:
        units: Non-empty list of Keras layers, each used once; each maps one tensor to one tensor.
        pattern: Name in `aggregation.PATTERNS`, or a `Pattern`.
        base: Integer >= 2, for the patterns that have one.
        operator: "concat", "sum" or "mean", or an `Operator`.
        shortcut: Keras layer or None. Where the units change the shape, a sum cannot contain the block's
            input: then `y_0 = shortcut(input)`, and only the first unit reads the input itself.
        axis: Integer, the channel axis, along which "concat" concatenates.
        **kwargs: As for every Keras layer.

    Input shape:
        Any that the first unit (and the shortcut) accepts.

    Output shape:
        The aggregation of all outputs: with "concat" the channels of the sources added up, otherwise the
        shape of one output.

    Raises:
        ValueError: If `units` is empty, holds something else than layers or one layer twice, or if outputs
            that are read together cannot be joined.

    Reference:
        Zhu et al., Sparsely aggregated convolutional networks, 2018, https://arxiv.org/abs/1801.05895

    Example:
        >>> block = SparseAggregationBlock([keras.layers.Dense(4) for _ in range(7)])
        >>> block(keras.ops.ones((2, 16))).shape      # y_7, y_6, y_4 and y_0: 4 + 4 + 4 + 16
        (2, 28)
    """

    # Its configuration holds them in any case.
    replaceable_sublayers = "units"

    def __init__(
        self,
        units,
        pattern="exponential",
        base=aggregation.DEFAULT_BASE,
        operator="concat",
        shortcut=None,
        axis=-1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.pattern = aggregation.get_pattern(pattern, base, owner=self)
        self.operator = aggregation.get_operator(operator, owner=self)
        self.axis = checks.integer("axis", axis, owner=self, minimum=-8)
        self.units = self._checked_units(units)
        self.join = Join(self.operator, self.axis, dtype=self.dtype_policy, name="join")
        if shortcut is not None and not isinstance(shortcut, keras.layers.Layer):
            raise checks.error("shortcut", self, "a Keras layer or None", shortcut, "Pass a layer.")
        self.shortcut = shortcut

    def _checked_units(self, units):
        is_list = isinstance(units, (list, tuple))
        if not is_list or not units or not all(isinstance(u, keras.layers.Layer) for u in units):
            raise checks.error(
                "units", self, "a non-empty list of Keras layers", units, "Pass one layer for each unit."
            )
        if len({id(unit) for unit in units}) != len(units):
            names = [unit.name for unit in units]
            raise checks.error("units", self, "distinct layers", names, "Make a new layer for each place.")
        return list(units)

    @property
    def links(self):
        """Number of links into the units."""
        return self.pattern.links(len(self.units))

    def _forward(self, inputs, apply):
        """Runs the block, `apply(layer, tensor)` being the way to run a layer."""
        outputs = [inputs if self.shortcut is None else apply(self.shortcut, inputs)]
        joined_sources, total = [], None
        for available in range(1, len(self.units) + 2):
            sources = self.pattern.sources(available)
            self.operator.check([outputs[i].shape for i in sources], sources, self.axis, owner=self)
            if total is not None and sources[:-1] == joined_sources:
                parts = [total, outputs[sources[-1]]]
            else:
                parts = [outputs[i] for i in sources]
            joined_sources, total = sources, parts[0] if len(parts) == 1 else apply(self.join, parts)
            joined = self.operator.finish(total, len(sources))
            if available > len(self.units):
                # A unit may have a dtype policy of its own; what leaves the block has the block's.
                return ops.cast(joined, self.compute_dtype)
            reads_input = available == 1 and self.shortcut is not None
            outputs.append(apply(self.units[available - 1], inputs if reads_input else joined))

    def build(self, input_shape):
        # Calling a layer on a symbolic tensor builds it, however it builds its own state.
        self._forward(
            keras.KerasTensor(tuple(input_shape), dtype=self.compute_dtype),
            apply=lambda layer, tensor: layer(tensor),
        )

    def call(self, inputs, training=None):
        if not isinstance(inputs, keras.KerasTensor) and self._reads_outputs_unjoined:
            if training and all(unit.reads_moments for unit in self.units):
                return self._train(inputs)
            if not training and all(unit.is_folded for unit in self.units) and native.is_available(inputs, self.axis):
                return self._predict(inputs)
        return self._forward(inputs, apply=lambda layer, tensor: layer(tensor))

    @property
    def _reads_outputs_unjoined(self):
        concatenates = type(self.operator) is aggregation.Concat and self.shortcut is None
        return concatenates and all(isinstance(unit, PreactivationUnit) for unit in self.units)

    def _train(self, inputs):
        """The same in training, for units that take outputs and their moments unjoined: what is read often (by all
        later units, in a DenseNet) is looked at once."""
        is_native = self.compute_dtype == "float32" and native.is_available(inputs, self.axis)
        outputs = (native.RunningGradient if is_native else SharedMoments)(self.axis)
        outputs.append(inputs)
        for available, unit in enumerate(self.units, start=1):
            output = unit.train_on(outputs, self.pattern.sources(available))
            outputs.append(ops.cast(output, self.compute_dtype))
        return ops.cast(outputs.join(self.pattern.sources(len(outputs.tensors))), self.compute_dtype)

    def _predict(self, inputs):
        """The same in predictions, once batch normalisation is folded."""
        outputs = [inputs]
        for available, unit in enumerate(self.units, start=1):
            outputs.append(unit.predict_on([outputs[i] for i in self.pattern.sources(available)]))
        return self.join([outputs[i] for i in self.pattern.sources(len(outputs))])

    def compute_output_spec(self, inputs):
        output = self._forward(inputs, apply=lambda layer, tensor: layer.compute_output_spec(tensor))
        return keras.KerasTensor(output.shape, dtype=self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return self.compute_output_spec(keras.KerasTensor(tuple(input_shape), dtype=self.compute_dtype)).shape

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "units": [serialize(unit) for unit in self.units],
            "pattern": serialize(self.pattern),
            "operator": serialize(self.operator),
            "shortcut": None if self.shortcut is None else serialize(self.shortcut),
            "axis": self.axis,
        }

    @classmethod
    def from_config(cls, config):
        deserialize = keras.saving.deserialize_keras_object
        config = dict(config)
        config["units"] = [deserialize(unit) for unit in config["units"]]
        if config.get("shortcut") is not None:
            config["shortcut"] = deserialize(config["shortcut"])
        return cls(**config)
