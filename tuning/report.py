"""What a search leaves for its reader: a table, a CSV file, a figure, and the recipe of the best trial."""

import csv
import io
import textwrap

from keras_sparse.analysis.text_table import short, text_table
from keras_sparse.training.run_folder import RunFolder
from keras_sparse.tuning.pareto import pareto_front
from keras_sparse.tuning.pareto_figure import plot_pareto

SIZES = ("parameters", "macs")
COLUMNS = (
    "trial", "status", "score", "val_accuracy", "test_accuracy", "parameters", "macs", "epochs", "seconds",
)  # fmt: skip


def results_table(result):
    """The trials of a `SearchResult` as text: trained ones first, best score first; then why others failed."""
    titles, rows = results_cells(result)
    lines = [text_table(titles, rows, words=(None, None, None))]
    lines += [textwrap.fill(failure, 120) for failure in failures(result)]
    return "\n".join([*lines, *notes(result)])


def results_cells(result):
    """`(titles, rows)` of the trials that were trained, best score first."""
    fronts = _fronts(result)
    trained = sorted((trial for trial in result.trials if trial.scores), key=lambda trial: -trial.score)
    titles = ("trial", "network", "on front", "validation", "test", "parameters", "MACs", "epochs", "seconds", "score")
    rows = [
        (
            trial.name,
            trial.words(),
            ", ".join(word for word, size in (("p", "parameters"), ("m", "macs")) if trial.name in fronts[size]),
            f"{trial.val_accuracy:.2%}",
            f"{trial.test_accuracy:.2%}",
            f"{trial.parameters:,}",
            short(trial.macs),
            f"{trial.epochs}{'*' if trial.status == 'stopped' else ''}",
            f"{trial.seconds:.1f}",
            f"{trial.score:.4f}",
        )
        for trial in trained
    ]
    return titles, rows


def failures(result):
    """A sentence for each trial that failed."""
    return [f"trial {trial.name} failed: {trial.words()}: {trial.error}" for trial in result.trials if trial.error]


def notes(result):
    """What the table's signs mean, and what is not in it."""
    lines = ["p, m: none is as accurate with fewer parameters, or multiply-adds. *: ended early, as hopeless."]
    if result.refused:
        lines.append(f"{result.refused} proposals were over the budget, and not trained.")
    return lines


def _fronts(result):
    """`{size: names of the trials that are worth it}`."""
    return {size: {trial.name for trial in pareto_front(result.trials, size)} for size in SIZES}


def trials_csv(result):
    """All trials as CSV, with a column for each hyperparameter, and whether a trial is on a Pareto front."""
    searched = list(dict.fromkeys(name for trial in result.trials for name in trial.values))
    fronts = _fronts(result)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *(f"on_front_{size}" for size in SIZES), *searched, "error"])
    for trial in result.trials:
        numbers = [trial.name if name == "trial" else getattr(trial, name) for name in COLUMNS]
        on_fronts = [int(trial.name in fronts[size]) for size in SIZES]
        writer.writerow([*numbers, *on_fronts, *(trial.values.get(name) for name in searched), trial.error])
    return text.getvalue()


def write_report(result):
    """Writes `trials.csv`, `table.txt`, `pareto.png` and `best_recipe.json` into the folder of a search."""
    folder = RunFolder(result.output)
    folder.write_text("trials.csv", trials_csv(result))
    folder.write_text("table.txt", f"{result}\n")
    if result.best is not None:
        folder.write_figure("pareto.png", plot_pareto(result.trials, result.dataset))
        folder.copy(result.best.folder / "recipe.json", "best_recipe.json")
