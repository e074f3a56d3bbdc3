"""What `MaskedDense` and `SparseConv2D` share: connections, the two formats, saving."""

import math

import keras
import numpy as np
from keras import ops

from keras_sparse import checks, topologies
from keras_sparse.kernels import choice
from keras_sparse.kernels.masked import Guard, counts_passes, in_product, masked
from keras_sparse.layers.connected_initializer import WITHOUT_SHAPE, ConnectedInitializer
from keras_sparse.layers.kernel_connections import KernelConnections
from keras_sparse.layers.mask_constraint import MaskConstraint
from keras_sparse.layers.saved_connections import SavedConnections
from keras_sparse.topologies.topology import check_sparsity

FORMATS = ("masked", "compact")
# To which a weight of zero is nothing.
ELEMENTWISE_REGULARIZERS = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)
DEFAULTS = {"sparsity": 0.9, "block_size": 1, "seed": None}

ARGUMENTS_DOC = """\
sparsity: Number in [0, 1), fraction of pairs that are not connected; for a topology that is given by name.
        topology: Name in `topologies.TOPOLOGIES`; boolean array `(fan_in, fan_out)`, True = connected; or `Topology`,
            which brings its own sparsity, block size and seed.
        format: "masked", a dense kernel and a mask, whose connections may move; or "compact", one value for each
            connection (for each connected block a dense one) and its index: the kernel, its gradient and its
            optimizer slots take memory for the connections only.
        block_size: Integer >= 1; the topology is then one of blocks, each dense.
        seed: Integer or None, of the topology; None draws one and keeps it in the configuration. The weights are
            drawn by the initializer, which has its own.
        implementation: How a compact layer computes its product: "native", "blocked", "gather", "scattered" (see
            `keras_sparse.kernels`), or "auto", the fastest by estimate. What cannot be had where the layer runs is
            replaced by what can, with a warning if it was asked for by name."""


class SparseKernel(SavedConnections, KernelConnections):
    """To be mixed into a Keras layer with a kernel, in front of its Keras class.

    A cut weight is zero from the start, takes no part in the product, and so has no gradient; in the masked format
    a `MaskConstraint` also keeps it at exactly zero through every update. The mask is a weight: a saved layer has its
    very connections back, wherever they have moved.

    A class that mixes it in provides `_fans(input_shape)` and `positions`, the leading axes of the kernel that share
    the mask, and calls `_connect` in its constructor.
    """

    has_dense_gradient = False  # cut weights, which are zero, then have gradients as if they were connected
    has_compact_format = True
    was_cut_before = False  # before it had a mask: a stock layer from a file, with weights of zero
    window = 1  # positions that the inputs of its connections tell apart

    def _mask_shape(self, input_shape):
        return self._fans(input_shape)

    def _connect(self, sparsity, topology, format, block_size, seed, implementation="auto"):
        self.format = checks.choice("format", format, self, FORMATS)
        given = {"sparsity": sparsity, "block_size": block_size, "seed": seed}
        self._topology_name = topology if isinstance(topology, str) else None
        if self._topology_name is not None:
            check_sparsity(sparsity, owner=self)
            checks.integer("block_size", block_size, owner=self, minimum=1)
            if seed is not None:
                checks.integer("seed", seed, owner=self, minimum=0)
            self.topology = topologies.get(topology, **given, owner=self)
        else:
            is_mask = isinstance(topology, (np.ndarray, list, tuple))
            blocks = {"block_size": block_size, "seed": seed} if is_mask else {}
            self.topology = topologies.get(topology, **blocks, owner=self)
            for name, value in given.items():
                own = getattr(self.topology, name, None)
                if value not in (DEFAULTS[name], own):
                    raise checks.error(
                        name, self, f"left out, or that of its topology, {own!r}", value,
                        f"The topology is given, {self.topology!r}: set it there.",
                    )  # fmt: skip
        self.sparsity = getattr(self.topology, "sparsity", None)
        self.block_size, self.seed = self.topology.block_size, self.topology.seed
        self.implementation = choice.check(implementation, self.format, self.block_size, owner=self)
        self._restored_pairs = self._guard = self._movement = None
        self._had_movement = False
        if self.format == "compact":
            self._check_compact()

    def _check_compact(self):
        for argument, allowed in (
            ("kernel_initializer", WITHOUT_SHAPE),
            ("kernel_regularizer", ELEMENTWISE_REGULARIZERS),
            ("kernel_constraint", (keras.constraints.NonNeg,)),
        ):
            value = getattr(self, argument)
            if value is not None and not isinstance(value, allowed):
                raise checks.error(
                    argument, self, f"one of {', '.join(kind.__name__ for kind in allowed)} with format='compact'",
                    value, "A list of values has no rows and columns for it to look at; use format='masked'.",
                )  # fmt: skip
        if self.lora_rank:
            raise checks.error("lora_rank", self, "None with format='compact'", self.lora_rank, NO_LORA)

    # Building

    def build(self, input_shape):
        try:
            connections = self._restored(self.topology.connections(*self._fans(input_shape)))
        except ValueError as error:
            raise ValueError(f'{error} (layer "{self.name}")') from error
        if self.format == "masked":
            self._add_mask(connections.mask().reshape(self._mask_shape(input_shape)))
        else:
            self._add_indices(connections)
            self._add_clock()
        given = self.kernel_initializer
        self.kernel_initializer = ConnectedInitializer(
            given, connections, compact=self.format == "compact", positions=self.window
        )
        try:
            self._build_kernel(input_shape, connections)
        finally:
            self.kernel_initializer = given

    def _build_kernel(self, input_shape, connections):
        if self.format == "compact":
            self._build_compact(input_shape)
            return
        super().build(input_shape)
        if self._had_movement:
            self._add_movement(self._kernel.shape)
        if self.quantization_mode is None:
            self._mask_kernel()

    def _add_mask(self, mask):
        self._mask_variable = self._add_frozen("mask", mask, "bool")
        self._moved = self._add_frozen("moved", np.zeros((), "bool"), "bool")
        self._add_clock()

    def _add_clock(self):
        # The step up to which the connections have moved, and the optimizer's iterations then; see callbacks.Clock.
        self.mask_step = self._add_frozen("mask_step", np.array([-1, 0], "int32"), "int32")

    def _mask_kernel(self):
        self._kernel.constraint = MaskConstraint.of_layer(self._mask_variable, self.kernel_constraint, self._moved)
        self._look_at(self.mask)
        if not isinstance(self.kernel_regularizer, (type(None), *ELEMENTWISE_REGULARIZERS)):
            # Others may push cut weights away from zero.
            regularize, mask = self.kernel_regularizer, self._mask_variable
            self._kernel.regularizer = lambda kernel: regularize(masked(kernel, mask))
        if counts_passes():
            self._guard = Guard(self._kernel, self._mask_variable, self._moved)

    def _build_compact(self, input_shape):
        # What Keras's build does, with values in the place of the kernel.
        axis = 1 if getattr(self, "data_format", None) == "channels_first" else -1
        self.input_spec = keras.InputSpec(min_ndim=self.input_spec.min_ndim, axes={axis: input_shape[axis]})
        self._add_values(self._inputs.shape[0])
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self._fans(input_shape)[1],),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.built = True

    def _add_values(self, pairs, initializer=None):
        blocks = () if self.block_size == 1 else (self.block_size,) * 2
        self._kernel = self.add_weight(
            name="values",
            shape=(pairs, *self.positions, *blocks),
            initializer=initializer or self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )

    def _add_indices(self, connections):
        self._size = (connections.fan_in, connections.fan_out)
        self._inputs = self._add_frozen("inputs", connections.inputs, "int32")
        self._outputs = self._add_frozen("outputs", connections.outputs, "int32")

    def _add_frozen(self, name, value, dtype):
        return self.add_weight(
            name=name,
            shape=value.shape,
            initializer=lambda shape, dtype: ops.convert_to_tensor(value, dtype=dtype),
            dtype=dtype,
            trainable=False,
            autocast=False,
            # The same on all replicas of tf.distribute.
            aggregation="only_first_replica",
        )

    # The kernel in the product

    @property
    def implementation_in_use(self):
        """Name of the implementation that computes the product: "masked", or one of `kernels.IMPLEMENTATIONS`."""
        return "masked" if self.format == "masked" else self._chosen_implementation(build=False)

    def _chosen_implementation(self, build=True):
        return choice.choose(self.implementation, self._workload(), self.compute_dtype, build)

    def _workload(self):
        positions = math.prod(self.positions) if self.positions else None
        return choice.Workload(self._inputs.shape[0], positions, *self._size, self.block_size)

    @property
    def kernel(self):
        """The trained variable: dense in the masked format, `values` in the compact one.

        With LoRA a tensor: the kernel and what LoRA adds to its connections.
        """
        if self.format == "compact":
            if not self.built:
                raise AttributeError("You must build the layer before accessing `kernel`.")
            return self._kernel
        kernel = super().kernel
        return masked(kernel, self._mask_variable) if self.lora_enabled else kernel

    @property
    def values(self):
        """The trained variable of the compact format, one value (or dense block) for each connected pair."""
        if self.format == "masked":
            raise AttributeError(f"{checks.describe(self)} is masked: its weights are in `kernel`.")
        return self.kernel

    def _masked_kernel(self, training):
        if self.lora_enabled:
            return self.kernel
        mask = self._kernel.constraint.saw(ops.convert_to_tensor(self._mask_variable))
        if self.has_dense_gradient:
            return ops.convert_to_tensor(self._kernel)
        return in_product(ops.convert_to_tensor(self._kernel), mask, training)

    def enable_lora(self, rank, *args, **kwargs):
        if self.format == "compact":
            raise checks.error("rank", self, "None with format='compact'", rank, NO_LORA)
        if self.quantization_mode is not None:
            raise checks.error(
                "rank", self, f"None for a layer quantized to {self.quantization_mode!r}", rank,
                "Keras adds LoRA to a quantized product without a look at the mask; enable it on the float layer.",
            )  # fmt: skip
        super().enable_lora(rank, *args, **kwargs)

    def get_config(self):
        name = self._topology_name
        return {
            **super().get_config(),
            "sparsity": self.sparsity,
            "topology": keras.saving.serialize_keras_object(self.topology) if name is None else name,
            "format": self.format,
            "block_size": self.block_size,
            "seed": self.seed,
            "implementation": self.implementation,
        }


NO_LORA = "LoRA adds to a dense kernel, and a compact layer has none; use format='masked'."
