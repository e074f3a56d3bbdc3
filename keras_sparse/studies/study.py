"""The base class of studies: what a paper claims, and how it is looked into."""

from abc import ABC, abstractmethod

from keras_sparse import checks
from keras_sparse.training import run
from keras_sparse.training.run_folder import RunFolder

SCALES = ("smoke", "cpu", "full")


class Study(ABC):
    """One published experiment, cut into pieces that are done one after another, or side by side.

    A subclass says what it is about in class attributes and overrides the methods below. `run_study` does the pieces,
    keeps their rows, and writes what the rows say.

    Attributes:
        paper: String, paper, tables and figures.
        claim: String, what the paper says.
        protocol: String, what is done, and where it departs from the paper.
        published: Tuple of strings, what the paper prints that the rows are compared with.
        scales: Dictionary from "smoke" (embedded data, under a minute), "cpu" (two cores, about an hour) and "full"
            (the paper's protocol) to a dictionary of settings.
        alone: Boolean, whether pieces are measured: each has the machine and, but at the smallest scale, a process to
            itself.

    Args:
        scale: One of the three.
    """

    paper = claim = protocol = ""
    published = ()
    scales = {}  # noqa: RUF012
    alone = False

    def __init__(self, scale="smoke"):
        self.scale = checks.choice("scale", scale, self, SCALES)
        self.settings = self.scales[self.scale]

    @abstractmethod
    def pieces(self):
        """The work: dictionary from the name of a piece to the arguments of `run_piece`, which can be pickled."""

    def work(self, **arguments):
        """How much work a piece is, in relation to others: by it the time that is left is reckoned."""
        return 1

    @abstractmethod
    def run_piece(self, data_dir, folder, **arguments):
        """Does one piece.

        Args:
            data_dir: Folder of the TFDS data sets, or None for the default.
            folder: Path of a folder of the piece's own, which may not exist yet. What a piece leaves there it finds
                again if it was stopped; when its rows are kept, the folder is deleted.
            **arguments: As `pieces` gives them.

        Returns:
            Non-empty list of dictionaries with the same keys in all pieces, of numbers, None, and strings that do not
            read as one of these: what is read from the CSV file again is to be the same.
        """

    @staticmethod
    def train(recipe, folder, data_dir, callbacks=()):
        """Runs a recipe in a folder, or goes on with it, without a word; returns its `RunResult`."""
        return run(recipe, folder, data_dir, resume=True, verbose="none", callbacks=callbacks)

    @staticmethod
    def keep(model, folder):
        """Saves a model in the folder of a piece, if it is not there yet, for a recipe to begin with; returns its path.

        The path is an absolute one: the piece may be resumed from another folder.
        """
        file = RunFolder(folder).file("model.keras").absolute()
        if not file.is_file():
            RunFolder(folder).write_model(file.name, model)
        return str(file)

    @abstractmethod
    def table(self, rows):
        """What the rows say: `(titles, list of sequences of strings)`, seeds taken together."""

    @abstractmethod
    def findings(self, rows):
        """List of strings: each claim, and whether the rows bear it out."""

    @abstractmethod
    def plot(self, rows):
        """A matplotlib figure: ours beside what was published."""
