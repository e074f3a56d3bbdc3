"""A search: which trials were worth their size, and the best recipe."""

import json

from keras_sparse.reports.chapter import Chapter
from keras_sparse.reports.markup import bullets, drawing, element, facts, table
from keras_sparse.reports.recipe_table import in_words, recipe_table
from keras_sparse.training import Recipe


class SearchChapter(Chapter):
    """The folder of `tuning.search`."""

    kind = "Search"
    file = "search.json"

    def __init__(self, path, name):
        super().__init__(path, name)
        # Loads KerasTuner, which only searches need.
        from keras_sparse.tuning import SearchResult

        self.result = SearchResult.read(path)
        self.settings = json.loads((path / self.file).read_text(encoding="utf-8"))
        if self.result.best is None:
            raise self.nothing_to_show(
                f"none of its {len(self.result.trials)} trials was trained",
                f"keras-sparse search --resume --output {path}",
            )

    def parts(self):
        from keras_sparse.tuning.pareto_figure import plot_pareto
        from keras_sparse.tuning.report import failures, notes, results_cells

        result, best = self.result, self.result.best
        running = sum(trial.status == "running" for trial in result.trials)
        parts = [
            element(
                "p",
                f"Best of {len(result.trials)} trials on {result.dataset}: trial {best.name}, {best.words()}, with "
                f"{best.parameters:,} parameters and a validation accuracy of {best.val_accuracy:.2%}.",
            )
        ]
        if running:
            parts.append(element("p", f"Unfinished: {running} trials are not done.", class_="note"))
        front = ", ".join(
            f"trial {trial.name} with {trial.parameters:,} parameters: {trial.val_error:.2%}"
            for trial in result.front()
        )
        parts += [
            drawing(
                "Validation error against size",
                f"Validation error against parameters and against multiply-adds. On the front: {front}.",
                plot_pareto(result.trials, result.dataset),
            ),
            table("Trials", *results_cells(result)),
            bullets([*notes(result), *failures(result)]),
            facts("What was searched", self._searched()),
            recipe_table("Recipe of the best trial", Recipe.load(best.folder)),
        ]
        return parts

    def _searched(self):
        space = self.settings["space"]
        yield "space", space["kind"]
        for name, value in space["arguments"].items():
            choices = value["choices"] if isinstance(value, dict) and "choices" in value else None
            words = ", ".join(map(in_words, choices)) if choices else in_words(value)
            yield name.replace("_", " "), words
        for name, value in space["budget"].items():
            if value is not None:
                yield name.replace("_", " "), f"{value:,}"
        yield "oracle", self.settings["oracle"]
