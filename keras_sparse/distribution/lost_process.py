"""What is said when one of several processes is gone."""

import contextlib
import re

# In the errors of what TensorFlow and JAX send between processes.
SIGNS = ("Collective ops is aborted", "Gloo", "NCCL", "heartbeat", "coordination service", "CoordinationService")


class LostProcessError(ConnectionError):
    """Another process of a run has ended, or cannot be reached."""


@contextlib.contextmanager
def naming_lost_processes():
    """While this lasts, an error that comes from the loss of another process says so."""
    try:
        yield
    except Exception as error:
        if isinstance(error, LostProcessError) or not any(sign in str(error) for sign in SIGNS):
            raise
        raise LostProcessError(
            "Another process of the run has ended, or cannot be reached. See what it says itself, then start all of "
            f"them again to resume the run: it goes on from the last complete epoch. The reason: {_reason(error)}"
        ) from error


def _reason(error):
    line = next(line for line in str(error).splitlines() if any(sign in line for sign in SIGNS))
    return re.sub(r"\{\{.*?\}\}| \[Op:.*", "", line).strip()  # which operation met it
