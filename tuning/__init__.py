"""Search spaces over the constructors, and the search of recipes. Needs KerasTuner, which `import keras_sparse` does
not load.

>>> space = keras_sparse.tuning.HyperSparseNet((16, 16, 1), 10, depth=[16, 22], max_connected_parameters=200_000)
>>> print(keras_sparse.tuning.search(space, "runs/search", trials=20))

The spaces are KerasTuner's `HyperModel`s, and its own tuners take them. There a network over the budget is a failed
trial, and three of them in a row end the search, unless `max_consecutive_failed_trials` says otherwise.

>>> tuner = keras_tuner.RandomSearch(space, objective="val_accuracy", max_trials=4, max_consecutive_failed_trials=None)
>>> tuner.search(images, labels, validation_split=0.1, epochs=2)

What KerasTuner 1.4 leaves open, `search` closes: a grid search that was killed starts at its end, a Bayesian one draws
anew and may repeat itself, a seed of 0 is none, errors of workers do not reach the chief, a chief whose worker died
never ends, a worker whose chief died waits for an hour, and files may be half written.
"""

from keras_sparse.registry import Registry
from keras_sparse.tuning.hyper_densenet import HyperDenseNet
from keras_sparse.tuning.hyper_resnet import HyperResNet
from keras_sparse.tuning.hyper_sparsenet import HyperSparseNet
from keras_sparse.tuning.hyper_sparsity import HyperSparsity
from keras_sparse.tuning.pareto import pareto_front
from keras_sparse.tuning.search import SearchResult, search
from keras_sparse.tuning.search_space import SearchSpace

SEARCH_SPACES = Registry("search space", [HyperDenseNet, HyperResNet, HyperSparseNet, HyperSparsity])

__all__ = [
    "SEARCH_SPACES",
    "HyperDenseNet",
    "HyperResNet",
    "HyperSparseNet",
    "HyperSparsity",
    "SearchResult",
    "SearchSpace",
    "pareto_front",
    "search",
]
