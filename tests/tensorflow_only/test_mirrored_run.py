"""TensorFlow only: runs on two replicas, each a part of the CPU, against one device."""

import pytest

from lost_runs import NAME, kill_after_an_epoch
from several_processes import finish, start
from shared_runs import SCRIPT, arguments, check_same


@pytest.mark.parametrize("names", [["prune", "half"], ["convolutions"], ["loops"]], ids=lambda names: names[0])
def test_two_replicas_train_what_one_device_trains(names, tmp_path):
    one, two = finish(
        start(SCRIPT, "tensorflow", *arguments(tmp_path / "one", names, "None")),
        start(SCRIPT, "tensorflow", *arguments(tmp_path / "two", names, "distribution.Mirrored(devices=2)")),
    )
    assert one.count("one device, without XLA") == two.count("2 replicas, without XLA") == len(names)
    check_same(tmp_path / "two", tmp_path / "one", names)


def test_killed_on_two_replicas_and_resumed_on_them(tmp_path):
    alone = start(SCRIPT, "tensorflow", *arguments(tmp_path / "one", [NAME], "None"))
    mirrored = arguments(tmp_path / "two", [NAME], "distribution.Mirrored(devices=2)")
    kill_after_an_epoch(start(SCRIPT, "tensorflow", *mirrored), tmp_path / "two")
    again, _ = finish(start(SCRIPT, "tensorflow", *mirrored), alone)
    assert "after epoch" in again
    check_same(tmp_path / "two", tmp_path / "one", [NAME])
