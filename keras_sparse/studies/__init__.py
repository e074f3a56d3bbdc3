"""Tables and figures of the papers, each from one command: what was claimed beside what comes out here.

>>> print(run_study("complexity", scale="smoke", output="runs/complexity"))

or `keras-sparse study complexity --scale smoke`. A study is one file; `docs/studies.md` has results.
"""

from keras_sparse.registry import Registry
from keras_sparse.studies.beyond import Beyond
from keras_sparse.studies.complexity import Complexity
from keras_sparse.studies.connectivity import Connectivity
from keras_sparse.studies.counts import Counts
from keras_sparse.studies.depth import Depth
from keras_sparse.studies.feature_reuse import FeatureReuse
from keras_sparse.studies.incremental import Incremental
from keras_sparse.studies.pruned_structures import PrunedStructures
from keras_sparse.studies.radix_nets import RadixNets
from keras_sparse.studies.run_study import run_study
from keras_sparse.studies.snn_topologies import SnnTopologies
from keras_sparse.studies.sparse_random_vs_width import SparseRandomVsWidth
from keras_sparse.studies.sparsenet_vs_densenet import SparsenetVsDensenet
from keras_sparse.studies.study import SCALES, Study
from keras_sparse.studies.weight_statistics import WeightStatistics

STUDIES = Registry(
    "study",
    [
        Beyond,
        Complexity,
        Connectivity,
        Counts,
        Depth,
        FeatureReuse,
        Incremental,
        PrunedStructures,
        RadixNets,
        SnnTopologies,
        SparseRandomVsWidth,
        SparsenetVsDensenet,
        WeightStatistics,
    ],
)


def list_studies():
    """Names of the studies, sorted.

    Example:
        >>> list_studies()[:2]
        ['beyond', 'complexity']
    """
    return STUDIES.names()


__all__ = ["SCALES", "STUDIES", "Study", "list_studies", "run_study"]
