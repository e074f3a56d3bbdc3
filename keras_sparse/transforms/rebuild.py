"""A model once more, with some layers replaced: by way of its configuration, so that everything Keras saves is kept."""

import contextlib
import functools

import keras
import numpy as np
from keras import ops

from keras_sparse.analysis.layer_calls import input_specs
from keras_sparse.analysis.traced_call import functional_graph
from keras_sparse.layers.kernel_connections import matrix, renew_modules
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.topologies.connections import Connections
from keras_sparse.transforms.exchange import counterparts, exchange

MARK = "keras_sparse_replacement"
PLAIN = "keras_sparse_plain"


def rebuild(model, replacements, owner, keep_shapes=True):
    """A new, built model like `model` with other layers in some places; its weights are fresh.

    Args:
        model: Built Keras model: functional, sequential, nested, or subclassed with a configuration. Layers that no
            configuration shows, because a constructor or a `build` makes them, are exchanged in their places; a
            functional model with a constructor of its own becomes a plain functional one (as in `clone_model`).
        replacements: Dictionary from a layer's `id` to a pair `(class, configuration)`; the name is kept.
        owner: String, the function that an error names.
        keep_shapes: Boolean, whether layers may be built with the shapes that they were built with.

    Returns:
        A Keras model that is not compiled.

    Raises:
        ValueError: If the model cannot be made again from its configuration, or a layer to be replaced has no place
            that can be found.
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
    hidden = [layers[key] for key in replacements if key not in found]
    is_subclassed = functional_graph(model) is None
    if hidden and not (is_subclassed or keep_shapes):
        names = ", ".join(repr(layer.name) for layer in hidden)
        raise ValueError(
            f"`model` of {owner} must show in its configuration the layers that change their width. Received: {names}, "
            "made inside another layer, which Keras builds for the old width. Let that layer take them as an argument, "
            "or exclude them where there is `exclude`."
        )
    if is_subclassed:
        saved.pop("build_config", None)  # it is built by a call
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
            if not isinstance(inner, TypeError):
                raise ValueError(str(inner)) from error
            raise ValueError(
                f"`model` of {owner} must be one that Keras can make again from its configuration. Received: the model "
                f"{model.name!r} of class {type(model).__name__}, where {inner}. Give the class `get_config` with all "
                "arguments of its constructor, and let that pass **kwargs on to its super class; or make it a "
                "functional model."
            ) from error
    # Of the old width they can come last, and what a `build` makes is there by then; others must come first.
    if is_subclassed and keep_shapes:
        new(input_specs(model, None))
    exchange(model, new, _twins(hidden, replacements, owner, keep_shapes), owner)
    if is_subclassed and not keep_shapes:
        new(input_specs(model, None))
    for one, other in counterparts(model, new):
        if other.trainable != one.trainable:  # of a layer that no configuration shows
            other.trainable = one.trainable
    _check_twins(model, new, owner, same_shapes=keep_shapes)
    return new


def _twins(hidden, replacements, owner, keep_shapes):
    """What is to be in the place of layers that no configuration shows: a function as `exchange` takes it."""
    hidden, made = {id(layer) for layer in hidden}, {}

    def twin(old, place):
        parts = [part for part in old.layers if id(part) in hidden] if functional_graph(old) is not None else []
        if id(old) not in made and id(old) in hidden:
            kind, config = replacements[id(old)]
            made[id(old)] = new = kind.from_config(config)
            if keep_shapes:
                new._parent_path = place._parent_path  # the paths of its variables begin with it
                new.build_from_config(_connections_left_out(old.get_build_config()))
        elif id(old) not in made and parts:
            # A graph made by a constructor holds its layers in its nodes; but it has a configuration of its own.
            inside = {id(layer) for layer in old._flatten_layers()}
            own = {key: replacement for key, replacement in replacements.items() if key in inside}
            made[id(old)] = rebuild(old, own, owner, keep_shapes)
        return made.get(id(old))

    return twin


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
    pairs = list(counterparts(model, new))
    wrong = [model.name] if {len(pairs)} != {len(list(x._flatten_layers())) for x in (model, new)} else []
    if same_shapes and len(model.trainable_variables) != len(new.trainable_variables):
        wrong.append(model.name)  # something still holds a variable of a layer that is gone
    for old, twin in pairs:
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

        def shadow(layer, method, instead):
            # Behind the back of Keras's attribute tracking. Keras looks whether the method is marked as its own.
            vars(layer)[method] = functools.wraps(getattr(layer, method))(instead)
            restored.callback(vars(layer).pop, method)

        for key in replacements:
            shadow(layers[key], "get_config", lambda key=key: {MARK: key})
        for layer in layers.values():
            if getattr(layer.build, "_is_default", False) and layer._layers:
                # Keras would take it for built, with nothing built inside. Without this it builds it by a call.
                shadow(layer, "get_build_config", lambda: None)
            attributes = [
                attribute
                for attribute in replaceable_attributes(layer)
                if any(id(sublayer) in replacements for sublayer in getattr(layer, attribute))
            ]
            if attributes:
                shadow(layer, "get_config", _showing(layer, attributes))
            if _hides_graph(layer) and any(id(sublayer) in replacements for sublayer in layer._flatten_layers()):
                plain = keras.Model(layer.input, layer.output, name=layer.name, trainable=layer.trainable)
                shadow(layer, "get_config", lambda plain=plain: {PLAIN: keras.saving.serialize_keras_object(plain)})
        yield


def replaceable_attributes(layer):
    """Names of the attributes with lists of layers that the configuration of a layer can hold."""
    names = getattr(layer, "replaceable_sublayers", ())
    return (names,) if isinstance(names, str) else names


def _showing(layer, attributes):
    original = layer.get_config

    def get_config():
        shown = {name: [keras.saving.serialize_keras_object(x) for x in getattr(layer, name)] for name in attributes}
        return {**original(), **shown}

    return get_config


def _hides_graph(layer):
    """Whether it is a functional model with a constructor of its own: that is then all that its configuration shows."""
    return functional_graph(layer) is layer and "input_layers" not in layer.get_config()


def _connections_left_out(build_config):
    """The build configuration of any format for a layer of another."""
    return {key: value for key, value in (build_config or {}).items() if key != "pairs"}


def _rewrite(saved, replacements, found, keep_shapes):
    if isinstance(saved, dict):
        config = saved.get("config")
        if not keep_shapes:
            saved.pop("build_config", None)
            saved.pop("build_input_shape", None)
        if isinstance(config, dict) and PLAIN in config:
            saved |= {key: config[PLAIN][key] for key in ("module", "class_name", "registered_name", "config")}
        elif isinstance(config, dict) and MARK in config:
            kind, new_config = replacements[config[MARK]]
            found.add(config[MARK])
            stock = getattr(keras.layers, kind.__name__, None) is kind
            saved["module"] = "keras.layers" if stock else kind.__module__
            saved["class_name"] = kind.__name__
            saved["registered_name"] = None if stock else keras.saving.get_registered_name(kind)
            saved["config"] = new_config
            for node in saved.get("inbound_nodes", ()):
                # Keras notes defaults too (`mask=None`), which the other class need not have.
                node["kwargs"] = {key: value for key, value in node["kwargs"].items() if value is not None}
            if "build_config" in saved:
                saved["build_config"] = _connections_left_out(saved["build_config"])
            return
    if isinstance(saved, dict):
        saved = list(saved.values())
    if isinstance(saved, (list, tuple)):
        for part in saved:
            _rewrite(part, replacements, found, keep_shapes)


def transfer(old_model, new_model, masks=None):
    """Copies all weights from one model to its rebuilt twin, whatever the formats of their kernels.

    Args:
        masks: Dictionary from the `id` of an old layer to the mask of its twin; by default twins are connected alike.
    """
    for old, new in counterparts(old_model, new_model):
        if isinstance(old, SparseKernel) or isinstance(new, SparseKernel):
            transfer_kernel(old, new, None if masks is None else masks.get(id(old)))
            continue
        transfer_variables(old, new)
    renew_modules(new_model)


def transfer_variables(old, new):
    """Copies the variables that a layer holds itself to a twin that has the same."""
    pairs = [(old._trainable_variables, new._trainable_variables)]
    pairs.append((old._non_trainable_variables, new._non_trainable_variables))
    pairs.append(([g.state for g in old._seed_generators], [g.state for g in new._seed_generators]))
    for sources, targets in pairs:
        for source, target in zip(sources, targets, strict=True):
            target.assign(ops.convert_to_numpy(source))  # JAX would go on with the very same memory


def dense_kernel(layer):
    """The kernel of a layer as a dense array, sparse or not."""
    return layer.dense_kernel() if isinstance(layer, SparseKernel) else ops.convert_to_numpy(layer.kernel)


def transfer_kernel(old, new, mask=None):
    """Copies kernel and bias of a layer to its twin, sparse or not.

    Args:
        mask: Boolean array, how the twin is connected; as the old layer, if None.
    """
    kernel = dense_kernel(old)
    if isinstance(new, SparseKernel):
        if mask is None:
            mask = old.mask if isinstance(old, SparseKernel) else np.ones(new.mask.shape, dtype=bool)
        if new.format == "compact":
            new.relay(Connections.from_mask(matrix(mask), new.block_size, owner=new))
        else:
            new.set_mask(mask, trained=False)
        new.set_dense_kernel(kernel)
        if isinstance(old, SparseKernel):
            new.mask_step.assign(ops.convert_to_numpy(old.mask_step))
    else:
        new.kernel.assign(kernel)
    if old.bias is not None:
        new.bias.assign(ops.convert_to_numpy(old.bias))
