"""The sparse twin of a model that exists."""

import random

import keras
import numpy as np
from keras import layers

from keras_sparse import allocation as allocations
from keras_sparse import checks, topologies
from keras_sparse.allocation.by_name import by_name
from keras_sparse.allocation.shares import shares
from keras_sparse.analysis.channel_graph import channel_graph
from keras_sparse.layers import MaskedDense, SparseConv2D
from keras_sparse.layers.sparse_kernel import SparseKernel
from keras_sparse.layers.two_forms import refuse_loops
from keras_sparse.topologies.topology import check_sparsity
from keras_sparse.transforms.connect_paths import connect_paths
from keras_sparse.transforms.rebuild import check_model, rebuild, transfer
from keras_sparse.transforms.selection import select

TWINS = {layers.Dense: MaskedDense, layers.Conv2D: SparseConv2D}


def sparsify(
    model,
    sparsity,
    topology="random_fan_in",
    allocation="uniform",
    exclude=None,
    seed=None,
    format="masked",
    block_size=1,
):
    """A new model whose `Dense` and `Conv2D` layers are sparse; weights that stay connected are kept.

    Works on any model that Keras can make again from its configuration: functional, sequential, nested, subclassed
    with a configuration. Names are kept, and shared layers stay shared. There are no dead filters: connections are
    moved, within their layer, until each has a path to an input and to an output of the model, across branches,
    concatenations and sums (`analysis.is_path_connected` proves it). Layers whose sparsity comes to 0 stay as they
    are, and so do convolutions with `groups`, subclasses of `Dense` and `Conv2D`, and layers that are sparse already,
    with all their connections: `strip` first to draw those anew.

    Layers that are made by the code of another layer or of a subclassed model are exchanged where it holds them. A
    `.keras` file of such a model does not load: its classes run again, make stock layers, and Keras refuses the masks
    in the file. There are three ways out. Save the weights (`.weights.h5`), and load them into a model that was
    sparsified with the same arguments, whatever the seed (the masks are weights; compact layers need the same number
    of connections). Or save `strip(model)`, whose zeros are stored. Or let the class take its layers: if the argument
    of its constructor and the attribute `convolutions` hold a list of layers, or None in the argument to make them,
    then `replaceable_sublayers = "convolutions"` in the class lets `sparsify` write them into its configuration.

    Args:
        model: Built Keras model; it is left as it is.
        sparsity: Number in [0, 1), fraction of zeros; None if `allocation` is a dictionary that says all.
        topology: Name in `topologies.NAMED`; or a `Topology` with a degree of its own, or a mask that fits all layers
            that are not excluded (`sparsity` is then None). Each layer draws with a seed of its own.
        allocation: "uniform", "erdos_renyi" or "erdos_renyi_kernel"; a function `(kernel_shapes, sparsity) ->
            sparsities`; or a dictionary from layer names or patterns to sparsities (the first that matches counts;
            what none matches has `sparsity`, or stays dense if that is None).
        exclude: Layers that stay dense: None, or one or a list of names, patterns (`conv2_*`), layers, classes of
            layers, "first" (what reads the model's inputs), "last" (what makes its outputs).
        seed: Integer or None; None draws one.
        format: "masked" or "compact".
        block_size: Integer >= 1, size of dense blocks.

    Returns:
        A Keras model, not compiled.

    Raises:
        ValueError: If an argument is out of range, names no layer, or no layer is left to make sparse.

    Reference:
        Changpinyo et al., The power of sparsity in convolutional neural networks, 2017,
        https://arxiv.org/abs/1702.06257

    Example:
        >>> model = sparsify(keras.applications.ResNet50(weights=None), sparsity=0.9, exclude=["first", "last"], seed=0)
        >>> keras_sparse.analysis.profile(model).connected_parameters
        4513768
    """
    check_model(model, "sparsify")
    refuse_loops(model, "sparsify")
    seed = random.randrange(2**31) if seed is None else checks.integer("seed", seed, "sparsify", minimum=0)
    graph = channel_graph(model)
    called = {id(link.layer) for link in graph.links}
    out_of_sight = [x for x in model._flatten_layers() if type(x) in TWINS and x.built and id(x) not in called]
    excluded = select("exclude", exclude, model, graph, "sparsify", others=out_of_sight)
    _check_in_sight([layer for layer in out_of_sight if id(layer) not in excluded])
    targets = {
        id(link.layer): link.layer
        for link in graph.links
        if type(link.layer) in TWINS and id(link.layer) not in excluded and getattr(link.layer, "groups", 1) == 1
    }
    _check_plain(targets.values())
    if isinstance(topology, (np.ndarray, list, tuple)):
        topology = topologies.FromMask(topology, block_size=block_size)
    if isinstance(topology, topologies.Topology):
        if block_size not in (1, topology.block_size):
            raise checks.error(
                "block_size", "sparsify", f"that of its topology, {topology!r}", block_size, "Set it there."
            )
        block_size = topology.block_size
    sparse = [link.layer.name for link in graph.links if isinstance(link.layer, SparseKernel)]
    sparsities = _allocated(list(targets.values()), sparsity, topology, allocation, sparse)
    replacements, masks = {}, {}
    for index, (key, layer) in enumerate(targets.items()):
        if sparsities[index] == 0:
            continue
        child = int(np.random.SeedSequence(seed, spawn_key=(index,)).generate_state(1)[0])
        drawn = _topology(topology, sparsities[index], block_size, child, layer)
        masks[key] = _mask(drawn, layer)
        by_name = isinstance(topology, str)
        replacements[key] = (
            TWINS[type(layer)],
            {
                **layer.get_config(),
                "topology": topology if by_name else keras.saving.serialize_keras_object(drawn),
                "sparsity": sparsities[index] if by_name else getattr(drawn, "sparsity", None),
                "block_size": block_size,
                "seed": child,
                "format": format,
            },
        )
    if not replacements:
        raise ValueError(
            f"`model` of sparsify must have a Dense or Conv2D layer that is not excluded and gets a sparsity above 0. "
            f"Received: the model {model.name!r} with sparsity={sparsity!r}, exclude={exclude!r}. Exclude less; layers "
            "that are sparse already stay as they are."
        )
    masks = connect_paths(graph, masks, block_size, np.random.default_rng(np.random.SeedSequence(seed)))
    new = rebuild(model, replacements, "sparsify")
    transfer(model, new, masks)
    return new


def _topology(topology, sparsity, block_size, seed, layer):
    if isinstance(topology, topologies.Topology):
        return type(topology).from_config({**topology.get_config(), "seed": seed})
    try:
        return topologies.get(topology, sparsity=sparsity, block_size=block_size, seed=seed, owner="sparsify")
    except ValueError as error:
        raise ValueError(f'{error} (layer "{layer.name}")') from error


def _mask(topology, layer):
    try:
        return topology(*layer.kernel.shape[-2:])
    except ValueError as error:
        raise ValueError(f'{error} (layer "{layer.name}")') from error


def _check_in_sight(layers_left):
    if layers_left:
        names = ", ".join(layer.name for layer in layers_left)
        raise ValueError(
            f"`model` of sparsify must be such that its calls can be followed. Received: the layers {names}, which are "
            "never called, or inside a layer whose `call` does not run on symbolic tensors. Exclude them."
        )


def _check_plain(targets):
    for layer in targets:
        if layer.dtype_policy.quantization_mode if hasattr(layer.dtype_policy, "quantization_mode") else None:
            raise ValueError(
                f"`model` of sparsify must not be quantized. Received: the layer {layer.name!r} with the policy "
                f"{layer.dtype_policy.name!r}. Sparsify first, quantize afterwards."
            )
        if layer.lora_enabled:
            raise ValueError(
                f"`model` of sparsify must have no LoRA. Received: the layer {layer.name!r} with LoRA enabled. Save "
                "and reload the model, which merges it, or sparsify first."
            )


def _allocated(targets, sparsity, topology, allocation, sparse):
    """One sparsity for each layer; `sparse` are names of layers that are sparse already."""
    if isinstance(topology, topologies.Topology):
        if sparsity is not None:
            raise checks.error(
                "sparsity", "sparsify", "None with a topology that is given", sparsity, f"{topology!r} brings its own."
            )
        if allocation != "uniform":
            raise checks.error(
                "allocation", "sparsify", "left out with a topology that is given", allocation,
                f"{topology!r} brings one sparsity for all.",
            )  # fmt: skip
        return [None] * len(targets)
    if isinstance(allocation, dict):
        otherwise = 0.0 if sparsity is None else check_sparsity(sparsity, "sparsify")
        return by_name(allocation, [layer.name for layer in targets], otherwise, "sparsify", not_asked=sparse)
    if not targets:
        return []  # which has an error of its own
    sparsity = check_sparsity(sparsity, "sparsify")
    return shares(allocations.get(allocation, "sparsify"), targets, sparsity, "sparsify")
