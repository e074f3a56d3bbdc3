import os
import threading
import time

import pytest

from keras_sparse.kernels.native import lock
from keras_sparse.kernels.native.lock import locked


def no_network_lock(monkeypatch):
    def refuse(*arguments):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)


def no_module(monkeypatch):
    monkeypatch.setattr(lock, "fcntl", None)


@pytest.mark.parametrize("lacking", [None, no_network_lock, no_module])
def test_one_at_a_time(tmp_path, monkeypatch, lacking):
    if lacking is not None:
        lacking(monkeypatch)
    inside, most = [], []

    def work():
        with locked(tmp_path):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 4
    assert os.listdir(tmp_path) == ["lock"]


@pytest.mark.parametrize("lacking", [None, no_module])
def test_nobody_waits_for_ever(tmp_path, monkeypatch, lacking):
    if lacking is not None:
        lacking(monkeypatch)
    with locked(tmp_path):
        monkeypatch.setattr(lock, "PATIENCE", 0.1)
        if lacking is not None:
            os.utime(tmp_path / "lock-held", (time.time() + 100,) * 2)  # not old enough to be taken from who died
        started = time.monotonic()
        with locked(tmp_path):
            assert 0.1 <= time.monotonic() - started < 5


def test_what_a_killed_process_left_is_passed_over(tmp_path, monkeypatch):
    no_module(monkeypatch)
    (tmp_path / "lock-held").write_text("")
    os.utime(tmp_path / "lock-held", (0, 0))
    with locked(tmp_path):
        pass
    assert not (tmp_path / "lock-held").exists()


def test_it_is_let_go_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path):
        raise RuntimeError
    started = time.monotonic()
    with locked(tmp_path):
        assert time.monotonic() - started < 1
