"""Gives the layers of a model masks while the model stays the same object."""

import contextlib
import functools

import keras
import numpy as np

from keras_sparse.analysis.channel_graph import channel_graph
from keras_sparse.analysis.dense_kernels import kernels_of
from keras_sparse.layers import SparseConv2D
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.layers.two_forms import refuse_loops
from keras_sparse.transforms.rebuild import check_model
from keras_sparse.transforms.selection import PLACES, select
from keras_sparse.transforms.strategy_scope import strategy_scope
from keras_sparse.transforms.strip import STOCK

TWINS = {stock: twin for twin, stock in STOCK.items() if twin is not SparseConv2D}


def mask_in_place(model, exclude=None, owner="mask_in_place"):
    """Turns the stock layers of a model into masked ones, all connected.

    Each stays the very object that it was: its name, its weights, its place in the model and what the optimizer
    remembers of it. A `Dense` then is a `MaskedDense`, a `Conv2D` a `MaskedConv2D`, and so on, whose connections can be
    cut by `Prune`, `Rewire` or `layer.set_mask`. Works on functional, sequential and subclassed models and inside of
    other layers (attention).

    A layer that its model's configuration does not show is made by the code of a class, which makes a stock one again
    when the model is loaded. Such a layer is saved as a stock layer; what is cut comes back as weights of zero. What
    else a file of such layers alone cannot tell: where schedules stood (say it by `counts_from` of `Prune`), the sums
    of "movement".

    Args:
        model: Built Keras model; it is changed.
        exclude: Layers that stay as they are: names, patterns, "first", "last", layers, classes of layers, or a list
            of these. A layer that holds others (attention, a model) stands for all that it holds, one without a kernel
            for none.
        owner: String, the function that an error names.

    Returns:
        List of the layers that were turned.

    Raises:
        ValueError: If the model is not built, or `exclude` names no layer of it.

    Example:
        >>> model = keras.applications.ResNet50(weights=None)
        >>> len(mask_in_place(model, exclude=["first", "last"])), model.get_layer("conv2_block1_1_conv").mask.all()
        (52, True)
    """
    check_model(model, owner)
    refuse_loops(model, owner)
    candidates = {id(layer): layer for layer in model._flatten_layers() if type(layer) in TWINS}
    excluded = excluded_layers(model, exclude, owner)
    chosen = [layer for key, layer in candidates.items() if key not in excluded]
    turnable = [layer for layer in chosen if layer.built and not layer.lora_enabled and not layer.quantization_mode]
    with strategy_scope(model):
        for layer in turnable:
            _turn(layer)
    shown = _shown(model)
    for layer in turnable:
        if id(layer) not in shown:
            _become(layer, _hidden(type(layer)))
            layer.cut_zeros()
    if turnable:
        # They were compiled without masks.
        model.train_function = model.test_function = model.predict_function = None
    return turnable


def excluded_layers(model, exclude, owner):
    """Dictionary from `id` to the layers of a model that `exclude` names, among those with a kernel."""
    if exclude is None:
        return {}
    parts = exclude if isinstance(exclude, (list, tuple, set)) else [exclude]
    graph = channel_graph(model) if any(part in PLACES for part in parts if isinstance(part, str)) else None
    with_kernel = [x for x in model._flatten_layers() if isinstance(x, SparseKernel) or kernels_of(x)]
    return select("exclude", exclude, model, graph, owner, others=with_kernel)


def _become(layer, kind):
    # Past Keras's tracking of attributes: nothing else about the object changes.
    object.__setattr__(layer, "__class__", kind)


@functools.cache
def _hidden(kind):
    """A masked class that is saved as its stock class, under whose name Keras's files look for layers in lists."""
    return type(STOCK[kind].__name__, (kind,), {"is_saved_as_stock": True, "__module__": kind.__module__})


def _turn(layer):
    _become(layer, TWINS[type(layer)])
    layer._tracker.unlock()
    layer._connect(sparsity=0.0, topology="random_edge", format="masked", block_size=1, seed=0)
    layer._add_mask(np.ones(layer.kernel.shape, dtype=bool))
    folder = layer._kernel.path.rpartition("/")[0]
    for name, variable in layer._frozen().items():
        variable._path = f"{folder}/{name}"
    layer._mask_kernel()
    layer._tracker.lock()


def _shown(model):
    """Ids of the layers that the model's configuration holds."""
    seen = set()
    with contextlib.ExitStack() as restored:
        for layer in model._flatten_layers():

            def get_config(layer=layer):
                seen.add(id(layer))
                return type(layer).get_config(layer)

            vars(layer)["get_config"] = get_config
            restored.callback(vars(layer).pop, "get_config")
        with contextlib.suppress(NotImplementedError):
            keras.saving.serialize_keras_object(model)
    return seen
