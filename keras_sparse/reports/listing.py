"""What a folder holds, in the words of an error."""

MOST = 8  # names that a reader looks at


def listing(folder):
    """`"best.keras, history.csv, tensorboard/"`."""
    names = sorted(file.name + "/" * file.is_dir() for file in folder.iterdir())
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more if names else "nothing"
