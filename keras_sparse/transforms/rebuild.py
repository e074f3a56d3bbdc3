"""A model once more, with some layers replaced: by way of its configuration, so that everything Keras saves is kept."""

import contextlib

import keras
import numpy as np
from keras import ops

from keras_sparse.analysis.channel_rules import functional_graph
from keras_sparse.analysis.layer_calls import input_specs
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.topologies.connections import Connections

MARK = "keras_sparse_replacement"


def rebuild(model, replacements, owner, keep_shapes=True):
    """A new, built model like `model` with other layers in some places; its weights are fresh.

    Args:
        model: Built Keras model: functional, sequential, nested, or subclassed with a configuration.
        replacements: Dictionary from a layer's `id` to a pair `(class, configuration)`; the name is kept.
        owner: String, the function that an error names.
        keep_shapes: Boolean, whether layers may be built with the shapes that they were built with.

    Returns:
        A Keras model that is not compiled.

    Raises:
        ValueError: If the model cannot be made again from its configuration, or a layer to be replaced is no part of
            any configuration.
    """
    check_model(model, owner)
    _check_sharing(model, owner)
    layers = {id(layer): layer for layer in model._flatten_layers()}
    with _marked(layers, replacements):
        try:
            saved = keras.saving.serialize_keras_object(model)
        except NotImplementedError as error:
            raise ValueError(
                f"`model` of {owner} must have a configuration. Received: the model {model.name!r} of class "
                f"{type(model).__name__}, which has none. Give it `get_config`, or make it a functional model."
            ) from error
    saved.pop("compile_config", None)
    found = set()
    _rewrite(saved, replacements, found, keep_shapes)
    missing = [layers[key] for key in replacements if key not in found]
    is_subclassed = functional_graph(model) is None
    if is_subclassed:
        saved.pop("build_config", None)  # parts are exchanged before they are built
    kinds = {type(layer) for layer in layers.values()}
    own = {kind.__name__: kind for kind in kinds if not kind.__module__.startswith(("keras.", "keras_sparse."))}
    with keras.saving.custom_object_scope(own):
        try:
            new = keras.saving.deserialize_keras_object(saved, safe_mode=False)  # the code is the caller's own
        except TypeError as error:
            # Keras wraps what a constructor says once for each level, with the whole configuration each time.
            inner = error
            while inner.__context__ is not None:
                inner = inner.__context__
            raise ValueError(str(inner)) from error
    for layer in missing:
        kind, config = replacements[id(layer)]
        place = _find(model, layer) if is_subclassed else None
        if place is None:
            raise ValueError(
                f"`model` of {owner} must show its layers in its configuration. Received: the layer {layer.name!r}, "
                "which is made inside another layer. Exclude it, or let that layer take it as an argument."
            )
        _put(new, place, kind.from_config(config))
    if is_subclassed:
        new(input_specs(model, None))
    _check_twins(model, new, owner, same_shapes=keep_shapes)
    return new


def _check_sharing(model, owner):
    """Refuses what Keras cannot load either: a layer that is called in a model and in another one inside it."""
    homes = {}
    for home in (m for m in model._flatten_layers() if isinstance(m, keras.Model)):
        for layer in home.layers:
            homes.setdefault(id(layer), (layer, set()))[1].add(home.name)
    for layer, names in homes.values():
        if len(names) > 1:
            raise ValueError(
                f"`model` of {owner} must not share a layer between nested models: Keras cannot make such a model "
                f"again, nor load it from a file. Received: the layer {layer.name!r} in "
                f"{', '.join(sorted(names))}. Share it within one model."
            )


def _check_twins(model, new, owner, same_shapes):
    """A configuration that leaves something out makes another model."""
    old_layers, new_layers = list(model._flatten_layers()), list(new._flatten_layers())
    wrong = [model.name] if len(old_layers) != len(new_layers) else []
    for old, twin in zip(old_layers, new_layers, strict=False):
        sparse = isinstance(old, SparseKernel) or isinstance(twin, SparseKernel)
        shapes = [[tuple(v.shape) for v in x._trainable_variables] for x in (old, twin)]
        if not twin.built or (same_shapes and not sparse and shapes[0] != shapes[1]):
            wrong.append(old.name)
    if wrong:
        raise ValueError(
            f"`model` of {owner} must have a configuration that makes the same model again. Received: the model "
            f"{model.name!r}, which came back different in {', '.join(wrong)}. Give its class a `get_config` with all "
            "arguments of the constructor (Keras does not record them for a subclassed model)."
        )


def check_model(model, owner):
    """Refuses what is no built Keras model."""
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"`model` of {owner} must be a Keras model. Received: model={model!r}. Pass the model itself; wrap a "
            "single layer in keras.Sequential."
        )
    if not model.built:
        raise ValueError(
            f"`model` of {owner} must be built. Received: the model {model.name!r}, which is not. Call it on data "
            "first, or give it an Input."
        )


@contextlib.contextmanager
def _marked(layers, replacements):
    """While this lasts, the configurations of layers to be replaced are marks."""
    with contextlib.ExitStack() as restored:

        def shadow(layer, get_config):
            vars(layer)["get_config"] = get_config  # behind the back of Keras's attribute tracking
            restored.callback(vars(layer).pop, "get_config")

        for key in replacements:
            shadow(layers[key], lambda key=key: {MARK: key})
        for layer in layers.values():
            attribute = getattr(layer, "replaceable_sublayers", None)
            if attribute and any(id(sublayer) in replacements for sublayer in getattr(layer, attribute)):
                shadow(layer, _showing(layer, attribute))
        yield


def _showing(layer, attribute):
    original = layer.get_config

    def get_config():
        sublayers = getattr(layer, attribute)
        return {**original(), attribute: [keras.saving.serialize_keras_object(sublayer) for sublayer in sublayers]}

    return get_config


def _rewrite(saved, replacements, found, keep_shapes):
    if isinstance(saved, dict):
        config = saved.get("config")
        if not keep_shapes:
            saved.pop("build_config", None)
            saved.pop("build_input_shape", None)
        if isinstance(config, dict) and MARK in config:
            kind, new_config = replacements[config[MARK]]
            found.add(config[MARK])
            stock = kind.__module__.startswith("keras.")
            saved["module"] = "keras.layers" if stock else kind.__module__
            saved["class_name"] = kind.__name__
            saved["registered_name"] = None if stock else keras.saving.get_registered_name(kind)
            saved["config"] = new_config
            if saved.get("build_config"):
                saved["build_config"].pop("pairs", None)
            return
    if isinstance(saved, dict):
        saved = list(saved.values())
    if isinstance(saved, (list, tuple)):
        for part in saved:
            _rewrite(part, replacements, found, keep_shapes)


def _find(owner, wanted, seen=None):
    """The way from a model to a layer inside: a list of attribute names and keys; None if there is none."""
    seen = set() if seen is None else seen
    seen.add(id(owner))
    if isinstance(owner, (list, tuple)):
        parts = enumerate(owner)
    elif isinstance(owner, dict):
        parts = owner.items()
    else:
        # What every model has, Keras and TensorFlow keep for themselves.
        theirs = vars(keras.Sequential())
        parts = ((k, v) for k, v in vars(owner).items() if k not in theirs and not k.startswith("_self_"))
    for key, part in list(parts):
        if part is wanted:
            return [key]
        if isinstance(part, (keras.layers.Layer, list, tuple, dict)) and id(part) not in seen:
            rest = _find(part, wanted, seen)
            if rest is not None:
                return [key, *rest]
    return None


def _put(model, place, layer):
    """Sets a layer at a place that `_find` found, in the order of Keras's list of layers too."""
    owner, holder = model, model
    for key in place[:-1]:
        holder = holder[key] if isinstance(holder, (list, tuple, dict)) else getattr(holder, key)
        owner = holder if isinstance(holder, keras.layers.Layer) else owner
    key = place[-1]
    if isinstance(holder, (list, dict)):
        old, holder[key] = holder[key], layer
    else:
        old = getattr(holder, key)
        setattr(holder, key, layer)
    owner._layers[:] = [layer if x is old else x for x in owner._layers if x is not layer]


def transfer(old_model, new_model, masks=None):
    """Copies all weights from one model to its rebuilt twin, whatever the formats of their kernels.

    Args:
        masks: Dictionary from the `id` of an old layer to the mask of its twin; by default twins are connected alike.
    """
    old_layers, new_layers = list(old_model._flatten_layers()), list(new_model._flatten_layers())
    done = set()
    for old, new in zip(old_layers, new_layers, strict=True):
        if id(new) in done:
            continue
        done.add(id(new))
        if isinstance(old, SparseKernel) or isinstance(new, SparseKernel):
            _transfer_kernel(old, new, None if masks is None else masks.get(id(old)))
            continue
        pairs = [(old._trainable_variables, new._trainable_variables)]
        pairs.append((old._non_trainable_variables, new._non_trainable_variables))
        pairs.append(([g.state for g in old._seed_generators], [g.state for g in new._seed_generators]))
        for sources, targets in pairs:
            for source, target in zip(sources, targets, strict=True):
                target.assign(source)


def dense_kernel(layer):
    """The kernel of a layer as a dense array, sparse or not."""
    return layer.dense_kernel() if isinstance(layer, SparseKernel) else ops.convert_to_numpy(layer.kernel)


def _transfer_kernel(old, new, mask):
    kernel = dense_kernel(old)
    if isinstance(new, SparseKernel):
        if mask is None:
            mask = old.mask if isinstance(old, SparseKernel) else np.ones(kernel.shape[-2:], dtype=bool)
        if new.format == "compact":
            new.relay(Connections.from_mask(mask, new.block_size, owner=new))
        else:
            new.set_mask(mask, trained=False)
        new.set_dense_kernel(kernel)
        if isinstance(old, SparseKernel):
            new.mask_step.assign(old.mask_step)
    else:
        new.kernel.assign(kernel)
    if old.bias is not None:
        new.bias.assign(old.bias)
