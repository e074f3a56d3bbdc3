"""Several runs under one folder, written down before the first begins."""

import json

from keras_sparse.training.recipe import Recipe
from keras_sparse.training.run_folder import RunFolder, absolute

JOB = "job.json"


def begin_job(output, recipes, data_dir, strategy=None):
    """Assigns a folder to each recipe: `output` itself to a single one, otherwise one below it for each model.

    Several are written to one file, in one step, so that a job killed at any moment is resumed whole.

    Returns:
        List of `(recipe, folder)`.
    """
    root = RunFolder(output, strategy)
    if len(recipes) == 1:
        return [(recipes[0], root.path)]
    runs = [(recipe, root.path / recipe.model) for recipe in recipes]
    entries = [{"folder": folder.name, "recipe": recipe.to_dict()} for recipe, folder in runs]
    root.write_text(JOB, json.dumps({"data_dir": absolute(data_dir), "runs": entries}, indent=2) + "\n")
    return runs


def read_job(output):
    """`([(recipe, folder), ...], data_dir)` of the runs that were begun in a folder; an empty list if none was."""
    root = RunFolder(output)
    if root.file(JOB).is_file():
        job = json.loads(root.file(JOB).read_text(encoding="utf-8"))
        runs = [(Recipe.from_dict(run["recipe"]), root.path / run["folder"]) for run in job["runs"]]
        return runs, job["data_dir"]
    if root.begun():
        return [(root.read_recipe(), root.path)], root.read_data_dir()
    return [], None
