"""Cuts connections during `fit`."""

import warnings

import numpy as np

from keras_sparse import allocation as allocations
from keras_sparse import checks, criteria, patterns
from keras_sparse.allocation.by_name import by_name
from keras_sparse.allocation.shares import checked_share, shares
from keras_sparse.callbacks.channel_groups import ChannelGroups
from keras_sparse.callbacks.clock import optimizer_count
from keras_sparse.callbacks.gradient_batch import GradientBatch
from keras_sparse.callbacks.left_dense import warn_of_left_dense
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
        counts_from: Integer >= 0 or None, `optimizer.iterations` at step 0 of the schedule. Needed for a model whose
            layers are all made by the code of a class (subclassed, not in its configuration) when it is loaded from a
            file to go on: no step is in such a file, and a warning says what is assumed. 0 if it was pruned from the
            start.

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
        counts_from=None,
    ):
        super().__init__(schedule, exclude, seed, counts_from)
        self.criterion = criteria.get(criterion, owner=self)
        self.scope = checks.choice("scope", scope, self, SCOPES)
        self.pattern = patterns.get(pattern, owner=self)
        self.allocation = allocation if isinstance(allocation, dict) else allocations.get(allocation, owner=self)
        if scope == "global" and allocation != "uniform":
            raise checks.error(
                "allocation", self, "left out with scope='global'", allocation,
                "One ranking over all layers decides how much each of them loses.",
            )  # fmt: skip
        if self.schedule.target is not None:
            self.pattern.cut_among(1000, self.schedule.target)  # refuses what cannot be that sparse
        if isinstance(allocation, dict):
            if not self.schedule.target:
                raise checks.error(
                    "allocation", self, "no dictionary with a schedule that does not say where it ends", allocation,
                    "Take OneShot or Polynomial, or give your Schedule a `target` above 0.",
                )  # fmt: skip
            for name, share in allocation.items():
                checked_share(share, allocation, name, self, self.pattern.max_sparsity)
        if self.criterion.may_be_negative and not self.pattern.takes_negative:
            raise checks.error(
                "pattern", self, f"one that takes negative scores with the criterion {self.criterion!r}", pattern,
                "The sign says what should go, and a norm would lose it: take 'channel:sum'.",
            )  # fmt: skip
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
        warn_of_left_dense(self.model, self.exclude, type(self).__name__)
        self._groups = None
        if self.scope == "layer" and self.schedule.target:
            self._shares(self.schedule.target)  # what no layer can have is better known now than when it is due

    def on_epoch_begin(self, epoch, logs=None):
        if self._clock is None:
            self.start_clock()
            self._watch(restart=self._clock.begun < 0)
            updates = optimizer_count(self.model)
            if self.criterion.at_initialization and self._clock.begun < 0 and updates:
                warnings.warn(
                    f"{self.criterion!r} is a criterion for models that were not trained yet, and the optimizer has "
                    f"made {updates} updates. Prune first, or by 'magnitude' or 'saliency'.",
                    stacklevel=2,
                )
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_end(self, batch, logs=None):
        self._watch()
        super().on_train_batch_end(batch, logs)

    def _watch(self, restart=False):
        if self.criterion.gradients == "movement":
            _ = self.model  # brings the variables up to date on JAX
            for layer in self.layers:
                layer.add_movement(restart)

    def is_behind(self, step):
        # A ranking by what is connected cuts what is cut already; if it must cut more, groups are missing.
        masks = [layer.mask for layer in self.layers]
        wanted = self._kept(masks, masks, self._sparsity(step))
        return any((mask & ~kept).any() for mask, kept in zip(masks, wanted, strict=True))

    def update(self, step):
        """Cuts what the schedule wants cut at a step, in as many rounds as the criterion needs."""
        wanted = 1 - self._sparsity(step)
        before = sum(layer.mask.sum() for layer in self.layers) / sum(layer.mask.size for layer in self.layers)
        before = max(before, wanted)  # a sparser model may still lack the pattern, and no round cuts more than the last
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
        sparsity = check_sparsity(self.schedule(step), owner=self.schedule)
        self.pattern.cut_among(1000, sparsity)  # as in the constructor, for functions
        return sparsity

    def _shares(self, sparsity):
        maximum = self.pattern.max_sparsity
        if isinstance(self.allocation, dict):
            names, target = [layer.name for layer in self.layers], self.schedule.target
            return [share * (sparsity / target) for share in by_name(self.allocation, names, target, self, maximum)]
        return shares(self.allocation, self.layers, sparsity, self, maximum)

    def _masks(self, sparsity, step):
        masks = [layer.mask for layer in self.layers]
        kept = self._kept(self._scores(masks, step), masks, sparsity)
        return [new & old for new, old in zip(kept, masks, strict=True)]  # what is cut stays cut

    def _kept(self, scores, masks, sparsity):
        """Which connections of layers with these scores and masks the pattern keeps."""
        if isinstance(self.pattern, patterns.Channel):
            shares = None if self.scope == "global" else self._shares(sparsity)
            if self._groups is None:  # of the model, which stays as it is until training ends
                self._groups = ChannelGroups(self.model, self.layers)
            return self._groups.masks(self.pattern, scores, masks, sparsity, shares)
        if self.scope == "global":
            return self.pattern.masks(scores, sparsity, masks)
        parts = zip(scores, self._shares(sparsity), masks, strict=True)
        return [self.pattern.mask(*part) for part in parts]

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
