"""Read-only views of a model: what it stores, connects and computes; of its graph; and of its weights."""

from keras_sparse.analysis.channel_graph import is_path_connected
from keras_sparse.analysis.feature_reuse import FeatureReuse, feature_reuse, plot_feature_reuse
from keras_sparse.analysis.graph_metrics import (
    algebraic_connectivity,
    dead_units,
    degree_histogram,
    degrees,
    spectral_gap,
)
from keras_sparse.analysis.graph_report import GraphReport, graph_report
from keras_sparse.analysis.mask_figures import plot_degree_histogram, plot_mask
from keras_sparse.analysis.paths import is_symmetric, path_counts, symmetry
from keras_sparse.analysis.profile import Profile, ProfileRow, profile
from keras_sparse.analysis.weight_statistics import WeightStatistics, plot_weight_statistics, weight_statistics

__all__ = [
    "FeatureReuse",
    "GraphReport",
    "Profile",
    "ProfileRow",
    "WeightStatistics",
    "algebraic_connectivity",
    "dead_units",
    "degree_histogram",
    "degrees",
    "feature_reuse",
    "graph_report",
    "is_path_connected",
    "is_symmetric",
    "path_counts",
    "plot_degree_histogram",
    "plot_feature_reuse",
    "plot_mask",
    "plot_weight_statistics",
    "profile",
    "spectral_gap",
    "symmetry",
    "weight_statistics",
]
