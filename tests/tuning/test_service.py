"""One search by several processes, on the loopback address."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from keras_sparse.tuning import service
from keras_sparse.tuning.trials import Trial

PROCESS = """
import json, sys
from keras_sparse.tuning import service
service.BEAT, service.serve.__defaults__ = 0.3, (4, 60)
from small_search import small_search
result = small_search(sys.argv[1], **json.loads(sys.argv[2]))
print("ended with", len(result.trials), flush=True)
"""
FIELDS = {"epochs": 4}


def free_address():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


@pytest.fixture
def start(tmp_path):
    processes = []

    def start(name, **arguments):
        arguments = {"trials": 5, "fields": FIELDS, "early_stopping": False, **arguments}
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with open(tmp_path / f"{name}.log", "w") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", PROCESS, str(tmp_path / "search"), json.dumps(arguments)],
                env=environment, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_until(condition, process, seconds=200):
    for _ in range(seconds * 20):
        if condition():
            return
        assert process.poll() is None
        time.sleep(0.05)
    raise AssertionError("it took too long")


def trials(folder):
    return Trial.read_all(folder / "search") if (folder / "search" / "trials").is_dir() else []


def test_a_chief_and_two_workers_of_which_one_is_killed(start, tmp_path):
    address = free_address()
    chief = start("chief", chief=address)
    first = start("first", worker=address)
    # In the midst of a trial, of which an epoch is done.
    wait_until(lambda: list((tmp_path / "search").glob("trials/trial_*/last.keras")), first)
    wait_until(lambda: any(trial.status == "running" for trial in trials(tmp_path)), first)
    os.kill(first.pid, signal.SIGKILL)
    second, third = start("second", worker=address), start("third", worker=address)
    for process, name in ((second, "second"), (third, "third"), (chief, "chief")):
        assert process.wait(200) == 0, (tmp_path / f"{name}.log").read_text()
    logs = {name: (tmp_path / f"{name}.log").read_text() for name in ("chief", "first", "second", "third")}
    assert "was not heard from for 4 seconds; its trial is given to another" in logs["chief"]
    assert "ended with 5" in logs["chief"]
    assert {trial.status for trial in trials(tmp_path)} == {"completed"}
    assert [trial.name for trial in trials(tmp_path)] == ["0", "1", "2", "3", "4"]
    assert {trial.epochs for trial in trials(tmp_path)} == {4}
    lines = logs["first"] + logs["second"] + logs["third"]
    assert all(lines.count(f"trial {number}: hidden") == 1 for number in range(5))
    assert (tmp_path / "search" / "pareto.png").is_file()


def test_a_worker_without_a_chief_says_so(monkeypatch, tmp_path):
    from small_search import small_search

    monkeypatch.setattr(service, "ANSWER", 1)
    address = free_address()
    before = dict(os.environ)
    with pytest.raises(ConnectionError, match=f"The chief at {address} has not answered for 1 seconds"):
        small_search(tmp_path, worker=address)
    assert dict(os.environ) == before


class Silent:
    """An oracle that nobody asks."""

    def has_ended(self):
        return False

    def take_back(self, silence):
        return []

    def silence(self):
        return 1.0


def test_a_chief_without_workers_ends(monkeypatch):
    with service.role(chief=free_address()), pytest.raises(TimeoutError, match=r"No worker was heard from for 0\.5"):
        service.serve(Silent(), silence=0.1, patience=0.5)


def test_a_taken_address(monkeypatch):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        address = f"127.0.0.1:{sock.getsockname()[1]}"
        with service.role(chief=address), pytest.raises(OSError, match=f"cannot serve at {address}"):
            service.serve(Silent())
