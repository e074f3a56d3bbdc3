"""The connections of a layer with a sparse kernel: what they are, and how they move."""

import math

import keras
import numpy as np
from keras import ops

from keras_sparse import checks
from keras_sparse.kernels.masked import counts_passes, masked
from keras_sparse.layers.connected_initializer import ConnectedInitializer
from keras_sparse.topologies.connections import Connections, as_mask


class KernelConnections:
    """The part of `SparseKernel` that knows connections; it works on the variables that `SparseKernel` makes."""

    @property
    def connections(self):
        """The connections as they are now, a `topologies.Connections`."""
        if not self.built:
            raise AttributeError(f"{checks.describe(self)} has no connections before it is built: call it first.")
        if self.format == "masked":
            blocks = self.block_size
            mask = matrix(ops.convert_to_numpy(self._mask_variable))
            try:
                return Connections.from_mask(mask, blocks, owner=self)
            except ValueError:  # connections may have moved out of their blocks
                return Connections.from_mask(mask, owner=self)
        indices = (ops.convert_to_numpy(index) for index in (self._inputs, self._outputs))
        return Connections(*indices, *self._size, self.block_size)

    @property
    def mask(self):
        """Boolean array, True = connected, as it is now: `(fan_in, fan_out)`, or of the kernel's shape where each
        weight is a connection of its own (`MaskedConv2D`)."""
        if self.built and self.format == "masked":
            return np.array(ops.convert_to_numpy(self._mask_variable))
        return self.connections.mask().reshape(self._dense_shape()[len(self.positions) :])

    @property
    def connected_weights(self):
        """Number of weights that are connected, over all positions of the kernel."""
        return self.connections.count * math.prod(self.positions)

    @property
    def dense_weights(self):
        """Number of weights that the kernel of a dense layer would have."""
        connections = self.connections
        return connections.fan_in * connections.fan_out * math.prod(self.positions)

    @property
    def trained_kernel(self):
        """The variable that holds the kernel, with LoRA too."""
        return self._kernel

    def set_mask(self, mask, trained=True):
        """Moves the connections: surviving ones keep their weights, new ones start at zero.

        Args:
            mask: Boolean array of the shape of `mask`.
            trained: Boolean, whether an optimizer has trained the layer. It then holds momentum for connections that
                are cut, against which the kernel is masked once more after each step; False spares that.

        Raises:
            ValueError: If the mask has another shape or, in the compact format, another number of connections than
                the layer has room for.
        """
        mask = np.asarray(mask)
        if self.quantization_mode is not None:
            raise ValueError(
                f"`mask` of {checks.describe(self)} must be set before the layer is quantized. Received: a layer with "
                f"the policy {self.dtype_policy.name!r}. Move connections first, quantize afterwards."
            )
        if mask.shape != (now := self.mask).shape:
            raise checks.error("mask", self, f"of shape {now.shape}", mask.shape, "Pass one entry for each pair.")
        mask = as_mask(matrix(mask), owner=self).reshape(mask.shape)
        if self.format == "masked":
            kernel = ops.convert_to_numpy(masked(self._kernel, mask & now))
            self._mask_variable.assign(mask)
            self._kernel.assign(kernel)
            if self._guard is not None and not trained:
                self._guard.forget()
            self._moved.assign(trained)
            self._look_at(mask)
            return
        connections = Connections.from_mask(matrix(mask), self.block_size, owner=self)
        if len(connections) != self._inputs.shape[0]:
            raise checks.error(
                "mask", self, f"one with {self.connections.count} connections, for which the layer has room",
                connections.count, "The Densify callback re-lays a compact layer; or use format='masked'.",
            )  # fmt: skip
        self._kernel.assign(moved(ops.convert_to_numpy(self._kernel), self.connections, connections))
        self._inputs.assign(connections.inputs)
        self._outputs.assign(connections.outputs)

    @property
    def has_moved(self):
        """Whether an optimizer may hold something for cut weights, so that they must be put back after each step."""
        return bool(ops.convert_to_numpy(self._moved))

    def train_cut_weights(self, train):
        """Whether cut weights, which stay zero, have gradients and momentum as if they were connected.

        To be called before the training step is compiled.
        """
        self.has_dense_gradient = train
        if train:
            self._moved.assign(True)  # the optimizer moves them at every step, and they are put back

    def watch_movement(self):
        """From now on keeps the sum of `weight * change of the weight`, in a variable that is saved with the layer."""
        if self._movement is None:
            self._tracker.unlock()
            self._add_movement(self._kernel.shape)
            self._tracker.lock()

    def _add_movement(self, shape):
        # The sum, and the weights up to which it goes.
        self._movement = self._add_frozen("movement", np.zeros((2, *shape), "float32"), "float32")

    @property
    def movement(self):
        """Array of the kernel's shape: how far each weight has moved away from zero, times its size."""
        return ops.convert_to_numpy(self._movement)[0]

    def add_movement(self, restart=False):
        """Adds the change since it was called last; with `restart` nothing, what comes from now on counts."""
        total, before = ops.convert_to_numpy(self._movement)
        now = ops.convert_to_numpy(self._kernel).astype("float32")
        total = np.zeros_like(total) if restart else total + before * (now - before)
        self._movement.assign(np.stack([total, now]))

    def cut_zeros(self):
        """Takes weights of exactly zero for cut ones, unless all are: those of a stock layer that was pruned once."""
        kernel = ops.convert_to_numpy(self._kernel)
        mask = (kernel != 0).any(axis=tuple(range(len(self.positions))))
        if mask.any() and not mask.all():
            self.set_mask(mask, trained=False)
            self.was_cut_before = True

    def _look_at(self, mask):
        # A search through the graph, and only `after_update` asks for what it finds, where passes count.
        if counts_passes() and self._kernel.constraint is not None:
            self._kernel.constraint.samples = samples(mask)

    def relay(self, connections, initializer=None):
        """Gives a compact layer room for other connections; its variables are new ones afterwards.

        A compiled model must be told (the `Densify` callback does): its train function and the optimizer's slots
        belong to the old variables.

        Args:
            connections: `Connections`, block for block.
            initializer: Keras initializer that draws new connections; None starts them at zero.
        """
        before, values = self.connections, ops.convert_to_numpy(self._kernel)
        new = None
        if initializer is not None:
            new = self.drawn_kernel(initializer, connections)
        values = moved(values, before, connections, new)
        names, kinds = ("_kernel", "_inputs", "_outputs"), ("_trainable_variables", "_non_trainable_variables")
        old = {name: getattr(self, name) for name in names}
        lists = {kind: list(getattr(self, kind)) for kind in kinds}
        self._tracker.unlock()
        for variable in old.values():
            self._untrack_variable(variable)
        self._tracker.unlock()
        self._add_indices(connections)
        self._add_values(len(connections), initializer=lambda shape, dtype: ops.convert_to_tensor(values, dtype=dtype))
        self._tracker.lock()
        # Same path and same place in the list: an optimizer tells its slots apart by these.
        renewed = {id(variable): getattr(self, name) for name, variable in old.items()}
        for name, variable in old.items():
            getattr(self, name)._path = variable.path
        self._kernel.trainable = old["_kernel"].trainable
        for kind, variables in lists.items():
            getattr(self, kind)[:] = [renewed.get(id(variable), variable) for variable in variables]

    def dense_kernel(self):
        """The kernel of the dense layer that computes the same: array of Keras's kernel shape, zeros included."""
        kernel = ops.convert_to_numpy(self.kernel)
        if self.format == "masked":
            return np.where(self.mask, kernel, np.zeros((), kernel.dtype))
        c, b = self.connections, self.block_size
        values = kernel.reshape(len(c), *self.positions, b, b)
        dense = np.zeros((c.fan_in // b, c.fan_out // b, *values.shape[1:]), values.dtype)
        dense[c.inputs, c.outputs] = values  # (in, out, positions, b, b)
        positions = len(self.positions)
        dense = np.moveaxis(dense, (0, 1), (positions, positions + 1))  # (positions, in, out, b, b)
        dense = np.swapaxes(dense, -3, -2)  # (positions, in, b, out, b)
        return dense.reshape(self._dense_shape())

    def set_dense_kernel(self, kernel):
        """Takes over the connected part of a dense kernel; what is not connected is left out."""
        kernel = np.asarray(kernel)
        if self.format == "masked":
            self._kernel.assign(np.where(self.mask, kernel, np.zeros((), kernel.dtype)))
            return
        c, b = self.connections, self.block_size
        blocks = kernel.reshape(*self.positions, c.fan_in // b, b, c.fan_out // b, b)
        positions = len(self.positions)
        blocks = np.moveaxis(blocks, (positions, positions + 2), (0, 1))  # (in, out, positions, b, b)
        self._kernel.assign(blocks[c.inputs, c.outputs].reshape(self._kernel.shape))

    def drawn_kernel(self, initializer, connections):
        """An array as `trained_kernel`, with other `Connections`, drawn by a Keras initializer and their fans."""
        compact, shape = self.format == "compact", tuple(self._kernel.shape)
        draw = ConnectedInitializer(initializer, connections, compact=compact, positions=self.window)
        return ops.convert_to_numpy(draw((len(connections), *shape[1:]) if compact else shape, self._kernel.dtype))

    def _dense_shape(self):
        """Shape of the kernel that a dense layer would have."""
        return (*self.positions, *self._size)


def renew_modules(model):
    """PyTorch only: tells a model of the variables that its layers have now, after `relay` gave them new ones.

    `model.parameters()`, and with it Keras's training step, would go on with the old ones.
    """
    if keras.backend.backend() == "torch":
        for layer in model._flatten_layers():
            for module in (layer, getattr(layer, "_functional", None)):
                if module is not None:
                    module._track_variables()


def matrix(mask):
    """A mask as a matrix, one column for each output."""
    return mask.reshape(-1, mask.shape[-1])


def samples(mask):
    """One cut connection within each component of the graph that has any, as positions in the flattened mask.

    A mask with more than two axes is taken matrix by matrix, as optimizers do that look at whole matrices.
    """
    matrices = mask.reshape(-1, *mask.shape[-2:])
    found = [_samples_of_matrix(one) + i * one.size for i, one in enumerate(matrices)]
    return np.concatenate(found).astype(np.int32)


def _samples_of_matrix(mask):
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    units = sum(mask.shape)
    rows, columns = np.nonzero(mask)
    graph = sparse.coo_matrix((np.ones(len(rows), np.int8), (rows, columns + mask.shape[0])), shape=(units, units))
    labels = connected_components(graph, directed=False)[1]
    inside = ~mask & (labels[: mask.shape[0], None] == labels[None, mask.shape[0] :])
    cut = np.flatnonzero(inside)
    _, first = np.unique(labels[cut // mask.shape[1]], return_index=True)
    return cut[first]


def moved(values, before, after, new=None):
    """Values of the connections `after`: those of `before` where they persist, otherwise `new` or zero."""
    rows = before.fan_in // before.block_size
    keys = [c.outputs.astype(np.int64) * rows + c.inputs for c in (before, after)]
    result = np.zeros((len(after), *values.shape[1:]), values.dtype) if new is None else np.array(new)
    _, old, kept = np.intersect1d(*keys, assume_unique=True, return_indices=True)
    result[kept] = values[old]
    return result
