"""Keras layers: sparse kernels, aggregation of earlier outputs, and the units that the networks are made of."""

from keras_sparse.layers.batch_normalization import BatchNormalization
from keras_sparse.layers.fractal_block import FractalBlock
from keras_sparse.layers.looped_aggregation_block import LoopedAggregationBlock
from keras_sparse.layers.mask_constraint import MaskConstraint
from keras_sparse.layers.masked_conv1d import MaskedConv1D
from keras_sparse.layers.masked_conv2d import MaskedConv2D
from keras_sparse.layers.masked_conv3d import MaskedConv3D
from keras_sparse.layers.masked_dense import MaskedDense
from keras_sparse.layers.masked_einsum_dense import MaskedEinsumDense
from keras_sparse.layers.path_sampler import PathSampler
from keras_sparse.layers.preactivation_unit import PreactivationUnit
from keras_sparse.layers.scale_shift import ScaleShift
from keras_sparse.layers.sparse_aggregation import SparseAggregation
from keras_sparse.layers.sparse_aggregation_block import SparseAggregationBlock
from keras_sparse.layers.sparse_conv2d import SparseConv2D
from keras_sparse.registry import Registry

LAYERS = Registry(
    "layer",
    [
        BatchNormalization,
        FractalBlock,
        LoopedAggregationBlock,
        MaskedConv1D,
        MaskedConv2D,
        MaskedConv3D,
        MaskedDense,
        MaskedEinsumDense,
        PathSampler,
        PreactivationUnit,
        ScaleShift,
        SparseAggregation,
        SparseAggregationBlock,
        SparseConv2D,
    ],
)

__all__ = [
    "LAYERS",
    "BatchNormalization",
    "FractalBlock",
    "LoopedAggregationBlock",
    "MaskConstraint",
    "MaskedConv1D",
    "MaskedConv2D",
    "MaskedConv3D",
    "MaskedDense",
    "MaskedEinsumDense",
    "PathSampler",
    "PreactivationUnit",
    "ScaleShift",
    "SparseAggregation",
    "SparseAggregationBlock",
    "SparseConv2D",
]
