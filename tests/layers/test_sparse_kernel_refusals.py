"""What `MaskedDense` and `SparseConv2D` both refuse."""

import numpy as np
import pytest

from keras_sparse.layers import MaskedDense
from keras_sparse.topologies import Expander, RandomFanIn
from sparse_pair import FORMATS, LAYERS, batch, built


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "csr"}, "`format` of {owner} must be one of 'masked', 'compact'. Received: format='csr'"),
        ({"sparsity": 1.0}, "`sparsity` of {owner} must be a number in [0, 1). Received: sparsity=1.0"),
        ({"sparsity": None}, "`sparsity` of {owner} must be a number in [0, 1). Received: sparsity=None"),
        ({"block_size": 0}, "`block_size` of {owner} must be an integer >= 1. Received: block_size=0"),
        ({"seed": -1}, "`seed` of {owner} must be an integer >= 0. Received: seed=-1"),
        ({"topology": "expandr"}, "Did you mean 'expander'"),
        ({"topology": "from_mask"}, "`topology` of {owner} must come with its connections"),
        ({"topology": 3}, "Pass a name or an instance"),
        ({"topology": [1, 0]}, "must be a boolean array (fan_in, fan_out)"),
        (
            {"topology": RandomFanIn(in_degree=2, seed=1), "sparsity": 0.5},
            "`sparsity` of {owner} must be left out, or that of its topology, None. Received: sparsity=0.5",
        ),
        (
            {"topology": Expander(sparsity=0.7, seed=1), "sparsity": 0.5},
            "that of its topology, 0.7. Received: sparsity=0.5",
        ),
        ({"topology": Expander(sparsity=0.7, seed=1), "block_size": 2}, "`block_size` of {owner} must be left out"),
        ({"topology": Expander(sparsity=0.7, seed=1), "seed": 2}, "`seed` of {owner} must be left out"),
        ({"topology": np.eye(8, 6), "sparsity": 0.5}, "`sparsity` of {owner} must be left out"),
        (
            {"format": "compact", "kernel_initializer": "orthogonal"},
            "`kernel_initializer` of {owner} must be one of VarianceScaling, ",
        ),
        (
            {"format": "compact", "kernel_regularizer": "orthogonal_regularizer"},
            "`kernel_regularizer` of {owner} must be one of L1, L2, L1L2 with format='compact'",
        ),
        (
            {"format": "compact", "kernel_constraint": "max_norm"},
            "`kernel_constraint` of {owner} must be one of NonNeg with format='compact'",
        ),
    ],
    ids=str,
)
def test_arguments_that_are_refused(kind, arguments, message):
    with pytest.raises(ValueError) as caught:
        LAYERS[kind](**arguments, name="few")
    owner = "MaskedDense" if kind == "dense" else "SparseConv2D"
    assert message.format(owner=f'{owner} "few"') in str(caught.value)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"topology": RandomFanIn(in_degree=9)}, "`in_degree` of RandomFanIn must be an integer in [1, fan_in]"),
        ({"topology": np.eye(8)}, "must have the shape of the layer, (fan_in, fan_out) = (8, 6)"),
        ({"block_size": 4}, "must be a divisor of both fan_in=8 and fan_out=6"),
    ],
    ids=["degree", "mask", "block_size"],
)
def test_sizes_are_checked_when_the_layer_is_built(kind, format, arguments, message):
    with pytest.raises(ValueError) as caught:
        LAYERS[kind](format=format, **arguments)(batch(kind))
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", LAYERS)
def test_masks_that_are_refused(kind):
    with pytest.raises(ValueError, match=r"`mask` of .* must be of shape \(8, 6\). Received: mask=\(6, 8\)"):
        built(kind).set_mask(np.ones((6, 8)))
    with pytest.raises(ValueError, match="must be a boolean array"):
        built(kind).set_mask(np.full((8, 6), 2))
    for mask in (np.ones((8, 6)), np.zeros((8, 6))):
        with pytest.raises(ValueError, match=r"one with 24 connections, for which the layer has room"):
            built(kind, format="compact").set_mask(mask)


@pytest.mark.parametrize("format", FORMATS)
def test_what_there_is_not(format):
    layer = MaskedDense(4, format=format, name="few")
    for name in ("mask", "connections", "kernel"):
        with pytest.raises(AttributeError):
            getattr(layer, name)
    with pytest.raises(AttributeError, match='MaskedDense "few" is masked: its weights are in `kernel`'):
        _ = MaskedDense(4, name="few").values
