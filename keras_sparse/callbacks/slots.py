"""What an optimizer remembers of a weight: momentum, second moments, accumulated gradients, averages."""

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


def forget(optimizer, variable, where):
    """Sets the slots of some weights to zero.

    Args:
        optimizer: Keras optimizer.
        variable: Keras variable that it trains.
        where: Boolean array that broadcasts to the variable's shape, True = forget.
    """
    for slot in slots(optimizer, variable).values():
        value = ops.convert_to_numpy(slot)
        slot.assign(np.where(where, np.zeros((), value.dtype), value))
