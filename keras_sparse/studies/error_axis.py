"""Test error in percent, on a logarithmic axis: good networks and bad ones in one panel."""


def error_of(row):
    """Of a row with an accuracy, in percent."""
    return 100 * (1 - row["accuracy"])


def log_errors(axes):
    """Makes errors a logarithmic axis with plain numbers."""
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7) if high > 4 * low else range(1, 10)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(LogLocator(subs=()))
    axes.grid(alpha=0.3)
