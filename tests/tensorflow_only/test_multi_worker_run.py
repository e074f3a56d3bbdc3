"""TensorFlow only: runs of two processes on the loopback address, against one device."""

import keras
import pytest

from lost_runs import check_lost_and_resumed
from several_processes import finish, free_ports, start
from shared_runs import SCRIPT, arguments, check_same

NAMES = ["prune", "long"]


def strategies():
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    return [f"distribution.MultiWorker({workers}, rank={rank})" for rank in range(2)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    finish(start(SCRIPT, "tensorflow", *arguments(folder, NAMES, "None")))
    return folder


def test_two_processes_train_what_one_device_trains(alone, tmp_path):
    first, second = finish(
        *(start(SCRIPT, "tensorflow", *arguments(tmp_path, NAMES[:1], code)) for code in strategies())
    )
    assert "2 replicas in 2 processes, without XLA" in first
    assert "epoch" not in second  # rank 0 speaks, and writes
    check_same(tmp_path, alone, NAMES[:1])


def test_a_lost_process_ends_the_other_and_the_run_goes_on(alone, tmp_path):
    check_lost_and_resumed("tensorflow", strategies, tmp_path, lost=1, alone=alone)


def test_refused_on_a_keras_with_which_it_was_not_tried(monkeypatch):
    from keras_sparse.distribution import MultiWorker

    monkeypatch.setattr(keras, "__version__", "3.99.0")
    with pytest.raises(ValueError, match=r"MultiWorker must be used with a Keras.*Received: Keras 3\.99\.0.*data_par"):
        MultiWorker(["127.0.0.1:4000", "127.0.0.1:4001"], rank=0).start()
