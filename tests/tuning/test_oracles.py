"""What is proposed, and what a kill or a lost worker leaves of it. Nothing is trained."""

import json
import os
import time
from pathlib import Path

import keras_tuner
import pytest

from keras_sparse.tuning.budget import Budget, Size
from keras_sparse.tuning.oracles import FAILURES, LOSSES, ORACLES, make_oracle


class Numbers:
    """A space of 3 x 4 networks, of which the size is `a * b`."""

    def __init__(self, **limits):
        self.budget = Budget(**limits)
        self.measured = 0

    def choose(self, hp):
        return hp.Choice("a", [1, 2, 3]), hp.Choice("b", [1, 2, 3, 4])

    def measure(self, hp):
        self.measured += 1
        a, b = self.choose(hp)
        return Size(connected_parameters=a * b, macs=1)


def oracle_of(name, folder, trials=None, resume=False, epochs=9, **limits):
    oracle = make_oracle(name, keras_tuner.Objective("score", "max"), trials, seed=0, epochs=epochs)
    oracle.space = Numbers(**limits)
    oracle._set_project_dir(str(folder), "trials")
    hp = oracle.get_space()
    oracle.space.choose(hp)
    oracle.update_space(hp)
    if resume:
        oracle.reload()
    return oracle


def finish(oracle, trial, status="COMPLETED"):
    values = trial.hyperparameters.values
    if status == "COMPLETED":
        oracle.update_trial(trial.trial_id, {"score": values["a"] * values["b"] + values["a"] / 10})
    trial.status = status
    oracle.end_trial(trial)
    return values["a"], values["b"]


def go_on(oracle, count=None):
    """The networks that are tried, in order."""
    tried = []
    while count is None or len(tried) < count:
        trial = oracle.create_trial("worker")
        if trial.status == "STOPPED":
            break
        tried.append(finish(oracle, trial))
    return tried


@pytest.fixture(autouse=True)
def _quick_process(monkeypatch):
    """A Gaussian process that is fitted once, not twenty times."""

    def process(oracle):
        from sklearn.gaussian_process import GaussianProcessRegressor, kernels

        return GaussianProcessRegressor(kernels.Matern(nu=2.5), normalize_y=True, alpha=1e-4, random_state=oracle.seed)

    monkeypatch.setattr(keras_tuner.oracles.BayesianOptimizationOracle, "_make_gpr", process)


@pytest.mark.parametrize("name", ORACLES)
def test_what_is_tried_is_within_the_budget(name, tmp_path):
    oracle = oracle_of(name, tmp_path, 12, max_connected_parameters=4)
    tried = go_on(oracle)
    assert len(set(tried)) == len(tried) == 7  # all there are
    assert max(a * b for a, b in tried) <= 4
    assert len(oracle.refused) == 5
    assert oracle.space.measured == 12  # each once
    assert oracle.has_ended()


def test_a_grid_is_every_combination_in_order(tmp_path):
    tried = go_on(oracle_of("grid", tmp_path))
    assert tried == [(a, b) for a in (1, 2, 3) for b in (1, 2, 3, 4)]
    # The first, too, may be too large.
    within = go_on(oracle_of("grid", tmp_path / "other", max_connected_parameters=1))
    assert within == [(1, 1)]


@pytest.mark.parametrize("name", ORACLES)
def test_a_search_that_was_killed_tries_the_same(name, tmp_path):
    whole = go_on(oracle_of(name, tmp_path / "whole", 10, max_connected_parameters=8))
    assert len(whole) >= 8
    assert whole == go_on(oracle_of(name, tmp_path / "again", 10, max_connected_parameters=8))
    limits = {"max_connected_parameters": 8}
    for killed_after in (0, 6):
        folder = tmp_path / f"killed{killed_after}"
        first = oracle_of(name, folder, 10, **limits)
        first.save()
        tried = go_on(first, killed_after)
        first.create_trial("worker")  # and killed in the midst of it
        assert tried + go_on(oracle_of(name, folder, 10, resume=True, **limits)) == whole


def test_killed_between_two_files(tmp_path):
    """A trial is written, and the oracle not yet: before it runs, and after."""
    whole = go_on(oracle_of("random", tmp_path / "whole", 6))
    first = oracle_of("random", tmp_path, 6)
    tried = go_on(first, 2)
    state = Path(tmp_path, "trials", "oracle.json").read_text()
    trial = first.create_trial("worker")
    Path(tmp_path, "trials", "oracle.json").write_text(state)
    second = oracle_of("random", tmp_path, 6, resume=True)
    assert len(second.trials) == 2
    trial = second.create_trial("worker")
    state = Path(tmp_path, "trials", "oracle.json").read_text()
    tried.append(finish(second, trial))
    Path(tmp_path, "trials", "oracle.json").write_text(state)
    third = oracle_of("random", tmp_path, 6, resume=True)
    assert third.end_order == ["0", "1", "2"]
    assert tried + go_on(third) == whole


def test_no_file_is_ever_half_written(tmp_path, monkeypatch):
    oracle = oracle_of("random", tmp_path, 6)
    go_on(oracle, 1)

    def fails(*paths):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(KeyboardInterrupt):
        oracle.save()
    json.loads(Path(tmp_path, "trials", "oracle.json").read_text())


def test_more_trials_may_follow(tmp_path):
    for name in ("random", "grid"):
        tried = go_on(oracle_of(name, tmp_path / name, 3))
        tried += go_on(oracle_of(name, tmp_path / name, 5, resume=True))
        assert len(set(tried)) == 5


def test_failures_in_a_row_end_it_and_leave_nothing_locked(tmp_path):
    oracle = oracle_of("random", tmp_path, 10)
    for _ in range(FAILURES - 1):
        finish(oracle, oracle.create_trial("worker"), "FAILED")
    go_on(oracle, 1)
    for _ in range(FAILURES):
        finish(oracle, oracle.create_trial("worker"), "FAILED")
    assert oracle.create_trial("worker").status == "STOPPED"
    # What failed may have been mended.
    assert len(go_on(oracle_of("random", tmp_path, 10, resume=True))) == 4


def test_a_network_that_cannot_be_measured_is_tried_and_will_fail(tmp_path):
    oracle = oracle_of("random", tmp_path, 2, max_connected_parameters=1)

    def measure(hp):
        raise ValueError("no such network")

    oracle.space.measure = measure
    assert len(go_on(oracle)) == 2


def test_a_lost_worker_gives_its_trial_to_another(tmp_path):
    oracle = oracle_of("random", tmp_path, 3)
    lost = oracle.create_trial("first")
    finish(oracle, oracle.create_trial("second"))
    finish(oracle, oracle.create_trial("second"))
    # The last trial runs elsewhere: it may yet be lost.
    assert oracle.create_trial("second").status == "IDLE"
    time.sleep(0.05)
    oracle.get_trial(lost.trial_id)  # a sign of life
    assert oracle.take_back(silence=0.04) == ["second"]
    assert oracle.create_trial("second").status == "IDLE"
    time.sleep(0.05)
    oracle.create_trial("second")
    assert oracle.take_back(silence=0.04) == ["first"]
    again = oracle.create_trial("second")
    assert (again.trial_id, again.status) == (lost.trial_id, "RUNNING")
    assert again.hyperparameters.values == lost.hyperparameters.values
    finish(oracle, again)
    # The first was only slow.
    finish(oracle, lost)
    assert oracle.end_order.count(lost.trial_id) == 1
    assert not oracle.has_ended()
    assert oracle.create_trial("second").status == "STOPPED"
    assert oracle.has_ended()


def test_a_trial_that_kills_its_process_fails(tmp_path):
    oracle = oracle_of("random", tmp_path, 2)
    oracle.save()
    for _ in range(LOSSES):
        trial = oracle.create_trial("worker")
        assert trial.trial_id == "0"
        oracle = oracle_of("random", tmp_path, 2, resume=True)
    assert oracle.trials["0"].status == "FAILED"
    assert "lost 3 times" in oracle.trials["0"].message
    assert oracle.create_trial("worker").trial_id == "1"


def test_bayesian_search_begins_with_a_third_at_random(tmp_path):
    oracle = oracle_of("bayesian", tmp_path, 12)
    assert oracle.num_initial_points == 4
    tried = go_on(oracle)
    assert len(set(tried)) == 12  # nothing twice
    assert (3, 4) in tried[:8]  # and the best early
