"""A study: what was claimed, what came out."""

from keras_sparse.reports.chapter import Chapter
from keras_sparse.reports.markup import bullets, drawing, element, facts, paragraph, table
from keras_sparse.reports.recipe_table import in_words
from keras_sparse.studies.study_folder import PIECE, STUDY, StudyFolder


class StudyChapter(Chapter):
    """The folder of `studies.run_study`."""

    kind = "Study"
    file = STUDY

    def __init__(self, path, name):
        super().__init__(path, name)
        folder = StudyFolder.open(path)
        self.study, self.described = folder.study, folder.described
        self.rows = folder.read_rows()
        if not self.rows:
            command = f"keras-sparse study {self.described['study']} --scale {self.study.scale} --output {path}"
            raise self.nothing_to_show("no piece of it is done", command)

    @property
    def heading(self):
        title = f"{self.kind} {self.described['study']}, scale {self.study.scale}"
        return title if self.name == self.described["study"] else f"{title} ({self.name})"

    def parts(self):
        study, rows = self.study, self.rows
        done, pieces = len({row[PIECE] for row in rows}), len(study.pieces())
        parts = [
            element("p", study.paper),
            element("h3", "What is claimed"),
            paragraph(study.claim),
            bullets(study.published),
            element("h3", "What came out"),
        ]
        if done < pieces:
            parts.append(element("p", f"Unfinished: {done} of {pieces} pieces.", class_="note"))
        return [
            *parts,
            drawing("Ours beside what was published", "What is to be seen is said below.", study.plot(rows)),
            bullets(study.findings(rows)),
            table("Results", *study.table(rows)),
            element("h3", "How"),
            paragraph(study.protocol),
            facts("Settings", [(name, in_words(value)) for name, value in self.described["settings"].items()]),
        ]
