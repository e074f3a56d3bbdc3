"""Where processes find one another."""

import re

from keras_sparse import checks


def is_address(text):
    """Whether it is "HOST:PORT"."""
    match = re.fullmatch(r"\S+:(\d+)", text) if isinstance(text, str) else None
    return match is not None and 0 < int(match[1]) < 2**16


def checked_rank(rank, processes, owner):
    """The number of a process, checked."""
    hint = f"Each of the {processes} processes has its own, counted from 0."
    return checks.integer("rank", rank, owner, minimum=0, maximum=processes - 1, hint=hint)
