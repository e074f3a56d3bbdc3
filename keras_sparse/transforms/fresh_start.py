"""What a model remembers of its training beside weights and connections, and how it forgets it."""

from keras_sparse.analysis.definition_order import sparse_layers


def restart_clock(model):
    """Lets the schedules of `Prune`, `Rewire` and `Densify` begin at step 0 when the model is fitted next.

    Otherwise they go on counting where they stopped, also in another `fit`, with another optimizer, or after loading.

    Args:
        model: Built Keras model.
    """
    for layer in sparse_layers(model):
        layer.mask_step.assign([-1, 0])


def forget_training(model):
    """Restarts the clock, and sets all that the optimizer remembers, its count of steps too, to where it began.

    The optimizer's variables stay the same ones, and so do the compiled functions. The learning rate stays as it is.

    Args:
        model: Built Keras model, compiled or not.
    """
    restart_clock(model)
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or not optimizer.built:
        return
    fresh = type(optimizer).from_config(optimizer.get_config())
    fresh.build(model.trainable_variables)
    for old, new in zip(optimizer.variables, fresh.variables, strict=True):
        if old is not optimizer.learning_rate:
            old.assign(new)
