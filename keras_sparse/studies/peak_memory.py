"""The most memory that a process has held."""

import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_memory():
    """The most memory that this process has held so far, in GiB.

    Raises:
        ImportError: On Windows, which does not say.
    """
    if STATUS.is_file():
        # What `getrusage` gives on Linux starts at what the process that started this one had.
        lines = dict(line.split(":", 1) for line in STATUS.read_text(encoding="utf-8").splitlines())
        return int(lines["VmHWM"].split()[0]) / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
