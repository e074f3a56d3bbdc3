"""The run that several devices, or processes, must train as one device does."""

import json
from pathlib import Path

import numpy as np

from keras_sparse.training import Recipe
from run_files import masks, rows_of

# Three batches an epoch, of 32, 32 and 31 images: the last does not divide. Connections move by gradients and chance.
BASE = {"epochs": 3, "examples": 105, "learning_rate": 0.05, "seed": 3, "augmentation": "shift"}
MLP = {"model": "mlp", "model_arguments": {"hidden": [16, 8]}, **BASE}
NET = {"model": "sparsenet", **BASE, "epochs": 2, "examples": 81, "learning_rate": 0.01}
RECIPES = {
    "prune": {**MLP, "prune": {"sparsity": 0.9, "frequency": 1, "criterion": "saliency", "scope": "global"}},
    "rewire": {**MLP, "sparsify": {"sparsity": 0.8}, "rewire": {"grow": "gradient", "drop": 0.4, "frequency": 2}},
    "densify": {**MLP, "sparsify": {"sparsity": 0.9}, "densify": {"initial": 0.1, "period": 3}},
    "half": {**MLP, "prune": {"sparsity": 0.9}, "precision": "mixed_float16"},
    "long": {**MLP, "epochs": 8, "sparsify": {"sparsity": 0.8}, "rewire": {"grow": "random", "frequency": 5}},
    # Dense blocks, unrolled and as loops. The last batch is of nine images.
    "convolutions": {**NET, "model_arguments": {"depth": 10, "growth_rate": 4}, "sparsify": {"sparsity": 0.5}},
    "loops": {**NET, "model_arguments": {"depth": 13, "growth_rate": 4, "bottleneck": True, "loop": True}},
}  # fmt: skip

# What a process runs: `sys.argv` is the folder, names of recipes, and code that makes the strategy.
SCRIPT = """
import json, sys
import keras_sparse as ks
from keras_sparse import distribution
from keras_sparse.training import Recipe, run
folder, recipes, strategy = sys.argv[1], json.loads(sys.argv[2]), eval(sys.argv[3])
for name, recipe in recipes.items():
    run(Recipe.from_dict(recipe), f"{folder}/{name}", strategy=strategy, verbose="lines", resume=True)
"""


def arguments(folder, names, strategy):
    """Those of `SCRIPT`."""
    return folder, json.dumps({name: Recipe(**RECIPES[name]).to_dict() for name in names}), strategy


def check_same(folder, expected, names, rtol=1e-4):
    """Asserts that runs have the same curves, to rounding, and the same masks."""
    for name in names:
        rows, others = rows_of(Path(folder) / name / "history.csv"), rows_of(Path(expected) / name / "history.csv")
        for key in set(others[0]) - {"seconds"}:
            found, wanted = ([float(row[key]) for row in one] for one in (rows, others))
            np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-5, err_msg=f"{name} {key}")
        found, wanted = masks(Path(folder) / name / "last.keras"), masks(Path(expected) / name / "last.keras")
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)
