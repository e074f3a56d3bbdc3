"""Cuts connections during `fit`."""

import warnings

import numpy as np
from keras import ops

from keras_sparse import allocation as allocations
from keras_sparse import checks, criteria, patterns
from keras_sparse.allocation.by_name import by_name, checked_share
from keras_sparse.callbacks.channel_groups import ChannelGroups
from keras_sparse.callbacks.gradient_batch import GradientBatch
from keras_sparse.callbacks.moves_connections import MovesConnections, per_connection
from keras_sparse.gradients import flow_gradients, hessian_gradients, loss_gradients
from keras_sparse.topologies.topology import check_sparsity

SCOPES = ("layer", "global")


class Prune(MovesConnections):
    """Cuts the connections that matter least, as a schedule says: once, or more and more of them.

    Works on any compiled model: stock layers (`Dense`, `EinsumDense`, `Conv1D`, `Conv2D`, `Conv3D`, those inside
    attention included) become masked ones when `fit` begins, with their names, weights and optimizer state; see
    `mask_in_place`. Sparse layers in the masked format keep what they have cut. In `SparseConv2D` connections between
    channels are cut, otherwise single weights. What is cut stays exactly zero.

    Time is counted in updates of the optimizer and saved with the model: a run that is killed and resumed has the same
    masks as one that was not. It goes on in the next `fit`, too; `transforms.restart_clock(model)` sets it to 0.

    Args:
        schedule: `Schedule` of the sparsity, name of one, or a function from the step to a sparsity. Every update cuts
            `floor(sparsity * n)` of n connections; those of equal score from the last position on.
        criterion: `Criterion` or its name: what a connection is worth. "magnitude", "random" and "movement" need no
            data; "synflow" none either; "saliency", "snip" and "grasp" take gradients on `data`.
        scope: "layer", every layer takes the sparsity that `allocation` gives it; or "global", one ranking over all.
        pattern: `Pattern` or its name, what is cut together: "unstructured", "2:4" (of four consecutive inputs two are
            kept), "block:4x4", "channel" (whole outputs of a layer; those that are summed go together, and `shrink`
            then takes them out of the model).
        allocation: For scope "layer": name in `allocation.ALLOCATIONS`, a function of your own, or a dictionary from
            names or patterns of layers to the sparsities that these have in the end, and a part of as the schedule has
            come; all others follow the schedule.
        exclude: Layers to leave alone: names, patterns, "first", "last", layers, classes of layers, or a list of these.
        data: What gradients are taken on: a tuple of arrays `(x, y)`, a data set of batches (its first one: another
            each time if it shuffles anew, also when a run is resumed), or a function from the step to a batch.
        batch_size: Integer >= 1, examples that are drawn from arrays.
        seed: Integer >= 0, for "random" and the examples.

    Raises:
        ValueError: If an argument is out of range or unknown, `data` is missing where it is needed, or the model has
            nothing to prune.

    Reference:
        Zhu and Gupta, To prune, or not to prune: exploring the efficacy of pruning for model compression, 2017,
        https://arxiv.org/abs/1710.01878

    Example:
        >>> schedule = keras_sparse.schedules.Polynomial(0.0, 0.9, begin=0, end=2000, frequency=200)
        >>> model.fit(images, labels, epochs=10, callbacks=[Prune(schedule)])
        >>> model.save("pruned.keras")      # the masks are in it; `keras_sparse.strip(model)` has stock layers again
    """

    def __init__(
        self,
        schedule,
        criterion="magnitude",
        scope="layer",
        pattern="unstructured",
        allocation="uniform",
        exclude=None,
        data=None,
        batch_size=256,
        seed=0,
    ):
        super().__init__(schedule, exclude, seed)
        self.criterion = criteria.get(criterion, owner=self)
        self.scope = checks.choice("scope", scope, self, SCOPES)
        self.pattern = patterns.get(pattern, owner=self)
        self.allocation = allocation if isinstance(allocation, dict) else allocations.get(allocation, owner=self)
        if scope == "global" and allocation != "uniform":
            raise checks.error(
                "allocation", self, "left out with scope='global'", allocation,
                "One ranking over all layers decides how much each of them loses.",
            )  # fmt: skip
        targets = [] if self.schedule.target is None else [self.schedule.target]
        if isinstance(allocation, dict):
            if not any(targets):
                raise checks.error(
                    "allocation", self, "no dictionary with a schedule that does not say where it ends", allocation,
                    "Take OneShot or Polynomial, or give your Schedule a `target` above 0.",
                )  # fmt: skip
            targets += [checked_share(share, allocation, name, self) for name, share in allocation.items()]
        for target in targets:
            self.pattern.cut_among(1000, target)  # refuses what cannot be that sparse
        if self.criterion.gradients == "movement" and self.schedule.due(0) == 0 and self.schedule(0) > 0:
            raise checks.error(
                "criterion", self, "one that needs no history, to cut connections at step 0", criterion,
                "Before the first step nothing has moved: let the schedule begin later.",
            )  # fmt: skip
        self.batches = None
        if self.criterion.gradients in ("loss", "hessian"):
            self.batches = GradientBatch(data, batch_size, seed, self, f"The criterion {self.criterion!r}")

    def prepare(self, model):
        super().prepare(model)
        if self.criterion.gradients == "movement":
            for layer in self.find_layers(model):
                layer.watch_movement()

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._groups = None
        if isinstance(self.allocation, dict):
            self._shares(0.0)  # finds all its names

    def on_epoch_begin(self, epoch, logs=None):
        if self._clock is None:
            self.start_clock()
            self._watch(restart=self._clock.begun < 0)
            if self.criterion.at_initialization and self._clock.begun < 0 and self._updates():
                warnings.warn(
                    f"{self.criterion!r} is a criterion for models that were not trained yet, and the optimizer has "
                    f"made {self._updates()} updates. Prune first, or by 'magnitude' or 'saliency'.",
                    stacklevel=2,
                )
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_end(self, batch, logs=None):
        self._watch()
        super().on_train_batch_end(batch, logs)

    def _updates(self):
        return int(ops.convert_to_numpy(self.model.optimizer.iterations))

    def _watch(self, restart=False):
        if self.criterion.gradients == "movement":
            _ = self.model  # brings the variables up to date on JAX
            for layer in self.layers:
                layer.add_movement(restart)

    def is_behind(self, step):
        sizes = [layer.mask.size for layer in self.layers]
        wanted = sum(size * share for size, share in zip(sizes, self._shares(self._sparsity(step)), strict=True))
        cut = sum(sizes) - sum(layer.mask.sum() for layer in self.layers)
        # Groups do not always divide a layer; single connections do, but for one.
        slack = len(sizes) if isinstance(self.pattern, patterns.Unstructured) else 0.1 * sum(sizes)
        return cut + slack < wanted

    def update(self, step):
        """Cuts what the schedule wants cut at a step, in as many rounds as the criterion needs."""
        wanted = 1 - self._sparsity(step)
        before = sum(layer.mask.sum() for layer in self.layers) / sum(layer.mask.size for layer in self.layers)
        for done in range(1, self.criterion.rounds + 1):
            density = before * self.criterion.density_after(done, wanted / before)
            for layer, mask in zip(self.layers, self._masks(1 - density, step), strict=True):
                self.move(layer, mask)
        empty = [layer.name for layer in self.layers if not layer.mask.any()]
        if empty:
            warnings.warn(
                f"Prune has cut all connections of {', '.join(empty)} at step {step}: nothing gets through. Lower the "
                "sparsity, exclude these layers, or use scope='layer'.",
                stacklevel=2,
            )

    def _sparsity(self, step):
        return check_sparsity(self.schedule(step), owner=self.schedule)

    def _shares(self, sparsity):
        if isinstance(self.allocation, dict):
            target = self.schedule.target
            shares = by_name(self.allocation, [layer.name for layer in self.layers], target, owner=self)
            return [share * (sparsity / target) for share in shares]
        shapes = [tuple(layer.trained_kernel.shape) for layer in self.layers]
        return self.allocation(shapes, sparsity)

    def _masks(self, sparsity, step):
        masks = [layer.mask for layer in self.layers]
        scores = self._scores(masks, step)
        if isinstance(self.pattern, patterns.Channel):
            shares = None if self.scope == "global" else self._shares(sparsity)
            if self._groups is None:  # of the model, which stays as it is until training ends
                self._groups = ChannelGroups(self.model, self.layers)
            kept = self._groups.masks(self.pattern, scores, sparsity, shares)
        elif self.scope == "global":
            kept = self.pattern.masks(scores, sparsity)
        else:
            kept = [self.pattern.mask(*pair) for pair in zip(scores, self._shares(sparsity), strict=True)]
        return [new & old for new, old in zip(kept, masks, strict=True)]  # what is cut stays cut

    def _scores(self, masks, step):
        """What each connection is worth, in the shape of the masks; nothing is worth less than what is cut."""
        kernels = [layer.dense_kernel() for layer in self.layers]
        scores = self.criterion.scores_of(kernels, self._gradients(step), self.rng(step))
        scores = [per_connection(*pair) for pair in zip(scores, masks, strict=True)]
        lowest = min((s[m].min() for s, m in zip(scores, masks, strict=True) if m.any()), default=0.0)
        low = 0.0 if lowest > 0 or isinstance(self.pattern, patterns.Channel) else np.nextafter(lowest, -np.inf)
        return [np.where(m, s, low) for s, m in zip(scores, masks, strict=True)]

    def _gradients(self, step):
        kind, model = self.criterion.gradients, self.model
        if kind == "loss":
            return loss_gradients(model, self.layers, self.batches.at(step), owner=self)
        if kind == "hessian":
            return hessian_gradients(model, self.layers, self.batches.at(step), owner=self)
        if kind == "flow":
            return flow_gradients(model, self.layers, owner=self)
        return [layer.movement for layer in self.layers] if kind == "movement" else None
