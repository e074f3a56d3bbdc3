"""The sparsities that an allocation gives to the layers of a model, checked: it may be a function of the user's own."""

import numbers

import numpy as np

from keras_sparse import checks


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
    name = getattr(allocation, "__name__", repr(allocation))
    if np.shape(given) != (len(layers),):
        raise checks.error(
            "allocation", owner, f"a function that gives a list of {len(layers)} sparsities", given,
            f"One for each of the layers {', '.join(layer.name for layer in layers)}.",
        )  # fmt: skip
    bracket, hint = "1)", "It is the fraction of zeros: 0.9 keeps a tenth."
    if maximum < 1:
        bracket, hint = f"{maximum:g}]", "Lower the sparsity, exclude the layer, or take another allocation."
    for layer, share in zip(layers, given, strict=True):
        in_range = isinstance(share, numbers.Real) and 0 <= share <= maximum + 1e-12 and share < 1
        if not in_range:
            raise checks.error(
                "allocation", owner, f"sparsities, numbers in [0, {bracket}", given,
                f"By {name} the layer {layer.name!r} would have {share!r} where all together have {sparsity:.4g}. "
                + hint,
            )  # fmt: skip
    return [float(share) for share in given]
