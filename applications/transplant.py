"""Weights of one model in another of the same architecture."""

import keras


def transplant_weights(source, target):
    """Copies the weights of `source` into `target`, layer by layer, after checking that all of them fit.

    Layers are matched by name, however they are nested: the constructors of this package name their layers as
    `keras.applications` does. So ImageNet weights can be taken from there.

    Args:
        source: Keras model, such as `keras.applications.DenseNet121(weights="imagenet")`.
        target: Keras model of the same architecture. It is changed in place.

    Returns:
        `target`.

    Raises:
        ValueError: If a layer with weights has no counterpart, or shapes differ. `target` is then unchanged.

    Example:
        >>> target = DenseNet121(weights=None)
        >>> transplant_weights(keras.applications.DenseNet121(weights="imagenet"), target)
    """
    ours, theirs = _weighted_layers(target), _weighted_layers(source)
    for here, there, missing_in in ((ours, theirs, source), (theirs, ours, target)):
        missing = [name for name in here if name not in there]
        if missing:
            raise ValueError(
                f"`source` and `target` of transplant_weights must have the same layers. Received: {len(missing)} "
                f'layer(s) that "{missing_in.name}" lacks, the first named {missing[0]!r}. Build both with the '
                "same depth, the same `include_top` and the same `loop`."
            )
    for name, layer in ours.items():
        shapes = [[tuple(w.shape) for w in one.weights] for one in (theirs[name], layer)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"`source` and `target` of transplant_weights must have weights of the same shapes. Received: "
                f"layer {name!r} with {shapes[0]} in the source, {shapes[1]} in the target. Check growth rate, "
                "input channels and classes."
            )
    for name, layer in ours.items():
        layer.set_weights(theirs[name].get_weights())
    return target


def _weighted_layers(model):
    """Name -> layer, for the layers that hold weights themselves."""
    found = {}
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.Model) or not layer._trainable_variables + layer._non_trainable_variables:
            continue
        if layer.name in found and found[layer.name] is not layer:
            raise ValueError(
                f"`source` and `target` of transplant_weights must name their layers uniquely. Received: two layers "
                f'named {layer.name!r} in "{model.name}". Rename one.'
            )
        found[layer.name] = layer
    return found
