"""The base class of chapters: what one folder holds, as a part of a report."""

from abc import ABC, abstractmethod

from keras_sparse.reports.listing import listing


class NothingToShow(ValueError):  # noqa: N818
    """Something was begun, and has come to nothing yet."""


class Chapter(ABC):
    """Reads a folder, and says what is in it.

    Attributes:
        kind: String, what such a folder holds.
        file: Name of the file that every folder of this kind has.

    Args:
        path: Path of the folder.
        name: String, what the report calls it.

    Raises:
        NothingToShow: If it is too early for a report.
        ValueError: If a file holds something else than it should.
    """

    kind = file = ""

    def __init__(self, path, name):
        self.path = path
        self.name = name

    @property
    def heading(self):
        return f"{self.kind} {self.name}"

    @abstractmethod
    def parts(self):
        """List of `Markup`, below the heading."""

    def nothing_to_show(self, reason, command):
        return NothingToShow(
            f"{str(self.path)!r}: a {self.kind.lower()} was begun, but {reason}. It holds {listing(self.path)}. Go on "
            f"with it: {command}"
        )
