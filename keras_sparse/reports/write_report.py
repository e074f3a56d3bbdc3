"""Writes the page."""

import collections
import dataclasses
import os
from pathlib import Path

from keras_sparse import checks
from keras_sparse.reports.chapter import NothingToShow
from keras_sparse.reports.found import found_in
from keras_sparse.reports.page import page
from keras_sparse.reports.run_chapter import RunChapter
from keras_sparse.reports.runs_compared import runs_compared
from keras_sparse.training.run_folder import RunFolder


@dataclasses.dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        output: Path of the file.
        headings: List of strings, its chapters.
        left_out: List of strings, what has nothing to show yet, or cannot be read.
    """

    output: Path
    headings: list
    left_out: list

    def __str__(self):
        lines = [f"Not in the report: {line}" for line in self.left_out]
        return "\n".join([*lines, f"Written to {self.output}: {', '.join(self.headings)}"])


def write_report(folders, output="report.html"):
    """Writes one HTML file about folders: tables, figures, recipes; several runs are compared first.

    The file needs no other, loads nothing, and is the same for the same folders. Figures are drawn from the data in
    the folders, which may have gone on since the ones that lie there.

    Args:
        folders: List of folders: of a run, a search or a study, or one with such folders in it, as a job is.
        output: File to write, `*.html`; what is there is replaced.

    Returns:
        A `Report`.

    Raises:
        ValueError: If a folder is none of these, has nothing to show yet, or holds what this version cannot read. Such
            folders in one that is named are left out instead, unless nothing remains.

    Example:
        >>> print(write_report(["runs/cifar", "runs/found"], "report.html"))
    """
    output = Path(output).expanduser()
    if output.suffix != ".html" or output.is_dir():
        raise checks.error("output", "write_report", "a file, *.html", str(output), "Name one.")
    chapters, left_out = _chapters([Path(folder).expanduser() for folder in folders])
    runs = [chapter for chapter in chapters if isinstance(chapter, RunChapter)]
    first = 2 if len(runs) > 1 else 1  # the number of the first that is about one folder
    content = [(chapter.heading, chapter.parts()) for chapter in chapters]
    if len(runs) > 1:
        compared = {number: one for number, one in enumerate(chapters, start=first) if one in runs}
        content.insert(0, (f"{len(runs)} runs compared", runs_compared(compared)))
    title = f"Report on {_counted(chapters)}"
    RunFolder(output.parent).write_text(output.name, page(title, content, left_out))
    return Report(output, [heading for heading, _ in content], left_out)


def _chapters(folders):
    """`(chapters, left_out)`; a folder that was named itself must have something to show."""
    found = {}  # one that is named twice comes once
    for folder in folders:
        for kind, path in found_in(folder):
            found.setdefault(path.resolve(), (kind, path, path in folders))
    names = _names(found)
    chapters, left_out = [], []
    for place, (kind, path, is_named) in found.items():
        try:
            chapters.append(kind(path, names[place]))
        except (KeyError, ValueError) as error:
            message = str(error) if isinstance(error, NothingToShow) else f"{str(path)!r} cannot be read: {error}"
            if is_named:
                raise ValueError(message) from error
            left_out.append(message)
    if not chapters:
        raise ValueError(" ".join(left_out))
    return chapters, left_out


def _names(paths):
    """The shortest names that tell folders apart."""
    if len(paths) == 1:
        return {path: path.name for path in paths}
    parent = os.path.commonpath([path.parent for path in paths])
    return {path: str(path.relative_to(parent)) for path in paths}


def _counted(chapters):
    """`"2 runs, 1 search"`."""
    plural = {"Run": "runs", "Search": "searches", "Study": "studies"}
    counts = collections.Counter(chapter.kind for chapter in chapters)
    return ", ".join(f"{count} {kind.lower() if count == 1 else plural[kind]}" for kind, count in counts.items())
