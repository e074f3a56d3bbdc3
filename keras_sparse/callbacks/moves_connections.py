"""What the callbacks that move connections share: masks for stock layers, the clock, updates when they are due."""

import warnings

import keras
import numpy as np

from keras_sparse import checks, schedules
from keras_sparse.analysis.definition_order import sparse_layers
from keras_sparse.callbacks.clock import Clock, optimizer_count
from keras_sparse.callbacks.slots import forget, slots, works_weight_by_weight
from keras_sparse.distribution import check_compiled
from keras_sparse.layers.kernel_connections import moved
from keras_sparse.transforms.mask_in_place import excluded_layers, mask_in_place


class MovesConnections(keras.callbacks.Callback):
    """Calls `update(step)` whenever its schedule has an update due; a subclass says what moves where.

    Time is counted in updates of the optimizer, in a variable that is saved with the model. Who saves a model in the
    middle of training and goes on with it later, gets the same connections as who went on at once.

    Args:
        schedule: `Schedule`, name of one, or a function from the step to a number.
        exclude: Layers to leave alone: names, patterns, "first", "last", layers, classes of layers, or a list of these.
        seed: Integer >= 0.
        counts_from: Integer >= 0 or None, `optimizer.iterations` at step 0 of the schedule, where no file can tell.
    """

    formats = ("masked",)

    def __init__(self, schedule, exclude=None, seed=0, counts_from=None):
        super().__init__()
        self.schedule = schedules.get(schedule, owner=self)
        self.exclude = exclude
        self.seed = checks.integer("seed", seed, self, minimum=0)
        self.counts_from = counts_from
        if counts_from is not None:
            self.counts_from = checks.integer("counts_from", counts_from, self, minimum=0)
        self._clock = None

    def set_model(self, model):
        # As early as this: the train function is not made yet, and what restores a checkpoint when training begins
        # finds the variables that were saved.
        super().set_model(model)
        self._count_before = optimizer_count(model)
        if model is not None and model.built:
            self.prepare(model)

    def prepare(self, model):
        """Makes a model ready, before its training step is compiled."""
        mask_in_place(model, self.exclude, owner=type(self).__name__)

    def on_train_begin(self, logs=None):
        check_compiled(self.model)
        self._clock = None
        self._has_news = False  # an update that the clock has not written down in all layers
        self._check_built()
        self.layers = self.find_layers(self.model)
        self.check_layers(self.layers)

    def _check_built(self):
        # TensorFlow's `fit` builds a model in its first step, and by then the layers must be masked. `build` of a
        # subclassed model may say that it is built, and build nothing.
        model = self.model
        unbuilt = [layer for layer in model._flatten_layers() if not layer.built]
        if not model.built or (unbuilt and not sparse_layers(model)):
            raise ValueError(
                f"`model` of {type(self).__name__} must be built before `fit`. Received: the model {model.name!r}, "
                "which has no weights yet. Call the model on one batch before `fit`, or begin a Sequential with "
                "keras.Input."
            )

    def check_layers(self, layers):
        """Refuses a model whose connections cannot be moved."""
        owner, name = type(self).__name__, self.model.name
        if not layers:
            excluded = excluded_layers(self.model, self.exclude, owner)
            left = [layer.name for layer in sparse_layers(self.model) if id(layer) not in excluded]
            if left:
                raise ValueError(
                    f"`model` of {owner} must have a layer whose kernel is trained. Received: the model {name!r}, in "
                    f"which these are frozen: {', '.join(left)}. Set `trainable = True`, and compile the model again."
                )
            hint = "Others, and classes derived from these, stay dense." if self.exclude is None else "Exclude fewer."
            raise ValueError(
                f"`model` of {owner} must have layers with a kernel: Dense, EinsumDense, Conv1D, Conv2D, Conv3D, or "
                f"sparse ones. Received: the model {name!r} with none left. {hint}"
            )
        wrong = [layer.name for layer in layers if layer.format not in self.formats]
        if wrong:
            raise ValueError(
                f"`model` of {owner} must have sparse layers in the masked format. Received: the model {name!r} with "
                f"{', '.join(wrong)} in the compact one, which keeps room for its connections only. Build it with "
                "format='masked', and use `compact` afterwards."
            )

    def find_layers(self, model):
        """The sparse layers that are not excluded, in the order of their definition."""
        excluded = excluded_layers(model, self.exclude, type(self).__name__)
        return [x for x in sparse_layers(model) if id(x) not in excluded and x.trained_kernel.trainable]

    def on_epoch_begin(self, epoch, logs=None):
        # Not on_train_begin: a callback that restores a checkpoint may come after this one.
        self.start_clock()
        self.follow_schedule()

    def on_train_batch_begin(self, batch, logs=None):
        if self._clock.begun < 0:
            # So that a model that is saved before this callback sees the first step knows when it was taken. Not
            # earlier: other callbacks ask the clock whether it has begun.
            self._clock.write(self.model, everywhere=True)

    def on_train_batch_end(self, batch, logs=None):
        self.follow_schedule()
        self._clock.write(self.model, everywhere=self._has_news)
        self._has_news = False

    def on_train_end(self, logs=None):
        if self._clock is not None and self._clock.begun >= 0:  # not after a `fit` of no steps
            self._clock.write(self.model, everywhere=True)
            self._warn_if_never_due(self._clock.begun)

    def _warn_if_never_due(self, step):
        if self.schedule.due(step) is None:
            name = type(self).__name__
            warnings.warn(
                f"{name} has done nothing: training ended at step {step}, and no update of {self.schedule!r} was due "
                "until then. Steps are updates of the optimizer, not epochs. Let the schedule begin earlier or train "
                "for longer; the next `fit` goes on from here.",
                stacklevel=2,
            )

    def start_clock(self):
        """Reads the clock, when training begins and checkpoints were restored."""
        model = self.model  # touching it brings the variables up to date on JAX
        if self._clock is None:
            self._clock = Clock(model, self.layers, self.counts_from, self._count_before, owner=type(self).__name__)
            begun = self._clock.begun
            self._followed = self.schedule.due(begun) if begun >= 0 else None
            if self._followed is not None and self.is_behind(self._followed):
                self._followed = None  # another schedule than the one that the saved model was trained with

    def follow_schedule(self):
        """Makes the update that is due, if there is one that was not made yet."""
        model = self.model
        due = self.schedule.due(self._clock.read(model))
        if due is not None and due != self._followed:
            self._followed = due
            self.update(due)
            self._has_news = True

    def is_behind(self, step):
        """Whether connections are not what the schedule says that they were after the update of a step."""
        return False

    def update(self, step):
        """Moves connections, as the schedule wants it at a step."""
        raise NotImplementedError

    def move(self, layer, mask):
        """Gives a layer other connections; new ones start at zero, and so does what the optimizer remembers of them."""
        before = layer.mask
        if (before == mask).all():
            return
        optimizer, kernel = self.model.optimizer, layer.trained_kernel
        if layer.format == "masked":
            # What is cut now has nothing left in its slots, and most optimizers then leave it at zero.
            layer.set_mask(mask, trained=layer.has_moved or not works_weight_by_weight(optimizer))
            changed = mask & ~before if layer.has_dense_gradient else mask != before
            forget(optimizer, kernel, changed)
            return
        was = layer.connections
        layer.set_mask(mask)
        for slot in slots(optimizer, kernel).values():
            slot.assign(moved(keras.ops.convert_to_numpy(slot), was, layer.connections))

    def rng(self, *key):
        """Random numbers for a step, or for a layer at a step: the same ones in every process."""
        return np.random.default_rng(np.random.SeedSequence([self.seed, *key]))


def per_connection(scores, mask):
    """Scores of a kernel's weights in the shape of its mask: SparseConv2D has a weight at each position."""
    return scores.reshape(-1, *mask.shape).sum(axis=0)
