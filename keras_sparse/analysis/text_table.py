"""Rows of text as a table."""

WIDEST_LABEL = 26


def text_table(titles, rows, left=1):
    """Aligned columns under a header.

    Args:
        titles: Sequence of strings.
        rows: List of sequences of strings, one for each title.
        left: Integer, the first columns that are text and stand on the left, shortened in the middle if need be;
            the others are numbers and stand on the right.

    Returns:
        String, without trailing spaces.
    """
    table = [[_label(cell) if i < left else cell for i, cell in enumerate(row)] for row in (titles, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _label(text):
    if len(text) <= WIDEST_LABEL:
        return text
    head = WIDEST_LABEL // 3
    return f"{text[:head]}..{text[head + 2 - WIDEST_LABEL :]}"
