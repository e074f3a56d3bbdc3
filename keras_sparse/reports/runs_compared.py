"""Training runs side by side: a table, and the curves of all in one figure."""

import statistics

from keras_sparse.analysis.text_table import short, shorten
from keras_sparse.reports.markup import drawing, table
from keras_sparse.reports.page import reference
from keras_sparse.training.comparison import label

PANELS = {"loss": "cross-entropy", "accuracy": "accuracy", "sparsity": "sparsity"}


def runs_compared(runs):
    """Table and figure.

    Args:
        runs: Dictionary from the number of a chapter to its `RunChapter`.

    Returns:
        List of `Markup`.
    """
    sparse = any("sparsity" in run.history[-1] for run in runs.values())
    titles = (
        "run", "model", "data", "epochs", "test accuracy", "best validation", *(["sparsity"] if sparse else []),
        "parameters", "MACs", "seconds", "s/epoch",
    )  # fmt: skip
    names = {number: f"{place}. {run.name}" for place, (number, run) in enumerate(runs.items(), start=1)}
    rows = [(reference(number, names[number]), *_cells(run, sparse)) for number, run in runs.items()]
    ends = ", ".join(f"{names[number]} {run.history[-1]['val_accuracy']:.2%}" for number, run in runs.items())
    return [
        table(
            "Accuracy is that of the last weights; seconds are those of all epochs and of the median one", titles, rows
        ),
        drawing(
            "All runs by epoch: lines are validation, dots training",
            f"Loss and accuracy by epoch. Validation accuracy in the last: {ends}.",
            plot_runs({names[number]: run.history for number, run in runs.items()}),
        ),
    ]


def _cells(run, sparse):
    result, last = run.result, run.history[-1]
    yield label(run.recipe)
    yield run.recipe.dataset
    yield run.epochs
    yield f"{result['test_accuracy']:.2%}" if result else ""
    yield f"{run.best['val_accuracy']:.2%}"
    if sparse:
        yield f"{last['sparsity']:.2%}" if "sparsity" in last else ""
    yield f"{result['parameters']:,}" if result else ""
    yield short(result["macs"]) if result else ""
    yield f"{sum(row['seconds'] for row in run.history):.1f}"
    yield f"{statistics.median_high(row['seconds'] for row in run.history):.2f}"


def plot_runs(histories):
    """The curves of all runs, one panel each for loss, accuracy and, if there is one, sparsity.

    Args:
        histories: Dictionary from names to lists of rows as `training.curves.plot_history` takes them.

    Returns:
        A matplotlib figure.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    panels = [name for name in PANELS if any(name in rows[-1] for rows in histories.values())]
    columns = min(3, len(histories))
    figure = Figure(figsize=(4.5 * len(panels), 3.8 + 0.2 * -(-len(histories) // columns)), layout="constrained")
    colors = colormaps["tab10" if len(histories) <= 10 else "tab20"].colors
    for axes, quantity in zip(figure.subplots(1, len(panels)), panels, strict=True):
        lines = []
        for i, rows in enumerate(histories.values()):
            color, epochs = colors[i % len(colors)], [row["epoch"] for row in rows]
            style = ("-", "--", "-.")[i // len(colors) % 3]
            has_validation = f"val_{quantity}" in rows[-1]
            if has_validation:
                axes.plot(epochs, [row[quantity] for row in rows], color=color, linestyle=":", linewidth=1)
            name = f"val_{quantity}" if has_validation else quantity
            values = [row.get(name) for row in rows]
            lines += axes.plot(epochs, values, style, color=color, marker="o", markersize=3)
        axes.set_xlabel("epoch")
        axes.set_ylabel(PANELS[quantity])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    # A dollar would begin a formula.
    names = [shorten(name, 48).replace("$", r"\$") for name in histories]
    figure.legend(lines, names, loc="outside lower center", ncols=columns)
    return figure
