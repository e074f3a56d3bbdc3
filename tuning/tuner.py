"""A KerasTuner tuner whose trials are training runs: each in a folder, by a recipe, resumed where it was killed."""

import contextlib
import dataclasses
import os
import time
from pathlib import Path

import keras
from keras_tuner.engine.base_tuner import BaseTuner

from keras_sparse.training import run
from keras_sparse.training.run_folder import RunFolder
from keras_sparse.tuning.budget import Size
from keras_sparse.tuning.hopeless import StopHopeless
from keras_sparse.tuning.search_space import any_depth
from keras_sparse.tuning.service import Heartbeat, is_chief, serve
from keras_sparse.tuning.trials import TRIALS, Trial

IDLE = 0.5  # seconds until a chief that had nothing to do is asked again


@dataclasses.dataclass(frozen=True)
class Job:
    """What all trials of a search share.

    Attributes:
        output: Path of the search.
        fields: Dictionary, fields of `Recipe` that are not searched.
        connection_penalty: Number >= 0, accuracy that a million connected parameters must bring to be worth it.
        early_stopping: Boolean, whether hopeless trials are ended early.
        data_dir: Folder of the TFDS data sets, or None.
        verbose: Boolean, whether a line is printed for each trial.
    """

    output: Path
    fields: dict
    connection_penalty: float = 0.0
    early_stopping: bool = True
    data_dir: str | None = None
    verbose: bool = True

    def scores(self, history, connected_parameters):
        """What is searched for, the higher the better, after each epoch."""
        penalty = self.connection_penalty * connected_parameters / 1e6
        return [float(row["val_accuracy"]) - penalty for row in history]


class RecipeTuner(BaseTuner):
    """Trains what an oracle of `tuning.oracles` proposes out of a `SearchSpace`."""

    def __init__(self, oracle, space, job):
        oracle.space = space
        self.job = job
        self._asked = 0.0
        super().__init__(oracle, space, directory=str(job.output), project_name=TRIALS)

    def _populate_initial_space(self):
        # KerasTuner's builds models to find out what is searched. The space tells without.
        hp = self.oracle.get_space()
        self.hypermodel.choose(hp)
        self.oracle.update_space(hp)

    def _get_tuner_fname(self):
        # One name, whoever goes on: KerasTuner looks for that of the process that began.
        name = self.tuner_id if self._is_worker() else "tuner"
        return os.path.join(self.project_dir, f"{name}.json")

    def search(self):
        """Runs the search, or this process's part of it, to its end."""
        if is_chief():
            self.save()
            serve(self.oracle)
        else:
            super().search()

    def on_search_begin(self):
        self.save()

    def pre_create_trial(self):
        if self._is_worker():
            time.sleep(max(0.0, self._asked + IDLE - time.monotonic()))
            self._asked = time.monotonic()

    def run_trial(self, trial, *args, **kwargs):
        folder = RunFolder(self.get_trial_dir(trial.trial_id))
        try:
            with Heartbeat(self.oracle, trial.trial_id) if self._is_worker() else contextlib.nullcontext():
                scores = self._train(trial.hyperparameters, folder)
        except Exception as error:
            # KerasTuner keeps the message, but does not send it from a worker to the chief.
            Trial.write_error(folder, error)
            raise
        return {"score": max(scores)}

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        if self.job.verbose:
            print(Trial.read(self.get_trial_dir(trial.trial_id)).line(), flush=True)

    def _train(self, hp, folder):
        keras.backend.clear_session()  # of the trial before
        until, before, callbacks = hp.values.get("tuner/epochs"), hp.values.get("tuner/trial_id"), []
        if before is not None:
            self._go_on_from(RunFolder(self.get_trial_dir(before)), folder)
            recipe = folder.read_recipe()
        else:
            recipe = self.hypermodel.recipe(hp, folder.path, **self.job.fields)
        if until is None and self.job.early_stopping:

            def scores(model):
                return self.job.scores(folder.read_history(), Size.of(model).connected_parameters)

            callbacks.append(StopHopeless(scores, self._scores_of_others))
        with any_depth():
            result = run(
                recipe, folder.path, self.job.data_dir, resume=True, verbose="none", until=until, callbacks=callbacks
            )
        scores = self.job.scores(result.history, result.parameters)
        folder.write_result({"scores": scores, **result.figures()})
        return scores

    def _scores_of_others(self):
        trials = Trial.read_all(self.job.output)
        return [trial.scores for trial in trials if trial.scores]

    @staticmethod
    def _go_on_from(before, folder):
        """Begins with what the trial of the round before had come to."""
        if not folder.holds_epochs():
            # The last of them makes a run that goes on. Each is there whole or not at all.
            for name in ("best.keras", "history.csv", "recipe.json", "last.keras"):
                folder.copy(before.file(name))
