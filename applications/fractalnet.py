"""FractalNet: parallel columns of different depth, joined by their mean.

Reference:
    Larsson, Maire and Shakhnarovich, FractalNet: ultra-deep neural networks without residuals, 2017,
    https://arxiv.org/abs/1605.07648
"""

from keras import layers

from keras_sparse import checks
from keras_sparse.applications.conventions import constructor
from keras_sparse.layers import FractalBlock, PathSampler
from keras_sparse.layers.fractal_block import MAXIMUM_COLUMNS


@constructor(classes=10)
def FractalNet(
    conventions,
    columns=3,
    filters=(64, 128, 256, 512, 512),
    drop_path=0.15,
    dropout=None,
    seed=None,
):
    """FractalNet for CIFAR-sized images: blocks of parallel columns, each block followed by 2x2 pooling.

    With the default arguments the longest path has 5 x 4 convolutions and the classifier: 21 layers. By this rule it
    has 33.7M parameters; the tables that compare with it print 38.6M.

    Args:
        columns: Integer in [1, 10], columns C of each block, of 1, 2, ..., 2^(C-1) convolutions.
        filters: Tuple with the width of each block.
        drop_path: Number in [0, 1), probability of local drop-path. Half of the examples train one column alone
            (global drop-path); 0 switches both off.
        dropout: Number in [0, 1), or one for each block, dropout after it. None is the paper's: 0, 0.1, 0.2, 0.3, 0.4
            (and no more beyond).
        seed: Integer >= 0 or None, of drop-path and dropout.
        {shared}

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> FractalNet(columns=3, filters=(16, 32, 64)).count_params()
    """
    owner = conventions.owner
    if not isinstance(filters, (list, tuple)) or not filters:
        raise checks.error("filters", owner, "a non-empty tuple, one integer for each block", filters, "Pass a tuple.")
    columns = checks.integer("columns", columns, owner, minimum=1, maximum=MAXIMUM_COLUMNS)
    drop_path = checks.number("drop_path", drop_path, owner, 0, 1, exclude_maximum=True)
    if dropout is None:
        dropout = [min(0.1 * block, 0.4) for block in range(len(filters))]
    elif not isinstance(dropout, (list, tuple)):
        dropout = [dropout] * len(filters)
    if len(dropout) != len(filters):
        raise checks.error(
            "dropout", owner, f"one number, or one for each of the {len(filters)} blocks", dropout,
            "Give `dropout` and `filters` the same length.",
        )  # fmt: skip
    seeds = _seeds(seed, 1 + 2 * len(filters))
    image = x = conventions.image(32, minimum_size=2 ** len(filters))
    paths = PathSampler(columns, seed=next(seeds), name="paths")(image) if drop_path else None
    for i, (width, rate) in enumerate(zip(filters, dropout, strict=True)):
        block = FractalBlock(width, columns, drop_path=drop_path, seed=next(seeds), name=f"block{i + 1}")
        x = block(x if paths is None else [x, paths])
        if checks.number("dropout", rate, owner, 0, 1, exclude_maximum=True):
            x = layers.Dropout(rate, seed=next(seeds), name=f"dropout{i + 1}")(x)
        x = layers.MaxPooling2D(2, data_format=conventions.data_format, name=f"pool{i + 1}")(x)
    return conventions.model(image, conventions.classify(x))


def _seeds(seed, count):
    """Distinct seeds from one, or None for each."""
    if seed is None:
        return iter([None] * count)
    seed = checks.integer("seed", seed, "FractalNet", minimum=0)
    return iter(range(seed * count, (seed + 1) * count))
