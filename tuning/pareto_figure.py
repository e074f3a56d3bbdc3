"""Error against size, as in Fig. 2 of the SparseNet paper."""

from keras_sparse.tuning.paper_points import paper_points
from keras_sparse.tuning.pareto import pareto_front

AXES = {"parameters": "connected parameters", "macs": "multiply-adds per image"}


def plot_pareto(trials, dataset):
    """Validation error of all trials against parameters and against multiply-adds, with the Pareto fronts.

    For CIFAR-10 and CIFAR-100 what the paper prints is drawn in: test error after 300 epochs on all images.

    Args:
        trials: List of `Trial`; those that were not trained are left out.
        dataset: Name of the data set.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, PercentFormatter

    trained = [trial for trial in trials if trial.val_error is not None]
    printed = paper_points(dataset)
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    figure.suptitle(f"{len(trained)} trials on {dataset}")
    for axes, (size, label) in zip(figure.subplots(1, 2, sharey=True), AXES.items(), strict=True):
        for status, marker, name in (("completed", "o", "trials"), ("stopped", "x", "ended early")):
            some = [trial for trial in trained if trial.status == status]
            if some:
                points = [getattr(trial, size) for trial in some], [trial.val_error for trial in some]
                axes.scatter(*points, marker=marker, color="0.6", s=28, label=name)
        front = pareto_front(trained, size)
        points = [getattr(trial, size) for trial in front], [trial.val_error for trial in front]
        axes.plot(*points, color="C3", marker="o", drawstyle="steps-post", label="Pareto front")
        for trial, x, y in zip(front, *points, strict=True):
            axes.annotate(trial.name, (x, y), textcoords="offset points", xytext=(4, 5), fontsize=8)
        if size == "parameters":
            for (series, points), color in zip(printed.items(), ("C0", "C9", "C1", "C2"), strict=False):
                axes.plot(*zip(*points, strict=True), color=color, marker="^", ls="--", label=f"{series}, as printed")
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize=8)
    axes = figure.axes[0]
    axes.set_ylabel("validation error")
    if printed:  # ten times lower than what a short training comes to
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        highest = max((trial.val_error for trial in trained), default=0) or 1
        axes.set_ylim(0, 1.06 * highest)  # with room for the markers
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure
