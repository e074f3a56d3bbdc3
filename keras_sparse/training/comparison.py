"""Runs side by side."""

from keras_sparse.analysis.profile import short


def comparison_table(results):
    """A text table of finished runs: test accuracy, parameters, multiply-adds, seconds.

    Args:
        results: List of `RunResult`.

    Returns:
        String.
    """
    header = ("model", "data", "epochs", "test accuracy", "parameters", "MACs", "seconds", "s/epoch")
    table = [header]
    for result in results:
        recipe = result.recipe
        table.append(
            (
                label(recipe),
                recipe.dataset,
                str(recipe.epochs),
                f"{result.test_accuracy:.2%}",
                f"{result.parameters:,}",
                short(result.macs),
                f"{result.seconds:.1f}",
                # The median: the first epoch also traces the graph.
                f"{sorted(row['seconds'] for row in result.history)[recipe.epochs // 2]:.2f}",
            )
        )
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def label(recipe):
    """`sparsenet depth=40 growth_rate=12 bottleneck`."""
    words = [recipe.model]
    for name, value in recipe.model_arguments.items():
        words.append(name if value is True else f"{name}={value}".replace(" ", ""))
    return " ".join(words)
