"""Other layers in the places of some, in a model that holds them in its attributes rather than in its configuration."""

from keras_sparse.analysis.traced_call import functional_graph


def exchange(old, new, twin, owner):
    """Puts layers into `new`, a layer like `old`, wherever attributes, lists, tuples and dictionaries hold others.

    Args:
        old, new: Two layers made by the same code; `new` is changed.
        twin: Function of a layer in `old` and its counterpart in `new` that gives the layer to be there instead, or
            None to look inside.
        owner: String, the function that an error names.

    Raises:
        ValueError: If a layer is held by something else (a closure, an object that is no layer).
    """
    for holder, place in list(counterparts(old, new, enter=lambda one, other: twin(one, other) is None)):
        for one, other in _sublayers(holder, place):
            instead = twin(one, other)
            if instead is not None and not _put(place, other, instead):
                raise ValueError(
                    f"`model` of {owner} must hold its layers in attributes, or in lists, tuples and dictionaries "
                    f"there. Received: the layer {one.name!r} in {holder.name!r}, which is held by none. Exclude it, "
                    f"or set it as an attribute of {type(holder).__name__}."
                )


def counterparts(old, new, enter=lambda old, new: True):
    """Pairs of the layers of a model and of one that was made like it, the models first, each pair once.

    Args:
        old, new: Two layers.
        enter: Function of a pair: whether it counts.
    """
    seen, waiting = set(), [(old, new)]
    while waiting:
        old, new = waiting.pop()
        if id(old) not in seen and enter(old, new):
            seen.add(id(old))
            yield old, new
            waiting += _sublayers(old, new)


def _sublayers(old, new):
    """Pairs of the layers that two layers hold themselves."""
    named = {layer.name: layer for layer in new._layers}
    if functional_graph(old) is old and named.keys() == {layer.name for layer in old._layers}:
        # A class of its own may hold the layers of its graph in another order. (Else names may differ.)
        return [(layer, named[layer.name]) for layer in old._layers]
    return list(zip(old._layers, new._layers, strict=False))  # `rebuild` compares the numbers


def _put(holder, old, new):
    """Sets a layer wherever another is in the attributes of `holder`; returns whether it was anywhere."""
    # First in Keras's own list: the order stays, and a built layer takes no layers that are not in it.
    holder._tracker.replace_tracked_value("layers", old, new)
    found = False
    for name, value in list(vars(holder).items()):
        if name == "_layers" or name.startswith("_self_"):  # of Keras, of TensorFlow
            continue
        instead, changed = _swapped(value, old, new)
        if changed:
            found = True
            if instead is not value:
                setattr(holder, name, instead)
    return found


def _swapped(value, old, new):
    """`value` with one layer in the place of another, and whether it was there. Lists and dictionaries are changed."""
    if value is old:
        return new, True
    if not isinstance(value, (list, tuple, dict)):
        return value, False
    keys = list(value) if isinstance(value, dict) else range(len(value))
    parts = {key: _swapped(value[key], old, new) for key in keys}
    changed = any(found for _, found in parts.values())
    if isinstance(value, tuple):
        if changed:
            parts = [part for part, _ in parts.values()]
            value = value._make(parts) if hasattr(value, "_make") else type(value)(parts)
        return value, changed
    for key, (part, _) in parts.items():
        if part is not value[key]:
            value[key] = part
    return value, changed
