"""What of folders can be reported on."""

from keras_sparse.reports.listing import listing
from keras_sparse.reports.run_chapter import RunChapter
from keras_sparse.reports.search_chapter import SearchChapter
from keras_sparse.reports.study_chapter import StudyChapter
from keras_sparse.training.job import read_job

CHAPTERS = (StudyChapter, SearchChapter, RunChapter)
DEPTH = 2  # folders below one that is named: runs/studies/counts-smoke of runs


def found_in(folder):
    """Folders of runs, searches and studies: the folder itself, or those below it.

    Args:
        folder: Path.

    Returns:
        List of `(kind of chapter, path)`.

    Raises:
        ValueError: If there is none, or no such folder.
    """
    if not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is no folder. Pass what `--output` of train, prune, search or study named.")
    found = _found(folder, DEPTH)
    if not found:
        raise ValueError(
            f"{str(folder)!r} holds no run, search or study. It holds {listing(folder)}. Pass what `--output` of "
            "train, prune, search or study named."
        )
    return found


def _found(folder, depth):
    for kind in CHAPTERS:
        if (folder / kind.file).is_file():
            return [(kind, folder)]
    if depth == 0:
        return []
    job = [(RunChapter, path) for _, path in read_job(folder)[0]]
    below = sorted(path for path in folder.iterdir() if path.is_dir())
    return job or [one for path in below for one in _found(path, depth - 1)]
