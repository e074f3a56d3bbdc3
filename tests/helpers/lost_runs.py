"""A run of two processes of which one is killed."""

import time

from several_processes import SECONDS, finish, start
from shared_runs import SCRIPT, arguments, check_same

# Long enough to be killed within.
NAME = "long"


def kill_after_an_epoch(process, folder):
    """Kills a process when the run in a folder has completed an epoch."""
    until = time.monotonic() + SECONDS
    while not (folder / NAME / "last.keras").exists():
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()


def check_lost_and_resumed(backend, strategies, folder, lost, alone):
    """Kills one of two processes after an epoch; asserts that the other ends, and that the run can be gone on with.

    Args:
        backend: String.
        strategies: Function that gives code for the strategy of each of two processes.
        folder: Path.
        lost: Integer, rank of the process to kill.
        alone: Folder of the run on one device.
    """
    processes = [start(SCRIPT, backend, *arguments(folder, [NAME], code)) for code in strategies()]
    try:
        kill_after_an_epoch(processes[lost], folder)
        killed = time.monotonic()
        output, errors = processes[1 - lost].communicate(timeout=60)
    finally:
        for process in processes:
            process.kill()
    assert time.monotonic() - killed < 60
    assert processes[1 - lost].returncode != 0
    assert "epoch 8/8" not in output
    # JAX may find out first, and ends the process with a message of its own.
    assert "Another process of the run has ended" in errors or "another task died" in errors, errors[-2000:]
    finish(start(SCRIPT, backend, *arguments(folder, [NAME], "None")))
    check_same(folder, alone, [NAME])
