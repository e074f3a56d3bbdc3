"""New weights on the connections that training has found."""

import keras
import numpy as np

from keras_sparse import checks
from keras_sparse.analysis.definition_order import in_definition_order
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.layers.two_forms import refuse_loops
from keras_sparse.transforms.fresh_start import forget_training
from keras_sparse.transforms.rebuild import check_model


def reinitialize(model, seed=None):
    """Draws all weights of a model anew; its connections stay as they are.

    Every layer uses the initializers of its configuration. The variance of sparse kernels follows the connections as
    they are now. Batch statistics start again, the optimizer forgets what it has seen, and schedules start at step 0.

    Args:
        model: Built Keras model; it is changed.
        seed: Integer >= 0, from which each initializer has its own seed; None draws one.

    Returns:
        The seed.

    Raises:
        ValueError: If the model is not built, or a layer with weights cannot be made again from its configuration.

    Reference:
        Alford et al., Training behavior of sparse neural network topologies, 2018, https://arxiv.org/abs/1810.00299

    Example:
        >>> model.fit(images, labels, epochs=10, callbacks=[Prune(schedule)])
        >>> reinitialize(model, seed=1)
        1
        >>> model.fit(images, labels, epochs=10)
    """
    check_model(model, "reinitialize")
    refuse_loops(model, "reinitialize")
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    checks.integer("seed", seed, "reinitialize", minimum=0)
    layers = {id(layer): layer for layer in in_definition_order(model)}.values()
    drawn = []
    for index, layer in enumerate(layers):
        if layer._trainable_variables or layer._non_trainable_variables:
            config = _seeded(layer.get_config(), np.random.default_rng(np.random.SeedSequence([seed, index])))
            drawn += _kernel_and_bias(layer, config) if isinstance(layer, SparseKernel) else _all(layer, config)
    for variable, value in drawn:
        variable.assign(value)
    forget_training(model)
    return seed


def _kernel_and_bias(layer, config):
    """Pairs of the variables of a sparse layer and new values for them."""
    initializer = keras.initializers.get(config["kernel_initializer"])
    drawn = [(layer.trained_kernel, layer.drawn_kernel(initializer, layer.connections))]
    if layer.bias is not None:
        initializer = keras.initializers.get(config["bias_initializer"])
        drawn.append((layer.bias, initializer(tuple(layer.bias.shape), dtype=layer.bias.dtype)))
    return drawn


def _all(layer, config):
    """Pairs of the variables of any other layer and new values for them."""
    try:
        twin = type(layer).from_config(config)
        if not twin.built:
            twin.build_from_config(layer.get_build_config() or {})
        pairs = [(layer._trainable_variables, twin._trainable_variables)]
        pairs.append((layer._non_trainable_variables, twin._non_trainable_variables))
        return [pair for old, new in pairs for pair in zip(old, new, strict=True)]
    except Exception as error:
        raise ValueError(
            f"`model` of reinitialize must have layers that can be made again from their configuration. Received: "
            f"the layer {layer.name!r} of class {type(layer).__name__}, which cannot: {error}. Give it `get_config` "
            "and `build`."
        ) from error


def _seeded(config, rng):
    """A configuration in which each initializer that draws has a seed of its own."""
    if isinstance(config, dict):
        inner = config.get("config")
        if config.get("module") == "keras.initializers" and isinstance(inner, dict) and "seed" in inner:
            return {**config, "config": {**inner, "seed": int(rng.integers(2**31))}}
        return {key: _seeded(value, rng) for key, value in config.items()}
    if isinstance(config, list):
        return [_seeded(value, rng) for value in config]
    return config
