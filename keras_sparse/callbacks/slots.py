"""What an optimizer remembers of a weight: momentum, second moments, accumulated gradients, averages."""

import functools
import json

import keras
import numpy as np
from keras import ops


def slots(optimizer, variable):
    """The optimizer's variables that belong to a trained one, weight by weight.

    Args:
        optimizer: Keras optimizer, also one wrapped for loss scaling.
        variable: Keras variable.

    Returns:
        Dictionary from the name of the optimizer's list to the variable in it; empty before the optimizer is built.
    """
    found = {}
    for one in (optimizer, getattr(optimizer, "inner_optimizer", None)):
        trained = getattr(one, "_trainable_variables", None) or []
        places = [i for i, other in enumerate(trained) if other is variable]
        # Keras has no name for it: each kind of slot is a list along that of the trained variables.
        lists = {k: v for k, v in vars(one).items() if isinstance(v, (list, tuple))} if places else {}
        for name, members in lists.items():
            slot = members[places[0]] if len(members) == len(trained) else None
            is_slot = isinstance(slot, keras.Variable) and slot is not variable
            if is_slot and tuple(slot.shape) == tuple(variable.shape):
                found[name] = slot
    return found


def works_weight_by_weight(optimizer):
    """Whether a weight without gradient and without anything in its slots stays where it is.

    True of Keras's optimizers but for Muon, which looks at whole matrices; of others nothing is known.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return type(optimizer).__module__.startswith("keras.") and not isinstance(optimizer, keras.optimizers.Muon)


def forget(optimizer, variable, where):
    """Sets the slots of some weights to where they began: zero, but for a few optimizers (Adagrad, Ftrl).

    Args:
        optimizer: Keras optimizer.
        variable: Keras variable that it trains.
        where: Boolean array that broadcasts to the variable's shape, True = forget.
    """
    found = slots(optimizer, variable)
    first = _first_values(type(optimizer), json.dumps(optimizer.get_config(), default=float)) if found else {}
    for name, slot in found.items():
        value = ops.convert_to_numpy(slot)
        slot.assign(np.where(where, np.asarray(first.get(name, 0.0), value.dtype), value))


@functools.lru_cache(maxsize=8)
def _first_values(kind, config):
    """The value of each kind of slot for a weight of zero that was never trained, for an optimizer of that class."""
    fresh = kind.from_config(json.loads(config))
    weight = keras.Variable(np.zeros((1, 1)), name="kernel")
    fresh.build([weight])
    return {name: float(ops.convert_to_numpy(slot).ravel()[0]) for name, slot in slots(fresh, weight).items()}
