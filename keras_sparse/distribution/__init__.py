"""Several devices: where a run computes. What it computes is the recipe's business, and stays the same.

>>> run(recipe, "runs/first", strategy="mirrored")                      # the GPUs of this machine, with TensorFlow
>>> with strategy.scope():                                             # with a `fit` of one's own
...     model = build_and_compile()

The batch size of a recipe is that of the whole batch, its learning rate is that for the whole batch, and batch
normalisation goes by the moments of the whole batch: one device or eight, the same curves to rounding.
"""

from keras_sparse.distribution.data_parallel import DataParallel
from keras_sparse.distribution.lost_process import LostProcessError
from keras_sparse.distribution.mirrored import Mirrored, check_compiled
from keras_sparse.distribution.model_parallel import ModelParallel
from keras_sparse.distribution.multi_worker import MultiWorker
from keras_sparse.distribution.strategy import Strategy, check_backend
from keras_sparse.registry import Registry

STRATEGIES = Registry("strategy", [DataParallel, Mirrored, MultiWorker])


def get(identifier=None, owner="distribution.get"):
    """A `Strategy` from its name, or itself; None is one device.

    Raises:
        ValueError: If the name is unknown, or the backend in use cannot do it.

    Example:
        >>> get("mirrored")
    """
    strategy = Strategy() if identifier is None else STRATEGIES.resolve(identifier, owner, Strategy)
    check_backend(strategy, {name: STRATEGIES.lookup(name, owner) for name in STRATEGIES}, owner)
    return strategy


__all__ = [
    "STRATEGIES",
    "DataParallel",
    "LostProcessError",
    "Mirrored",
    "ModelParallel",
    "MultiWorker",
    "Strategy",
    "check_compiled",
    "get",
]
