"""The history of a run as a figure."""


def plot_history(rows, title):
    """Loss and accuracy by epoch, training beside validation; where connections move, sparsity and churn.

    Args:
        rows: List of dictionaries with `epoch`, `loss`, `accuracy`, `val_loss`, `val_accuracy`; perhaps `sparsity` and
            `churn`.
        title: String.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    panels = [
        ("cross-entropy", {"loss": "training", "val_loss": "validation"}),
        ("accuracy", {"accuracy": "training", "val_accuracy": "validation"}),
    ]
    if rows and "sparsity" in rows[0]:
        panels.append(("fraction", {"sparsity": "sparsity", "churn": "churn"}))
    figure = Figure(figsize=(4.5 * len(panels), 3.6), layout="constrained")
    figure.suptitle(title)
    epochs = [row["epoch"] for row in rows]
    for axes, (quantity, lines) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for name, label in lines.items():
            # Not clipped: a mark at 1, the end of the axis, is drawn whole.
            axes.plot(epochs, [row[name] for row in rows], marker="o", markersize=3, label=label, clip_on=False)
        axes.set_xlabel("epoch")
        axes.set_ylabel(quantity)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        axes.legend()
        if quantity != "cross-entropy":
            axes.set_ylim(0, 1)
    return figure
