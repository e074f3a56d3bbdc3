"""Errors and parameters that the SparseNet paper prints for CIFAR, with augmentation, after 300 epochs.

Reference:
    Zhu et al., Sparsely aggregated convolutional networks, 2018, Table 2, https://arxiv.org/abs/1801.05895
"""

# Series -> (depth and growth rate, million parameters as printed, % error on CIFAR-10, on CIFAR-100).
PAPER_POINTS = {
    "DenseNet": [
        ("40, 12", 1.1, 5.39, 24.79),
        ("100, 12", 7.2, 4.28, 20.97),
        ("100, 24", 28.3, 4.04, 19.61),
        ("100, 16-32-64", 61.1, 4.31, 20.6),
    ],
    "DenseNet-BC": [
        ("100, 16-32-64", 7.9, 4.02, 19.55),
        ("250, 24", 15.3, 3.65, 17.6),
        ("190, 40", 25.6, 3.75, 17.53),
        ("100, 32-64-128", 30.5, 3.92, 18.71),
    ],
    "SparseNet": [
        ("40, 24", 0.8, 5.13, 24.65),  # printed as k=12; the authors' repository says 24, and so does the count
        ("100, 24", 2.5, 4.64, 22.41),
        ("100, 36", 5.7, 4.34, 20.50),
        ("100, 16-32-64", 7.2, 4.11, 19.49),
        ("100, 32-64-128", 27.7, 3.88, 18.80),
    ],
    "SparseNet-BC": [
        ("100, 24", 1.5, 4.03, 22.12),
        ("100, 36", 3.3, 3.91, 20.31),
        ("100, 16-32-64", 4.4, 3.43, 19.71),
        ("100, 32-64-128", 16.7, 3.22, 17.71),
    ],
}
COLUMNS = {"cifar10": 2, "cifar100": 3}


def paper_points(dataset):
    """`{series: [(parameters, error as a fraction), ...]}` for a data set; empty for one that the paper has not."""
    if dataset not in COLUMNS:
        return {}
    column = COLUMNS[dataset]
    return {
        series: [(row[1] * 1e6, row[column] / 100) for row in sorted(rows, key=lambda row: row[1])]
        for series, rows in PAPER_POINTS.items()
    }
