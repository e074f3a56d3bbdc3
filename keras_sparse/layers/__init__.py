"""Keras layers: aggregation of earlier outputs, and the units that the networks are made of."""

from keras_sparse.layers.fractal_block import FractalBlock
from keras_sparse.layers.path_sampler import PathSampler
from keras_sparse.layers.preactivation_unit import PreactivationUnit
from keras_sparse.layers.sparse_aggregation import SparseAggregation
from keras_sparse.layers.sparse_aggregation_block import SparseAggregationBlock
from keras_sparse.registry import Registry

LAYERS = Registry(
    "layer",
    [FractalBlock, PathSampler, PreactivationUnit, SparseAggregation, SparseAggregationBlock],
)
