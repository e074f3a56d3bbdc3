"""Deep models from the looped form to the unrolled one and back."""

import keras

from keras_sparse.analysis.traced_call import functional_graph
from keras_sparse.layers import LoopedAggregationBlock, SparseAggregationBlock
from keras_sparse.layers.two_forms import copy_weights, has_looped_form, looped_form, loops_of, unrolled_form
from keras_sparse.transforms.exchange import counterparts
from keras_sparse.transforms.rebuild import check_model


def unroll(model):
    """A new model with a layer for each unit, where `model` runs units as iterations of loops.

    For all that looks at single layers: `sparsify`, `callbacks.Prune`, `analysis.feature_reuse`,
    `applications.transplant_weights`. The function is the same, and so are the weights; what an optimizer remembers is
    left behind.

    Args:
        model: Built functional or sequential Keras model; it is left as it is.

    Returns:
        A Keras model, not compiled: `SparseAggregationBlock` stands where `LoopedAggregationBlock` was.

    Raises:
        ValueError: If the model is not built, or not functional.

    Example:
        >>> deep = keras_sparse.applications.SparseNet(400, 12, bottleneck=True)
        >>> sparse = keras_sparse.sparsify(unroll(deep), 0.5, seed=0)
    """
    return _converted(model, LoopedAggregationBlock, unrolled_form, "unroll")


def without_loops(model):
    """The model itself if it has no loops, else `unroll(model)`."""
    return unroll(model) if loops_of(model) else model


def roll(model, remat=False):
    """A new model whose blocks of equal units are loops, so that its graph hardly grows with its depth.

    Blocks of anything but `PreactivationUnit`s alike (the first of them may have strides) stay as they are, and so do
    blocks with sparse layers: loops have no masks.

    Args:
        model: Built functional or sequential Keras model; it is left as it is.
        remat: Boolean, as in `LoopedAggregationBlock`.

    Returns:
        A Keras model, not compiled: `LoopedAggregationBlock` stands where such a `SparseAggregationBlock` was.

    Raises:
        ValueError: If the model is not built, or not functional.

    Example:
        >>> model = keras.saving.load_model("sparsenet_1001_unrolled.keras")
        >>> roll(model).save("sparsenet_1001.keras")
    """

    def rolled(block):
        return looped_form(block, remat) if has_looped_form(block) else None

    return _converted(model, SparseAggregationBlock, rolled, "roll")


def _converted(model, kind, convert, owner):
    """A clone of a model with its weights, where `convert` gives what stands for layers of a kind, or None."""
    check_model(model, owner)
    if functional_graph(model) is None:
        raise ValueError(
            f"`model` of {owner} must be a functional or sequential model. Received: the model {model.name!r} of class "
            f"{type(model).__name__}. Exchange its {kind.__name__} layers in its code."
        )
    twins = []

    def clone(layer):
        twin = convert(layer) if isinstance(layer, kind) else None
        twin = twin or type(layer).from_config(layer.get_config())
        twin.trainable = layer.trainable
        twins.append((layer, twin))
        return twin

    new = keras.models.clone_model(model, clone_function=clone, recursive=True)
    for layer, twin in twins:
        if type(layer) is type(twin):
            twin.set_weights(layer.get_weights())
        else:
            copy_weights(layer, twin)
    for layer, twin in twins:
        # A configuration says whether a layer is trained, not which of the layers inside of it are.
        pairs = counterparts(layer, twin) if type(layer) is type(twin) else _layers_outside_of_loops(layer, twin)
        for one, other in pairs:
            if other.trainable != one.trainable:
                other.trainable = one.trainable
    return new


def _layers_outside_of_loops(block, twin):
    """Pairs of a layer and its counterpart, of a block and its other form."""
    looped, unrolled = (block, twin) if isinstance(block, LoopedAggregationBlock) else (twin, block)
    if looped.shortcut is not None:
        for one, other in ((looped.shortcut, unrolled.shortcut), (looped.first_unit, unrolled.units[0])):
            yield from counterparts(*((one, other) if looped is block else (other, one)))
