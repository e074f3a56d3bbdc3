"""The files of a study: `study.json`, `rows.csv`, `table.md`, `figure.png`; `pieces/` while it is under way."""

import contextlib
import csv
import json
import re
import shutil

from keras_sparse.training.run_folder import RunFolder, absolute, environment

STUDY = "study.json"
MADE_WITH = "made_with"
PIECE = "piece"  # the column that says which piece of work a row belongs to


class StudyFolder:
    """Reads and writes the folder of a study; each file is replaced in one step.

    Args:
        path: Folder, or name for a new one.
        study: `Study`.
        name: Its name in `STUDIES`.
    """

    def __init__(self, path, study, name):
        self.files = RunFolder(path)
        self.study = study
        described = {"study": name, "scale": study.scale, "settings": study.settings}
        self.described = json.loads(json.dumps(described))  # tuples become lists, as in the file

    @classmethod
    def open(cls, path):
        """The folder of a study that was begun there, to read.

        Raises:
            ValueError: If none was, or this version does not have that study, with these settings.
        """
        from keras_sparse.studies import STUDIES

        begun = _begun(RunFolder(path))
        if begun is None:
            raise ValueError(f"{str(path)!r} must be the folder of a study. There is no {STUDY} in it.")
        folder = cls(path, STUDIES.lookup(begun["study"], path)(begun["scale"]), begun["study"])
        if folder._differences(begun):
            raise ValueError(
                f"{str(path)!r} holds {begun['study']} at scale {begun['scale']}, with other settings than this "
                "version has. Look at its table.md and figure.png, or run it anew in another folder."
            )
        return folder

    def begin(self):
        """Writes down what is studied.

        Raises:
            ValueError: If another study, or the same one with other settings, was begun there.
        """
        begun = _begun(self.files) or self.described
        differing = self._differences(begun)
        if differing:
            raise ValueError(
                f"`output` of run_study must be a new folder, or that of the same study. Received: "
                f"{str(self.files.path)!r}, in which {begun.get('study')} was begun at scale {begun.get('scale')}. "
                f"They differ in: {', '.join(differing)}. Choose another folder."
            )
        self._describe(begun.get(MADE_WITH, []))

    def note(self, data_dir):
        """Writes down with which data and versions pieces are about to be done; a study may have begun with others."""
        before = _begun(self.files)[MADE_WITH]
        now = {"data_dir": absolute(data_dir), "environment": environment()}
        if now not in before:
            self._describe([*before, now])

    def _describe(self, made_with):
        self.files.write_text(STUDY, json.dumps({**self.described, MADE_WITH: made_with}, indent=2) + "\n")

    def take_rows(self, other):
        """Adds the rows of pieces that the folder of another study has, and this one lacks.

        Raises:
            ValueError: If the other study does other pieces of work.
        """
        same_work = type(other.study).run_piece is type(self.study).run_piece
        if not same_work or any(other.described[key] != self.described[key] for key in ("scale", "settings")):
            raise ValueError(
                f"`rows_from` of run_study must be the folder of a study that does the same work as "
                f"{self.described['study']} at scale {self.study.scale}. Received: {str(other.files.path)!r}, which "
                f"holds {other.described['study']} at scale {other.study.scale}. Leave it out: the rows will be found."
            )
        rows = self.read_rows()
        done = {row[PIECE] for row in rows}
        taken = [row for row in other.read_rows() if row[PIECE] not in done]
        if taken:
            self._describe(_begun(other.files).get(MADE_WITH, []) + _begun(self.files)[MADE_WITH])
            self.write(self.in_order([*rows, *taken]))

    def in_order(self, rows):
        """Rows in the order of the pieces, whichever was done first."""
        pieces = list(self.study.pieces())
        return sorted(rows, key=lambda row: pieces.index(row[PIECE]))

    def _differences(self, begun):
        return [key for key in self.described if begun.get(key) != self.described[key]]

    def read_rows(self):
        """The rows of the pieces that are done; those of pieces that the study does not have are left out."""
        file = self.files.file("rows.csv")
        if not file.is_file():
            return []
        known = self.study.pieces()
        with open(file, encoding="utf-8", newline="") as lines:
            rows = [{key: _value(text) for key, text in row.items()} for row in csv.DictReader(lines)]
        return [row for row in rows if row[PIECE] in known]

    def piece(self, name):
        """Path of the folder of a piece that is under way."""
        return self.files.file("pieces") / re.sub(r"[^\w.=-]+", "-", name)

    def forget_piece(self, name):
        """Deletes the folder of a piece whose rows are written."""
        shutil.rmtree(self.piece(name), ignore_errors=True)
        with contextlib.suppress(OSError):  # others are under way, or none had a folder
            self.files.file("pieces").rmdir()

    def write(self, rows):
        """Rows and table."""
        self.files.write_rows("rows.csv", rows)
        self.files.write_text("table.md", self.report(rows))

    def write_figure(self, rows):
        self.files.write_figure("figure.png", self.study.plot(rows))

    def report(self, rows):
        """The study in Markdown: claim, protocol, published numbers, table, findings."""
        study = self.study
        done, pieces = len({row[PIECE] for row in rows}), len(study.pieces())
        titles, cells = study.table(rows)
        parts = [
            f"# {type(study).__name__}, scale {study.scale}",
            f"{study.paper}",
            f"**Claim.** {study.claim}",
            f"**Protocol.** {study.protocol}",
            f"**Settings.** {', '.join(f'{name} {value}' for name, value in study.settings.items())}.",
            "\n".join(f"- {line}" for line in study.published),
            "" if done == pieces else f"**Unfinished**: {done} of {pieces} pieces.",
            markdown_table(titles, cells),
            "\n".join(f"- {line}" for line in study.findings(rows)),
            "![figure](figure.png)",
        ]
        return "\n\n".join(part for part in parts if part) + "\n"


def _begun(files):
    """What was written down of a study; None if none was begun."""
    file = files.file(STUDY)
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def markdown_table(titles, rows):
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _value(text):
    """What a cell of the CSV was."""
    if text == "":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
