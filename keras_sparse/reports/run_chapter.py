"""A training run: what came out, curves, recipe."""

import csv
import json
import shlex

from keras_sparse.analysis.text_table import short
from keras_sparse.reports.chapter import Chapter, NothingToShow
from keras_sparse.reports.markup import drawing, element, facts, folded, sentences, table
from keras_sparse.reports.recipe_table import recipe_table
from keras_sparse.training.comparison import label
from keras_sparse.training.curves import plot_history
from keras_sparse.training.run_folder import RunFolder


class RunChapter(Chapter):
    """The folder of `training.run`.

    Attributes:
        recipe: `Recipe`.
        history: List of dictionaries of numbers, one for each epoch.
        result: Dictionary, what `RunResult.figures` says; empty until the run is finished.
    """

    kind = "Run"
    file = "recipe.json"

    def __init__(self, path, name):
        super().__init__(path, name)
        self.files = RunFolder(path)
        if not self.files.begun():
            raise NothingToShow(f"{str(path)!r}: a run of a job, which has not begun.")
        self.recipe = self.files.read_recipe()
        self.history = [
            {**{key: float(value) for key, value in row.items()}, "epoch": int(row["epoch"])}
            for row in self.files.read_history()
        ]
        if not self.history:
            raise self.nothing_to_show("no epoch was completed", self.go_on)
        result = self.files.read_result()
        # One that was resumed has that of a while ago until it is finished.
        self.result = result if result and result["epochs"] == len(self.history) else {}

    @property
    def go_on(self):
        return f"keras-sparse train --resume --output {shlex.quote(str(self.path))}"

    @property
    def best(self):
        """The row of the epoch with the highest validation accuracy."""
        return max(self.history, key=lambda row: row["val_accuracy"])

    @property
    def epochs(self):
        """`"8"`, or `"3 of 8"`."""
        done, all_ = len(self.history), self.recipe.epochs
        return str(done) if done == all_ else f"{done} of {all_}"

    def parts(self):
        last = self.history[-1]
        parts = [element("p", f"{label(self.recipe)} on {self.recipe.dataset}")]
        if not self.result:
            note = f"Unfinished, {self.epochs} epochs: `{self.go_on}` goes on, and computes test figures."
            parts.append(element("p", sentences(note), class_="note"))
        parts += [
            facts("What came out", self._figures()),
            drawing(
                "Loss and accuracy by epoch",
                f"Training and validation, {len(self.history)} epochs. In the last, validation accuracy is "
                f"{last['val_accuracy']:.2%} and cross-entropy {last['val_loss']:.3f}.",
                plot_history(self.history, title=f"{label(self.recipe)} on {self.recipe.dataset}"),
            ),
            recipe_table("Recipe", self.recipe),
        ]
        if "sparsity" in last:
            parts.append(self._layers())
        titles = list(last)
        rows = [[str(row["epoch"]), *(f"{row[title]:.4g}" for title in titles[1:])] for row in self.history]
        parts.append(folded("All epochs", table("History", titles, rows)))
        for summary, name in (("Profile by layer", "profile.txt"), ("recipe.json", "recipe.json")):
            if self.files.file(name).is_file():
                text = self.files.file(name).read_text(encoding="utf-8")
                parts.append(folded(summary, element("pre", text, tabindex="0")))
        return parts

    def _figures(self):
        result, best, last = self.result, self.best, self.history[-1]
        if result:
            yield "test accuracy", f"{result['test_accuracy']:.2%}"
            if result["test_top_5_accuracy"] is not None:
                yield "test accuracy, top 5", f"{result['test_top_5_accuracy']:.2%}"
            yield "test cross-entropy", f"{result['test_loss']:.4f}"
        yield "best validation accuracy", f"{best['val_accuracy']:.2%}, epoch {best['epoch']}"
        if "sparsity" in last:
            yield "sparsity", f"{last['sparsity']:.2%}"
        if result:
            yield "parameters", f"{result['parameters']:,}"
            yield "multiply-adds per image", short(result["macs"])
        yield "epochs", self.epochs
        yield "seconds", f"{sum(row['seconds'] for row in self.history):.1f}"
        saved = json.loads(self.files.file(self.file).read_text(encoding="utf-8"))
        yield "made with", ", ".join(f"{name} {version}" for name, version in saved["environment"].items())

    def _layers(self):
        with open(self.files.file("sparsity.csv"), newline="", encoding="utf-8") as lines:
            rows = [row for row in csv.DictReader(lines) if int(row["epoch"]) == len(self.history)]
        cells = [
            (
                row["layer"],
                f"{int(row['connections']):,}",
                f"{int(row['weights']):,}",
                *(f"{float(row[name]):.4g}" for name in ("sparsity", "churn", "norm")),
            )
            for row in rows
        ]
        titles = ("layer", "connections", "weights", "sparsity", "churn", "norm")
        return table("Connections after the last epoch", titles, cells)
