"""The search: trials in a folder, and what came of them."""

import dataclasses
import json
from pathlib import Path

import keras_tuner

from keras_sparse import checks, datasets
from keras_sparse.datasets import SOURCES
from keras_sparse.training import Recipe
from keras_sparse.training.presets import preset_fields
from keras_sparse.training.run_folder import RunFolder, absolute
from keras_sparse.tuning.oracles import FAILURES, ORACLES, make_oracle
from keras_sparse.tuning.pareto import pareto_front
from keras_sparse.tuning.report import results_table, write_report
from keras_sparse.tuning.service import is_chief, role
from keras_sparse.tuning.trials import TRIALS, Trial
from keras_sparse.tuning.tuner import Job, RecipeTuner

SETTINGS = "search.json"
SEARCHED = ("model", "model_arguments", "learning_rate")  # fields of a recipe that a space fills in
CHANGING = ("prune", "densify")  # with which a network has another size in the end


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a search has to show; `str()` is a table.

    Attributes:
        output: Path of the folder.
        dataset: Name of the data set.
        trials: List of `Trial`, in the order in which they began.
        refused: Integer, proposals that were over the budget and never became a trial.
    """

    output: Path
    dataset: str
    trials: list
    refused: int

    @classmethod
    def read(cls, output):
        """What a search that was begun in a folder has come to so far."""
        folder = RunFolder(output)
        settings = json.loads(folder.file(SETTINGS).read_text(encoding="utf-8"))
        oracle = folder.file(TRIALS) / "oracle.json"
        refused = json.loads(oracle.read_text(encoding="utf-8"))["refused"] if oracle.is_file() else ()
        return cls(folder.path, settings["fields"]["dataset"], Trial.read_all(folder.path), len(refused))

    @property
    def best(self):
        """The `Trial` with the highest score; None if none was trained."""
        trained = [trial for trial in self.trials if trial.scores]
        return max(trained, key=lambda trial: trial.score, default=None)

    def front(self, size="parameters"):
        """The trials that are worth their "parameters", or their "macs"; see `pareto_front`."""
        return pareto_front(self.trials, size)

    def __str__(self):
        return results_table(self)


def search(
    space,
    output,
    fields=None,
    oracle="random",
    trials=20,
    connection_penalty=0.0,
    early_stopping=True,
    data_dir=None,
    resume=False,
    chief=None,
    worker=None,
    verbose=True,
):
    """Searches a space: trains what an oracle of KerasTuner proposes, each trial a `training.run` in its own folder.

    The folder holds `trials.csv`, `table.txt`, `pareto.png` and `best_recipe.json`, for `keras-sparse train --recipe`;
    below `trials/` KerasTuner's files, and a folder for each trial with its recipe, history and models. A search that
    was killed goes on with `resume=True`, within the trial that was running, too; with the same seed, it tries the same
    and, on a CPU with TensorFlow, finds the same as one that was not. Networks over the budget of the space are not
    proposed: no trial is spent on them, no data read, no weights made.

    With several processes the order in which trials end, and so what Bayesian and Hyperband searches try next and what
    is ended early, depends on their speed.

    Args:
        space: `SearchSpace`.
        output: Folder to write; one that all hosts share, if there are several.
        fields: Dictionary, the fields of `Recipe` that all trials share, such as `dataset`, `epochs` and `seed`; by
            default those of the preset "quick".
        oracle: "random", "bayesian", "hyperband" or "grid". Hyperband counts the epochs of `fields` as the longest
            training; a trial that is kept goes on where it stood.
        trials: Integer, how many are trained at most; None for all of a grid, or of Hyperband's rounds.
        connection_penalty: Number >= 0. Searched for is validation accuracy, less so much for each million connected
            parameters.
        early_stopping: Boolean, whether trials are ended that lie below the median of the others; not with Hyperband,
            which has its own way.
        data_dir: Folder of the TFDS data sets; see `datasets.load`.
        resume: Boolean, go on with the search in `output`, or begin it; more `trials` than before may be asked for.
        chief: String "HOST:PORT" to be the chief there, who trains nothing and answers workers.
        worker: String "HOST:PORT" of the chief, to work for it. All other arguments must be those of the chief.
        verbose: Boolean, whether a line is printed for each trial.

    Returns:
        A `SearchResult`.

    Raises:
        ValueError: If an argument is out of range, the space is for other images than those of the data set, or
            `output` holds a search and `resume` is False, or another search.
        FileNotFoundError: If the data set is not prepared.
        ConnectionError: If the chief does not answer.

    Example:
        >>> space = HyperSparseNet((16, 16, 1), 10, max_connected_parameters=200_000)
        >>> result = search(space, "runs/search", trials=20)
        >>> print(result)
        >>> model = result.best.load_model()
    """
    fields = preset_fields("quick") if fields is None else dict(fields)
    settings = _settings(space, fields, oracle, trials, connection_penalty, early_stopping)
    dataset = settings["fields"]["dataset"]
    folder = RunFolder(output)
    job = Job(folder.path, fields, float(connection_penalty), bool(early_stopping), absolute(data_dir), verbose)
    with role(chief, worker):
        if not worker:
            _begin(folder, settings, resume)
        if not is_chief():
            # To fail of it here, and not in every trial.
            datasets.load(dataset, data_dir, fields.get("validation_fraction", 0.1), fields.get("examples"))
        objective = keras_tuner.Objective("score", "max")
        made = make_oracle(oracle, objective, trials, settings["fields"]["seed"], settings["fields"]["epochs"])
        RecipeTuner(made, space, job).search()
    result = SearchResult(folder.path, dataset, Trial.read_all(folder.path), len(made.refused))
    if not worker:
        write_report(result)
    if made.failures >= FAILURES and verbose:
        print(f"{FAILURES} trials in a row failed, which ended the search.", flush=True)
    return result


def _settings(space, fields, oracle, trials, connection_penalty, early_stopping):
    """What decides how a search goes, as JSON holds it."""
    checks.choice("oracle", oracle, "search", tuple(sorted(ORACLES)))
    if trials is not None or oracle in ("random", "bayesian"):
        checks.integer("trials", trials, "search", minimum=1)
    checks.number("connection_penalty", connection_penalty, "search", 0, 1e9)
    for names, hint in ((SEARCHED, "The space fills them in."), (CHANGING, "They change what the budget is about.")):
        given = sorted(set(fields) & set(names))
        if given:
            raise checks.error("fields", "search", f"a dictionary without {', '.join(names)}", given, hint)
    recipe = Recipe("mlp", **fields).to_dict()  # whatever the model: to check the fields, and fill in the others
    source = SOURCES[recipe["dataset"]]
    if space.input_shape and (space.input_shape, space.classes) != (source.image_shape, source.classes):
        raise checks.error(
            "space", "search", f"one for images {source.image_shape} in {source.classes} classes",
            (space.input_shape, space.classes), f"Make it with the shapes of {recipe['dataset']}.",
        )  # fmt: skip
    return {
        "space": space.describe(),
        "fields": {name: value for name, value in recipe.items() if name not in SEARCHED},
        "oracle": oracle,
        "connection_penalty": connection_penalty,
        "early_stopping": early_stopping,
    }


def _begin(folder, settings, resume):
    """Writes down what is searched, or compares it with what was."""
    begun = folder.file(SETTINGS).is_file()
    if begun and resume:
        saved = json.loads(folder.file(SETTINGS).read_text(encoding="utf-8"))
        settings = json.loads(json.dumps(settings))
        differing = [name for name in settings if settings[name] != saved.get(name)]
        if differing:
            raise ValueError(
                f"`resume` of search goes on with a search as it was begun. Received: another than that in "
                f"{str(folder.path)!r}. They differ in: {', '.join(differing)}. Choose another folder."
            )
    elif begun and folder.file(TRIALS).is_dir():
        raise checks.error(
            "output", "search", "a folder without a search", str(folder.path),
            "Go on with that one by resume=True, or choose another folder.",
        )  # fmt: skip
    else:
        folder.write_text(SETTINGS, json.dumps(settings, indent=2) + "\n")
