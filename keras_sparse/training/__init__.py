"""Training runs that can be repeated, interrupted and compared.

>>> recipe = Recipe("sparsenet", {"depth": 40, "growth_rate": 12, "bottleneck": True}, dataset="digits")
>>> result = run(recipe, output="runs/first")
>>> print(comparison_table([result]))
"""

from keras_sparse.training.comparison import comparison_table
from keras_sparse.training.optimizer import CoupledDecaySGD
from keras_sparse.training.presets import PRESETS, preset
from keras_sparse.training.recipe import Recipe
from keras_sparse.training.run import RunResult, run
from keras_sparse.training.stack import StackedNetwork, TrainedStack, train_stack

__all__ = [
    "PRESETS",
    "CoupledDecaySGD",
    "Recipe",
    "RunResult",
    "StackedNetwork",
    "TrainedStack",
    "comparison_table",
    "preset",
    "run",
    "train_stack",
]
