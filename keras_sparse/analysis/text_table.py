"""Rows as a table of text: words on the left, numbers on the right.

>>> print(text_table(("layer", "weights"), [("conv1", "432"), ("conv2", short(23400))]))
layer  weights
--------------
conv1      432
conv2    23.4k
"""


def text_table(titles, rows, words=(26,)):
    """Aligned columns under a header.

    Args:
        titles: Sequence of strings.
        rows: List of sequences of strings, one for each title.
        words: Tuple with one number for each of the first columns, which are words and stand on the left: so wide
            they may be, and what is longer is shortened in the middle; None for any width. The other columns are
            numbers and stand on the right.

    Returns:
        String, without trailing spaces.
    """
    table = [[*map(shorten, row, words), *row[len(words) :]] for row in (titles, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if i < len(words) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def shorten(text, width):
    """`text` in at most `width` characters, its middle left out: `"conv4_..k12_conv"`."""
    if width is None or len(text) <= width:
        return text
    head = width // 3
    return f"{text[:head]}..{text[head + 2 - width :]}"


def short(number):
    """`12345678` -> `"12.3M"`: three digits and a unit."""
    rounded = float(f"{number:.3g}")
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(rounded) >= limit:
            value = rounded / limit
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}{unit}"
    return str(number)
