"""Runs side by side."""

import statistics
from pathlib import Path

from keras_sparse.analysis.text_table import short, text_table
from keras_sparse.training.saved_model import is_file
from keras_sparse.training.sparse_training import MAIN


def comparison_table(results):
    """A text table of finished runs: test accuracy, parameters, multiply-adds, seconds.

    Args:
        results: List of `RunResult`.

    Returns:
        String.
    """
    titles = ("model", "data", "epochs", "test accuracy", "parameters", "MACs", "seconds", "s/epoch")
    return text_table(titles, [_row(result) for result in results], words=(None, None))


def _row(result):
    recipe = result.recipe
    return (
        label(recipe),
        recipe.dataset,
        str(recipe.epochs),
        _accuracy(result),
        f"{result.parameters:,}",
        short(result.macs),
        f"{result.seconds:.1f}",
        # The first epoch also traces the graph.
        f"{statistics.median_high(row['seconds'] for row in result.history):.2f}",
    )


def _accuracy(result):
    top_5 = result.test_top_5_accuracy
    return f"{result.test_accuracy:.2%}" + ("" if top_5 is None else f", top-5 {top_5:.2%}")


def label(recipe):
    """`sparsenet depth=40 growth_rate=12 bottleneck`, with the verbs of its recipe, `prune=0.9`; a file by its name."""
    words = [Path(recipe.model).name if is_file(recipe.model) else recipe.model]
    for name, value in recipe.model_arguments.items():
        words.append(name if value is True else f"{name}={value}".replace(" ", ""))
    for verb, main in MAIN.items():
        arguments = getattr(recipe, verb)
        if arguments is not None:
            words.append(f"{verb}={arguments[main]}" if main in arguments else verb)
    return " ".join(words)
