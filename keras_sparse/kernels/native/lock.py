"""A lock on a folder, so that of several processes that need the same file one makes it and the others wait.

It only saves work: files are moved into place whole, so without a lock nothing breaks. The system lets it go when a
process dies; where it cannot be had for a long time, or at all, the work is done without.
"""

import contextlib
import os
import time

try:
    import fcntl
except ImportError:  # not on every system
    fcntl = None

PATIENCE = 400  # seconds, longer than a build may last


@contextlib.contextmanager
def locked(folder):
    """While this lasts, other processes wait at the same line."""
    deadline = time.monotonic() + PATIENCE
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with contextlib.ExitStack() as at_end:
            while not _take(file, folder, at_end) and time.monotonic() < deadline:
                time.sleep(0.05)
            yield
    finally:
        os.close(file)


def _take(file, folder, at_end):
    """Whether the lock is ours now."""
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        except OSError:
            pass  # some network folders do not have it
    # A file that only one can make. A process that is killed leaves it: it counts for as long as a build may last.
    held = folder / "lock-held"
    with contextlib.suppress(FileNotFoundError):
        if time.time() - held.stat().st_mtime > PATIENCE:
            held.unlink()
    try:
        os.close(os.open(held, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    at_end.callback(held.unlink, missing_ok=True)
    return True
