"""From few connections to many, while training goes on."""

import numpy as np
from keras import ops

from keras_sparse import checks
from keras_sparse.callbacks.moves_connections import MovesConnections
from keras_sparse.callbacks.relay import relay
from keras_sparse.layers.connected_initializer import reseeded
from keras_sparse.topologies.connections import Connections

NEW = ("zeros", "initializer")


class Densify(MovesConnections):
    """Adds random connections to the sparse layers of a model, as a schedule of their density says.

    Incremental training: build the model with few connections (`sparsify(model, sparsity=0.99)`), and let them
    double every so many steps until all are there. A layer that has more connections than the schedule says keeps
    them. In the masked format connections come right after the step that they are due; in the compact format the
    layer is laid out anew, which happens between epochs. What is drawn follows from the layer's seed and the step, so
    that replicas and hosts agree.

    The step is saved with the model: a run that is stopped, saved to `.keras` (or, masked, to `.weights.h5`) and
    taken up again goes on where it was. With compact layers save whole models: a list of weights, which `EarlyStopping`
    puts back with `restore_best_weights` and `BackupAndRestore` with each resume, does not fit a layer that has grown.

    Args:
        schedule: `Schedule`, its name, or a function from the step (updates of the optimizer) to a density in (0, 1].
        new: "zeros", new connections start at zero, so that the function of the model does not jump; or
            "initializer", they are drawn by the layer's kernel initializer.

    Raises:
        ValueError: If an argument is none of these; in `fit`, if the model has no sparse layer or the schedule gives
            something else than a density.

    Reference:
        Changpinyo et al., The power of sparsity in convolutional neural networks, 2017, section 4.4,
        https://arxiv.org/abs/1702.06257

    Example:
        >>> doubling = keras_sparse.schedules.Doubling(initial=0.01, period=10_000)
        >>> model.fit(images, labels, epochs=90, callbacks=[Densify(doubling)])
    """

    formats = ("masked", "compact")

    def __init__(self, schedule, new="zeros"):
        super().__init__(schedule)
        self.new = checks.choice("new", new, self, NEW)

    def prepare(self, model):
        pass  # a stock layer has all connections already

    def check_layers(self, layers):
        if not layers:
            raise ValueError(
                f"`model` of Densify must have sparse layers. Received: the model {self.model.name!r} with none. Make "
                "it sparse with `sparsify` first."
            )

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._applied = None

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        due = self.schedule.due(self._clock.read(self.model))
        if due is not None:
            self._grow_compact(self._density(due), due)

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            _ = self.model  # brings the variables up to date on JAX
            connected = sum(layer.connected_weights for layer in self.layers)
            logs["density"] = connected / sum(layer.dense_weights for layer in self.layers)

    def is_behind(self, step):
        return True  # what is there already is not added again

    def update(self, step):
        density = self._density(step)
        if density == self._applied:
            return
        self._applied = density
        for index, layer in enumerate(self.layers):
            grown = self._grown(index, layer, density, step) if layer.format == "masked" else None
            if grown is not None:
                before = layer.mask
                self.move(layer, grown.mask().reshape(before.shape))
                if self.new == "initializer":
                    self._draw(layer, grown, before, self._initializer(index, layer, step))

    def _density(self, step):
        density = self.schedule(step)
        if not 0 < density <= 1:
            raise checks.error(
                "schedule", self, "a function from the step to a density in (0, 1]", density, f"That was step {step}."
            )
        return density

    def _grown(self, index, layer, density, step):
        return added(layer.connections, density, np.random.SeedSequence([layer.seed, index, step]))

    def _grow_compact(self, density, step):
        compact = [(i, layer) for i, layer in enumerate(self.layers) if layer.format == "compact"]
        changes = []
        for index, layer in compact:
            grown = self._grown(index, layer, density, step)
            if grown is not None:
                new = self._initializer(index, layer, step) if self.new == "initializer" else None
                changes.append((layer, grown, new))
        if changes:
            relay(self.model, changes)

    def _initializer(self, index, layer, step):
        # Its own seed is another one after loading.
        seed = np.random.SeedSequence([layer.seed, index, step]).generate_state(1)[0] >> 1
        return reseeded(layer.kernel_initializer, int(seed))

    def _draw(self, layer, connections, before, initializer):
        kernel = layer.trained_kernel
        drawn = layer.drawn_kernel(initializer, connections)
        kernel.assign(np.where(before, ops.convert_to_numpy(kernel), drawn))


def added(connections, density, seed):
    """The connections with random ones more, up to a density; None if there are as many already.

    Args:
        connections: `Connections`.
        density: Number in (0, 1].
        seed: Integer or `numpy.random.SeedSequence`.

    Returns:
        `Connections` of the same blocks, or None.
    """
    b = connections.block_size
    rows, columns = connections.fan_in // b, connections.fan_out // b
    missing = round(density * rows * columns) - len(connections)
    if missing <= 0:
        return None
    taken = connections.inputs.astype(np.int64) * columns + connections.outputs
    # Places are drawn among those that are free: the i-th free cell is the i-th number that is not taken.
    free = rows * columns - len(taken)
    drawn = np.sort(np.random.default_rng(seed).choice(free, size=missing, replace=False, shuffle=False))
    taken.sort()
    cells = drawn + np.searchsorted(taken - np.arange(len(taken)), drawn, side="right")
    cells = np.concatenate([taken, cells])
    return Connections.from_pairs(cells // columns, cells % columns, connections.fan_in, connections.fan_out, b)
