"""Constructors with the conventions of `keras.applications`.

>>> model = SparseNet(depth=40, growth_rate=12, bottleneck=True)
>>> model.count_params()
"""

from keras_sparse.applications.cifarnet import CifarNet
from keras_sparse.applications.densenet import DenseNet, DenseNet121, DenseNet169, DenseNet201, DenseNet264
from keras_sparse.applications.fractalnet import FractalNet
from keras_sparse.applications.lenet import LeNet5, LeNet_300_100
from keras_sparse.applications.mlp import MLP
from keras_sparse.applications.mnist_convnet import MNIST_ConvNet
from keras_sparse.applications.preprocessing import preprocess_input
from keras_sparse.applications.resnet import ResNet, ResNet50, ResNet101, ResNet152
from keras_sparse.applications.sparsenet import SparseNet, SparseNet121, SparseNet169, SparseNet201
from keras_sparse.applications.transplant import transplant_weights
from keras_sparse.applications.vgg16n import VGG16n
from keras_sparse.registry import Registry

MODELS = Registry(
    "model",
    [
        CifarNet,
        DenseNet,
        DenseNet121,
        DenseNet169,
        DenseNet201,
        DenseNet264,
        FractalNet,
        LeNet5,
        LeNet_300_100,
        MLP,
        MNIST_ConvNet,
        ResNet,
        ResNet50,
        ResNet101,
        ResNet152,
        SparseNet,
        SparseNet121,
        SparseNet169,
        SparseNet201,
        VGG16n,
    ],
)


def list_models():
    """Names of the registered models, sorted; `get_model` builds one.

    Example:
        >>> list_models()[:3]
        ['cifarnet', 'densenet', 'densenet121']
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
    "MLP",
    "MODELS",
    "CifarNet",
    "DenseNet",
    "DenseNet121",
    "DenseNet169",
    "DenseNet201",
    "DenseNet264",
    "FractalNet",
    "LeNet5",
    "LeNet_300_100",
    "MNIST_ConvNet",
    "ResNet",
    "ResNet50",
    "ResNet101",
    "ResNet152",
    "SparseNet",
    "SparseNet121",
    "SparseNet169",
    "SparseNet201",
    "VGG16n",
    "get_model",
    "list_models",
    "preprocess_input",
    "transplant_weights",
]
