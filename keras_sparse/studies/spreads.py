"""Rows taken together: means over seeds, and how far they are to be trusted."""

import math

import numpy as np

WIDTH = 1.96  # standard deviations to either side hold 95%


def by(rows, *columns):
    """Dictionary from the values of these columns to their rows, in the order of the rows."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in columns), []).append(row)
    return groups


def spread(values):
    """`(mean, standard error of it)`; the error is 0 for a single value."""
    values = np.asarray(values, float)
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def paired(rows, others, *keys, column="accuracy"):
    """Differences of a column to others with the same keys, unless said otherwise the same seed.

    Of several others with the same keys it is their mean; rows without any are left out.
    """
    keys = keys or ("seed",)
    reference = {key: spread([row[column] for row in some])[0] for key, some in by(others, *keys).items()}
    found = by(rows, *keys).items()
    return [row[column] - reference[key] for key, some in found if key in reference for row in some]


def differs(values):
    """Whether differences over seeds are from a mean other than 0, with 95% confidence; not so for a single one.

    By Student's t: two or three seeds have to agree well.
    """
    from scipy.stats import t

    if len(values) < 2:
        return False
    mean, error = spread(values)
    return abs(mean) > t.ppf(0.975, len(values) - 1) * error


def percent(rows, column):
    """`98.12 ± 0.05`: mean and standard error over seeds, in percent; of a single seed its value."""
    mean, error = spread([row[column] for row in rows])
    return f"{100 * mean:.2f}" + (f" ± {100 * error:.2f}" if error else "")


def brief(values):
    """`0.351 ± 0.05`: mean and standard error, to three digits and one."""
    mean, error = spread(values)
    return f"{mean:.3g}" + (f" ± {error:.1g}" if error else "")


def points(mean, error):
    """`+0.35 ± 0.05`: a difference of fractions, in points of percent."""
    return f"{100 * mean:+.2f}" + (f" ± {100 * error:.2f}" if error else "")


def rank_correlation(x, y):
    """Spearman's coefficient with its 95% confidence interval, `(coefficient, low, high)`; NaNs without an order.

    The interval is Fisher's, with the variance of Bonett and Wright, 2000.
    """
    from scipy.stats import rankdata

    if len(x) < 4 or len(set(x)) < 2 or len(set(y)) < 2:
        return (math.nan,) * 3
    coefficient = float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])
    middle = math.atanh(np.clip(coefficient, -1 + 1e-12, 1 - 1e-12))
    half = WIDTH * math.sqrt((1 + coefficient**2 / 2) / (len(x) - 3))
    return coefficient, math.tanh(middle - half), math.tanh(middle + half)
