"""Moves connections during `fit`: some go, as many come elsewhere."""

import numbers

import numpy as np
from keras import ops

from keras_sparse import checks, criteria
from keras_sparse.analysis.definition_order import sparse_layers
from keras_sparse.callbacks.gradient_batch import GradientBatch
from keras_sparse.callbacks.moves_connections import MovesConnections, per_connection
from keras_sparse.callbacks.slots import slots
from keras_sparse.gradients import loss_gradients
from keras_sparse.patterns.ranking import keep_highest
from keras_sparse.schedules import Constant, Cosine
from keras_sparse.topologies.topology import count_to_cut

GROWTH = ("random", "gradient", "momentum")
# Under which names Keras's optimizers keep a running mean of gradients.
MOMENTUM = ("momentums", "_momentums", "_m", "m")


class Rewire(MovesConnections):
    """Drops the weakest connections and grows as many others; each layer has as many as before.

    With `grow="random"` it is SET, with "gradient" RigL (the gradients of cut connections on a batch, the largest
    come), with "momentum" SNFS (the optimizer's running mean of those gradients; it is kept for cut weights too, and
    they count in `clipnorm`). New connections start at zero, with zero in the optimizer's slots. What was dropped does
    not come back in the same update, unless there is nothing else to grow. Random growth moves the connections of
    compact layers too; the others need the masked format.

    Args:
        drop: Number in [0, 1), fraction of a layer's connections that moves at each update: `floor(drop * n)` of n. It
            falls to zero along a cosine if `until` is given. Or a `Schedule` of that fraction, which then has its own
            times.
        grow: "random", "gradient" or "momentum".
        frequency: Integer >= 1, steps from one update to the next; the first is at step `frequency`.
        until: Integer > `frequency` or None, the last step; RigL stops at three quarters of the training.
        criterion: `Criterion` or its name, by which the weakest are told: "magnitude", "random" or "saliency".
        exclude: Layers to leave alone: names, patterns, "first", "last", layers, classes of layers, or a list of these.
        data: For gradients: a tuple of arrays `(x, y)`, a data set of batches (its first one: another each time if it
            shuffles anew, also when a run is resumed), or a function from the step to a batch.
        batch_size: Integer >= 1, examples that are drawn from arrays.
        seed: Integer >= 0.
        counts_from: Integer >= 0 or None, `optimizer.iterations` at step 0, where no file can tell; see `Prune`.

    Raises:
        ValueError: If an argument is out of range or missing, the model has no cut connections, or its optimizer no
            momentum that `grow="momentum"` could go by.

    Reference:
        Mocanu et al., Scalable training of artificial neural networks with adaptive sparse connectivity inspired by
        network science, 2018, https://arxiv.org/abs/1707.04780;
        Evci et al., Rigging the lottery: making all tickets winners, 2020, https://arxiv.org/abs/1911.11134;
        Dettmers and Zettlemoyer, Sparse networks from scratch, 2019, https://arxiv.org/abs/1907.04840

    Example:
        >>> model = keras_sparse.sparsify(model, 0.9, topology="random_edge", allocation="erdos_renyi_kernel", seed=0)
        >>> model.compile("sgd", "sparse_categorical_crossentropy")
        >>> rigl = Rewire(drop=0.3, grow="gradient", frequency=100, until=7500, data=(images, labels))
        >>> model.fit(images, labels, epochs=10, callbacks=[rigl])
    """

    def __init__(
        self,
        drop=0.3,
        grow="random",
        frequency=100,
        until=None,
        criterion="magnitude",
        exclude=None,
        data=None,
        batch_size=256,
        seed=0,
        counts_from=None,
    ):
        self.grow = checks.choice("grow", grow, self, GROWTH)
        if isinstance(drop, numbers.Real):
            drop = checks.number("drop", drop, self, 0, 1, exclude_maximum=True)
            frequency = checks.integer("frequency", frequency, self, minimum=1)
            if until is None:
                drop = Constant(drop, begin=frequency, frequency=frequency)
            else:
                hint = "It is the last step, after the first update at step `frequency`."
                checks.integer("until", until, self, minimum=frequency + 1, hint=hint)
                drop = Cosine(drop, until, begin=frequency, frequency=frequency)
        elif until is not None:
            raise checks.error("until", self, "None if `drop` is a schedule", until, "The schedule has its own end.")
        super().__init__(drop, exclude, seed, counts_from)
        self.formats = ("masked", "compact") if grow == "random" else ("masked",)
        self.criterion = criteria.get(criterion, owner=self)
        needs = self.criterion.gradients
        if needs not in (None, "loss"):
            raise checks.error(
                "criterion", self, "'magnitude', 'random' or 'saliency'", criterion,
                "The others rank connections once, before or after training.",
            )  # fmt: skip
        self.batches = None
        if grow == "gradient" or needs:
            why = "grow='gradient'" if grow == "gradient" else f"The criterion {criterion!r}"
            self.batches = GradientBatch(data, batch_size, seed, self, why)

    def prepare(self, model):
        if self.grow == "momentum":
            self._train_cut_weights()
            model.train_function = None  # it was compiled without

    def _train_cut_weights(self):
        for layer in self.find_layers(self.model):
            layer.train_cut_weights(True)

    def check_layers(self, layers):
        if not sparse_layers(self.model):
            self._refuse("no sparse layer")
        super().check_layers(layers)
        self._may_be_dense = True
        if self.grow == "momentum":
            self._train_cut_weights()  # of layers that `Prune` has turned since, if it comes later in the list
            optimizer = self.model.optimizer
            optimizer.build(self.model.trainable_variables)
            for layer in layers:
                self._momentum(layer)

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        if self.grow == "momentum":
            model = self.model
            for layer in self.layers:
                layer.train_cut_weights(False)
            model.train_function = None

    def _refuse(self, what):
        raise ValueError(
            f"`model` of Rewire must have cut connections, to grow in the place of others. Received: the model "
            f"{self.model.name!r} with {what}. Make it sparse with `sparsify` first, or let `Prune` cut before."
        )

    def update(self, step):
        if self._may_be_dense and all(layer.mask.all() for layer in self.layers):
            # Not before training: `Prune` may cut in the meantime.
            self._refuse(f"all connections at step {step}, the first update")
        self._may_be_dense = False
        fraction = checks.number("drop", self.schedule(step), self, 0, 1, exclude_maximum=True)
        gradients = [None] * len(self.layers)
        if self.batches is not None:
            gradients = loss_gradients(self.model, self.layers, self.batches.at(step), owner=self)
        for index, (layer, gradient) in enumerate(zip(self.layers, gradients, strict=True)):
            rng, mask = self.rng(step, index), layer.mask
            dropped = self.criterion.scores(layer.dense_kernel(), gradient, rng)
            growth = self._growth(layer, gradient, rng)
            scores = (per_connection(score, mask) for score in (dropped, growth))
            self.move(layer, rewired(mask, *scores, fraction))

    def _growth(self, layer, gradient, rng):
        if self.grow == "random":
            return rng.random(layer.mask.shape)
        return np.abs(gradient if self.grow == "gradient" else ops.convert_to_numpy(self._momentum(layer)))

    def _momentum(self, layer):
        found = slots(self.model.optimizer, layer.trained_kernel)
        for name in MOMENTUM:
            if name in found:
                return found[name]
        raise checks.error(
            "grow", self, "'random' or 'gradient' with an optimizer that keeps no momentum", self.grow,
            f"{type(self.model.optimizer).__name__} has {', '.join(found) or 'no slots'}; take SGD(momentum=0.9) or "
            "Adam.",
        )  # fmt: skip


def rewired(mask, strength, growth, fraction):
    """A mask with as many connections, some of them elsewhere.

    Args:
        mask: Boolean array, True = connected.
        strength: Array of the same shape; of the connected ones the lowest go.
        growth: Array of the same shape; of the others the highest come.
        fraction: Number in [0, 1): `floor(fraction * connected)` move.

    Returns:
        Boolean array.

    Example:
        >>> weights, gradients = np.array([-9, 1, 4, -1, 5, 8, -2, 3]), np.array([0, 9, 3, 9, 1, 0, 0, 2])
        >>> mask = np.array([0, 1, 0, 1, 0, 1, 1, 0], dtype=bool)
        >>> rewired(mask, np.abs(weights), gradients, fraction=0.5).astype(int)
        array([0, 0, 1, 0, 0, 1, 1, 1])
    """
    connected = int(mask.sum())
    moving = count_to_cut(connected, fraction, "rewired") if connected else 0
    if not moving:
        return mask.copy()
    kept = keep_highest(np.where(mask, strength, -np.inf), connected - moving)
    # First what was cut before, then, if that is not enough, what has just been dropped.
    candidates = np.where(mask, -np.inf, growth)
    fresh = min(moving, int((~mask).sum()))
    grown = keep_highest(candidates, fresh)
    again = keep_highest(np.where(mask & ~kept, growth, -np.inf), moving - fresh)
    return kept | grown | again
