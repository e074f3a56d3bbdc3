"""One legend for several panels."""


def shared_legend(figure, ncols=4):
    """Names below a figure, or a part of one, what its panels show; what has the same name, once."""
    labels = {}
    for axes in figure.axes:
        labels |= {label: line for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(labels.values(), labels, loc="outside lower center", ncols=ncols, fontsize=8)
