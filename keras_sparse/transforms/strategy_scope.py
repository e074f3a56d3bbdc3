"""TensorFlow only: where variables of a distributed model are made. Other backends have no strategies and no scope."""

import contextlib

import keras


def strategy_scope(model):
    """The scope of the `tf.distribute` strategy that a model was made in; elsewhere a context that does nothing."""
    strategy = getattr(model, "distribute_strategy", None) if keras.backend.backend() == "tensorflow" else None
    return contextlib.nullcontext() if strategy is None else strategy.scope()
