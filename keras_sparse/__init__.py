"""Sparse networks for Keras 3: build them sparse, train them sparse, run them sparse.

    import keras_sparse as ks

    model = ks.applications.SparseNet(depth=40, growth_rate=12, bottleneck=True)
    print(ks.analysis.profile(model))

Importing the package registers its layers with Keras, so that saved models load.
"""

import importlib
from pathlib import Path

from keras_sparse._checkout import find_in_checkout
from keras_sparse._quiet_start import end_quietly_when_interrupted, is_command, load_backend_quietly

find_in_checkout(Path(__file__).resolve().parent.parent)
if is_command():
    end_quietly_when_interrupted()
    load_backend_quietly()

from keras_sparse import (  # noqa: E402
    aggregation,
    allocation,
    analysis,
    applications,
    callbacks,
    criteria,
    datasets,
    exports,
    layers,
    patterns,
    schedules,
    topologies,
    training,
)
from keras_sparse.exports import export  # noqa: E402
from keras_sparse.transforms import (  # noqa: E402
    compact,
    fold_batch_norm,
    mask_in_place,
    reinitialize,
    rewind,
    roll,
    scale_width,
    shrink,
    sparsify,
    strip,
    unroll,
)

__version__ = "0.1.0"

__all__ = [
    "aggregation",
    "allocation",
    "analysis",
    "applications",
    "callbacks",
    "compact",
    "criteria",
    "datasets",
    "export",
    "exports",
    "fold_batch_norm",
    "layers",
    "mask_in_place",
    "patterns",
    "reinitialize",
    "reports",
    "rewind",
    "roll",
    "scale_width",
    "schedules",
    "shrink",
    "sparsify",
    "strip",
    "studies",
    "topologies",
    "training",
    "transforms",
    "tuning",
    "unroll",
]


def __getattr__(name):
    # The search spaces are KerasTuner classes, and importing KerasTuner takes longer than all the rest; nothing else
    # needs studies and reports.
    if name in ("reports", "studies", "tuning"):
        return importlib.import_module(f"keras_sparse.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*__all__, "__version__", "__doc__"])
