"""KerasTuner's oracles, which say what is tried next: within the budget, repeatable, and able to lose a worker."""

import collections
import json
import time
import warnings

import keras_tuner
import numpy as np

from keras_sparse.training.run_folder import RunFolder

# Proposals that are over the budget, or were made before, until the space counts as exhausted.
ATTEMPTS = 200
FAILURES = 3  # in a row, which end a search
LOSSES = 3  # of processes over one trial before its first epoch, for which it is then taken for the cause


class _SearchOracle:
    """What is common to the oracles of a search, to be mixed into one of KerasTuner's.

    - Networks over the budget are not proposed: they are counted in `refused`, and cost no trial.
    - State is written in one step, and what a kill left between two files is put right when it is read.
    - A trial whose worker is not heard from is given to another; while trials run, workers that have nothing to do
      wait, in case one is lost.
    - Trials that fail end the search when there are `FAILURES` of them in a row. KerasTuner does so by an exception
      that leaves the oracle locked.
    """

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.max_consecutive_failed_trials = None
        self._max_collisions = ATTEMPTS
        self.verbose = 0
        self.space = None  # the `SearchSpace`, set by the tuner
        self.refused = set()
        self.failures = 0
        self._accepted = set()
        self._heard = {}  # tuner id -> time
        self._began = time.monotonic()
        self._exhausted = False
        self._losses = collections.Counter()  # by trial

    # What is proposed

    def populate_space(self, trial_id):
        if self.failures >= FAILURES:
            return {"status": "STOPPED"}
        response = super().populate_space(trial_id)
        values = response.get("values")
        if values and not self._fits(values):
            values = self._instead_of(values)
            return {"status": "RUNNING", "values": values} if values else {"status": "STOPPED"}
        return response

    def _instead_of(self, values):
        return self._random_values()

    def _duplicate(self, values):
        return super()._duplicate(values) or not self._fits(values)

    def _fits(self, values):
        if not self.space.budget.is_limited:
            return True
        key = self._compute_values_hash(values)
        if key not in self.refused | self._accepted:
            hp = self.get_space()
            hp.values = dict(values)
            try:
                fits = self.space.budget.excess(self.space.measure(hp)) is None
            except Exception:  # whatever it is: the trial will fail of it, and show it
                fits = True
            (self._accepted if fits else self.refused).add(key)
        return key in self._accepted

    # Who works on it

    @keras_tuner.synchronized
    def create_trial(self, tuner_id):
        self._heard[tuner_id] = time.monotonic()
        trial = super().create_trial(tuner_id)
        if trial.status == "STOPPED":
            self._exhausted = True
            if self.ongoing_trials:
                self.tuner_ids.add(tuner_id)
                trial.status = "IDLE"
        return trial

    def get_trial(self, trial_id):
        """The trial; the worker that asks for its own says by it that it lives."""
        for tuner_id, trial in list(self.ongoing_trials.items()):
            if trial.trial_id == trial_id:
                self._heard[tuner_id] = time.monotonic()
        return super().get_trial(trial_id)

    @keras_tuner.synchronized
    def end_trial(self, trial):
        if trial.trial_id in self.end_order:  # by another, when this worker was taken for lost
            self.ongoing_trials = {k: v for k, v in self.ongoing_trials.items() if v.trial_id != trial.trial_id}
            return
        super().end_trial(trial)
        if trial.trial_id in self._retry_queue:
            self._retry_queue.remove(trial.trial_id)
        self.failures = self.failures + 1 if self.trials[trial.trial_id].status == "FAILED" else 0
        self.save()  # once more, now that the trial is no longer among those that run

    @keras_tuner.synchronized
    def take_back(self, silence):
        """Queues the trials of workers that were not heard from for `silence` seconds; returns who that was."""
        now = time.monotonic()
        lost = [tuner_id for tuner_id in self.tuner_ids if now - self._heard.get(tuner_id, now) > silence]
        for tuner_id in lost:
            self.tuner_ids.discard(tuner_id)
            trial = self.ongoing_trials.pop(tuner_id, None)
            if trial is not None and not self._is_deadly(trial):
                self._retry_queue.append(trial.trial_id)
        if lost:
            self.save()
        return lost

    def _is_deadly(self, trial):
        """Counts that a trial lost its process; whether it is taken for the cause, and has failed."""
        if RunFolder(self._get_trial_dir(trial.trial_id)).holds_epochs():
            return False
        self._losses[trial.trial_id] += 1
        if self._losses[trial.trial_id] < LOSSES:
            return False
        trial.status, trial.message = "FAILED", f"Its process was lost {LOSSES} times before the end of an epoch."
        self.end_order.append(trial.trial_id)
        self._save_trial(trial)
        return True

    @keras_tuner.synchronized
    def has_ended(self):
        """Whether all trials have ended, no more may come, and all workers know."""
        full = self.max_trials is not None and len(self.trials) >= self.max_trials
        return (full or self._exhausted) and not (self.ongoing_trials or self._retry_queue or self.tuner_ids)

    def silence(self):
        """Seconds since a worker was heard from."""
        return time.monotonic() - max(self._heard.values(), default=self._began)

    # What is written

    def save(self):
        RunFolder(self._project_dir).write_text("oracle.json", json.dumps(self.get_state()))

    def _save_trial(self, trial):
        RunFolder(self._get_trial_dir(trial.trial_id)).write_text("trial.json", json.dumps(trial.get_state()))

    def reload(self):
        super().reload()
        # A trial file that was written before the oracle's own: the trial is proposed once more, with the same values.
        self.trials = {name: trial for name, trial in self.trials.items() if name in self.start_order}
        waiting, self._retry_queue = dict.fromkeys(self._retry_queue), []
        for trial in map(self.trials.get, waiting):
            if trial.status in ("COMPLETED", "FAILED"):  # of which the oracle's own file does not know
                self.end_order.append(trial.trial_id)
            elif not self._is_deadly(trial):
                self._retry_queue.append(trial.trial_id)
        self.save()

    def get_state(self):
        return {**super().get_state(), "refused": sorted(self.refused), "losses": self._losses}

    def set_state(self, state):
        super().set_state(state)
        self.refused = set(state["refused"])
        self._losses = collections.Counter(state["losses"])


class Random(_SearchOracle, keras_tuner.oracles.RandomSearchOracle):
    """Every trial drawn by itself."""


class Hyperband(_SearchOracle, keras_tuner.oracles.HyperbandOracle):
    """Many short trials, of which the best go on."""


class Bayesian(_SearchOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """A Gaussian process says where to look, after some random trials."""

    def populate_space(self, trial_id):
        # Not carried on from call to call, so that a search that was resumed goes the same way.
        self._random_state = np.random.RandomState(self.seed + len(self.trials))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on kernels that did not converge
            return super().populate_space(trial_id)

    def _fits(self, values):
        # The process may propose what was tried.
        return not keras_tuner.Oracle._duplicate(self, values) and super()._fits(values)


class Grid(_SearchOracle, keras_tuner.oracles.GridSearchOracle):
    """Every combination, in order.

    KerasTuner's own forgets, when it is killed, where it was. Here the next combination is that after the last trial:
    all hyperparameters are known from the start.
    """

    def populate_space(self, trial_id):
        if not self.start_order or self.failures >= FAILURES:
            return super().populate_space(trial_id)
        values = self._instead_of(self.trials[self.start_order[-1]].hyperparameters.values)
        return {"status": "RUNNING", "values": values} if values else {"status": "STOPPED"}

    def _instead_of(self, values):
        values = self._get_next_combination(values)
        while values is not None and not self._fits(values):
            values = self._get_next_combination(values)
        return values


ORACLES = {"random": Random, "bayesian": Bayesian, "hyperband": Hyperband, "grid": Grid}


def make_oracle(name, objective, trials, seed, epochs):
    """One of `ORACLES` for a search.

    Args:
        name: Key of `ORACLES`.
        objective: KerasTuner objective.
        trials: Integer, how many at most; None for as many as `hyperband` and `grid` come to.
        seed: Integer >= 0.
        epochs: Integer, of the longest trial.
    """
    arguments = {"objective": objective, "seed": seed + 1}  # 0 is "any" to KerasTuner
    if name == "hyperband":
        oracle = Hyperband(**arguments, max_epochs=epochs)
        oracle.max_trials = trials
        return oracle
    if name == "bayesian":
        # KerasTuner's default is three random trials for each hyperparameter: all of a short search.
        arguments["num_initial_points"] = max(3, trials // 3)
    return ORACLES[name](**arguments, max_trials=trials)
