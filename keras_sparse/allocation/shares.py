"""The sparsities that an allocation gives to the layers of a model, checked: it may be a function of the user's own."""

import numpy as np

from keras_sparse import checks
from keras_sparse.topologies.topology import check_sparsity


def shares(allocation, layers, sparsity, owner, maximum=1.0):
    """One sparsity for each layer.

    Args:
        allocation: Function `(kernel_shapes, sparsity) -> list of sparsities`.
        layers: List of layers with `kernel`.
        sparsity: Number in [0, 1).
        owner: String or object that an error names.
        maximum: Number, what no layer may exceed, or reach where it is 1.

    Returns:
        List of floats.

    Raises:
        ValueError: If there is not one for each layer, or one is no sparsity; it names the layer.

    Example:
        >>> dense = keras.layers.Dense(4)
        >>> dense.build((None, 8))
        >>> shares(uniform, [dense], 0.5, "an example")
        [0.5]
    """
    given = allocation([tuple(layer.kernel.shape) for layer in layers], sparsity)
    if np.shape(given) != (len(layers),):
        raise checks.error(
            "allocation", owner, f"a function that gives a list of {len(layers)} sparsities", given,
            f"One for each of the layers {', '.join(layer.name for layer in layers)}.",
        )  # fmt: skip
    why = f" by {getattr(allocation, '__name__', repr(allocation))}, where all together have {sparsity:.4g}"
    parts = zip(given, layers, strict=True)
    return [checked_share(share, given, layer.name, owner, maximum, why) for share, layer in parts]


def checked_share(share, allocation, name, owner, maximum=1.0, why=""):
    """The sparsity that an allocation gives to a layer, if the layer can have it.

    Args:
        share: What it gives.
        allocation: What an error says that was received.
        name: String, the layer.
        owner: String or object that an error names.
        maximum: Number, what may not be exceeded, or reached where it is 1.
        why: String that an error puts behind the share.
    """
    allowed, hint = "[0, 1)", "It is the fraction of zeros: 0.9 keeps a tenth."
    if maximum < 1:
        allowed, hint = f"[0, {maximum:g}]", "Lower the sparsity, exclude the layer, or take another allocation."
    try:
        share = check_sparsity(share, owner)
        is_allowed = share <= maximum + 1e-12
    except ValueError:
        is_allowed = False
    if not is_allowed:
        raise checks.error(
            "allocation", owner, f"sparsities, numbers in {allowed}", allocation,
            f"The layer {name!r} would have {share!r}{why}. {hint}",
        )  # fmt: skip
    return share
