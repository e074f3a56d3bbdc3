"""Fully connected networks, those whose topologies the SNN paper compares.

Reference:
    Bourely et al., Sparse neural network topologies, 2017, https://arxiv.org/abs/1706.05683
"""

import functools

from keras import layers

from keras_sparse import checks
from keras_sparse.applications.conventions import constructor
from keras_sparse.applications.sparse_twin import SparseTwin


@constructor(classes=10, twin=SparseTwin)
def MLP(
    conventions,
    twin,
    hidden=(300,),
    activation="sigmoid",
    input_dropout=0.0,
    dropout=0.0,
):
    """Fully connected network of any hidden sizes, on vectors or flattened images.

    The paper's networks are 784-h-10 with h = 100, 300 or 500, and 784-500-300-10. It trains them with a sigmoid at the
    output, too (`classifier_activation="sigmoid"`), and mean squared error. Weights are drawn by Glorot's normal. The
    input is 28 x 28 with one channel by default; there is no feature map, and `pooling` must be None.

    Sparse by default are, as in the paper: with one hidden layer, `hidden1` and `predictions`; with more, the
    hidden ones, `hidden1`, `hidden2`, and so on.

    Args:
        hidden: Tuple of integers >= 1, units of each hidden layer.
        activation: Activation of the hidden layers.
        input_dropout: Number in [0, 1), dropout of the inputs; the paper tries 0.2.
        dropout: Number in [0, 1), dropout after each hidden layer; the paper tries 0.5.
        {twin}
        {shared}

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If an argument is out of range, or contradicts another.

    Example:
        >>> MLP(hidden=(300,), sparsity=0.9, topology="fibonacci_rotating", classifier_activation="sigmoid")
    """
    if not isinstance(hidden, (list, tuple)) or not hidden:
        raise checks.error(
            "hidden", conventions.owner, "a non-empty tuple, one integer for each hidden layer", hidden, "Pass a tuple."
        )
    hidden = [checks.integer("hidden", units, conventions.owner, minimum=1) for units in hidden]
    only_layer = ("predictions",) if len(hidden) == 1 else ()
    return fully_connected(
        conventions,
        twin,
        hidden,
        sparse=(*_names(hidden), *only_layer),
        activation=activation,
        input_dropout=input_dropout,
        dropout=dropout,
        kernel_initializer="glorot_normal",
    )


def _names(hidden):
    return [f"hidden{i + 1}" for i in range(len(hidden))]


def fully_connected(
    conventions, twin, hidden, sparse, activation, input_dropout=0.0, dropout=0.0, kernel_initializer="glorot_uniform"
):
    """A network of dense layers on vectors or flattened images.

    Args:
        conventions: `Conventions` of the constructor.
        twin: Its `SparseTwin`.
        hidden: List of integers, units of the hidden layers.
        sparse: Tuple, names of the layers that are sparse by default.

    Returns:
        A Keras model.
    """
    if conventions.pooling is not None:
        raise checks.error(
            "pooling", conventions.owner, "None, for a network without a feature map", conventions.pooling,
            "Leave it out.",
        )  # fmt: skip
    names = _names(hidden)
    twin.plan((*names, "predictions"), sparse)
    dense = functools.partial(twin.dense, kernel_initializer=kernel_initializer)
    x = image = conventions.image(28, minimum_size=1, channels=1, flat=True)
    if len(image.shape) > 2:
        x = layers.Flatten(data_format=conventions.data_format, name="flatten")(x)
    x = twin.dropout(x, input_dropout, "input_dropout", argument="input_dropout")
    for name, units in zip(names, hidden, strict=True):
        x = dense(x, units, name, activation=activation)
        x = twin.dropout(x, dropout, f"{name}_dropout")
    return conventions.model(image, conventions.classify(x, features=lambda x: x, dense=dense))
