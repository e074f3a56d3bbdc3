"""Which connections to keep: from weights, and some gradient, to scores; high = keep.

>>> Magnitude().scores(np.array([[0.5, -2.0], [0.0, 1.0]]))
array([[0.5, 2. ],
       [0. , 1. ]])
>>> [name for name in CRITERIA if CRITERIA.lookup(name, "example").gradients is None]
['magnitude', 'random']
"""

from keras_sparse.criteria.criterion import Criterion
from keras_sparse.criteria.grasp import Grasp
from keras_sparse.criteria.magnitude import Magnitude
from keras_sparse.criteria.movement import Movement
from keras_sparse.criteria.random import Random
from keras_sparse.criteria.saliency import Saliency
from keras_sparse.criteria.snip import Snip
from keras_sparse.criteria.synflow import SynFlow, Synflow
from keras_sparse.registry import Registry

CRITERIA = Registry("criterion", [Grasp, Magnitude, Movement, Random, Saliency, Snip, Synflow])


def get(identifier, owner="criteria.get", **arguments):
    """A `Criterion` from its name (built with `arguments`), its saved configuration or itself.

    Raises:
        ValueError: If the name is unknown or an argument out of range.

    Example:
        >>> get("synflow", rounds=10)
        Synflow(rounds=10)
    """
    return CRITERIA.resolve(identifier, owner, Criterion, **arguments)


__all__ = [
    "CRITERIA",
    "Criterion",
    "Grasp",
    "Magnitude",
    "Movement",
    "Random",
    "Saliency",
    "Snip",
    "SynFlow",
    "Synflow",
    "get",
]
