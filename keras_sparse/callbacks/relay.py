"""Gives compact layers other connections in the middle of training."""

import numpy as np
from keras import ops

from keras_sparse.layers.kernel_connections import moved, renew_modules
from keras_sparse.transforms.strategy_scope import strategy_scope


def relay(model, changes):
    """Re-lays compact layers of a compiled model, optimizer slots and all.

    Variables cannot change their size, so the layers get new ones, and with them the optimizer and the compiled
    functions. Slots of surviving connections keep their values, those of new ones are zero.

    Args:
        model: Compiled Keras model.
        changes: List of triples (layer, `Connections`, Keras initializer of new connections or None for zero).
    """
    optimizer = model.optimizer
    before = {}
    with strategy_scope(model):
        for layer, connections, new in changes:
            path = layer.trained_kernel.path
            before[path.replace("/", "_") + "_"] = (layer.connections, connections)
            layer.relay(connections, new)
        renew_modules(model)
        renewed = type(optimizer).from_config(optimizer.get_config())
        if optimizer.built:
            renewed.build(model.trainable_variables)
            for old, new in zip(optimizer.variables, renewed.variables, strict=True):
                new.assign(_carried(old, new, before))
    model.optimizer = renewed
    # These hold on to the old variables.
    model.train_function = model.test_function = model.predict_function = None
    model.make_train_function(force=True)


def _carried(old, new, before):
    value = ops.convert_to_numpy(old)
    for prefix, (was, now) in before.items():
        if old.path.split("/")[-1].startswith(prefix) and value.shape and value.shape[0] == len(was):
            value = moved(value, was, now)
    # Slots that are no list of connections (factored second moments) start anew.
    return value if value.shape == tuple(new.shape) else np.zeros(new.shape, value.dtype)
