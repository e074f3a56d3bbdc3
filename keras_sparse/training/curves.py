"""The history of a run as a figure."""


def plot_history(rows, title):
    """Loss and accuracy by epoch, training beside validation.

    Args:
        rows: List of dictionaries with `epoch`, `loss`, `accuracy`, `val_loss`, `val_accuracy`.
        title: String.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    figure.suptitle(title)
    epochs = [row["epoch"] for row in rows]
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        axes.plot(epochs, [row[quantity] for row in rows], marker="o", markersize=3, label="training")
        axes.plot(epochs, [row[f"val_{quantity}"] for row in rows], marker="o", markersize=3, label="validation")
        axes.set_xlabel("epoch")
        axes.set_ylabel("cross-entropy" if quantity == "loss" else quantity)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        axes.legend()
        if quantity == "accuracy":
            axes.set_ylim(0, 1)
    return figure
