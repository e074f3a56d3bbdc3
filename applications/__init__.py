"""Constructors with the conventions of `keras.applications`.

>>> model = SparseNet(depth=40, growth_rate=12, bottleneck=True)
>>> model.count_params()
"""

from keras_sparse.applications.densenet import DenseNet, DenseNet121, DenseNet169, DenseNet201, DenseNet264
from keras_sparse.applications.fractalnet import FractalNet
from keras_sparse.applications.preprocessing import preprocess_input
from keras_sparse.applications.resnet import ResNet, ResNet50, ResNet101, ResNet152
from keras_sparse.applications.sparsenet import SparseNet, SparseNet121, SparseNet169, SparseNet201
from keras_sparse.applications.transplant import transplant_weights
from keras_sparse.registry import Registry

MODELS = Registry(
    "model",
    [
        DenseNet,
        DenseNet121,
        DenseNet169,
        DenseNet201,
        DenseNet264,
        FractalNet,
        ResNet,
        ResNet50,
        ResNet101,
        ResNet152,
        SparseNet,
        SparseNet121,
        SparseNet169,
        SparseNet201,
    ],
)


def list_models():
    """Names of the registered models, sorted; `get_model` builds one.

    Example:
        >>> list_models()[:3]
        ['densenet', 'densenet121', 'densenet169']
    """
    return MODELS.names()


def get_model(name, **arguments):
    """Builds a registered model by name.

    Raises:
        ValueError: If the name is unknown; the error lists the names and the nearest.

    Example:
        >>> get_model("resnet", depth=56).count_params()
    """
    return MODELS.lookup(name, owner="get_model")(**arguments)


__all__ = [
    "MODELS",
    "DenseNet",
    "DenseNet121",
    "DenseNet169",
    "DenseNet201",
    "DenseNet264",
    "FractalNet",
    "ResNet",
    "ResNet50",
    "ResNet101",
    "ResNet152",
    "SparseNet",
    "SparseNet121",
    "SparseNet169",
    "SparseNet201",
    "get_model",
    "list_models",
    "preprocess_input",
    "transplant_weights",
]
