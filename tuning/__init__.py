"""KerasTuner search spaces over the constructors. Needs KerasTuner, which `import keras_sparse` does not load.

>>> space = keras_sparse.tuning.HyperSparseNet(input_shape=(16, 16, 1), classes=10, depth=[16, 22])
>>> tuner = keras_tuner.RandomSearch(space, objective="val_accuracy", max_trials=4)
>>> tuner.search(images, labels, validation_split=0.1, epochs=2)
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
