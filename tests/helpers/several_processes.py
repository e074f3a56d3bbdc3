"""Runs a script in fresh processes: devices are divided, and processes meet, before anything is computed."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# A guard against processes that wait for each other for ever: far more than a busy machine takes.
SECONDS = 1200


def start(script, backend, *arguments, **environment):
    """A process that runs a script with some arguments."""
    environment = {
        **os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "PYTHONPATH": str(ROOT), **environment,
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(*processes):
    """What they printed, when all have succeeded."""
    outputs = []
    try:
        for process in processes:
            output, errors = process.communicate(timeout=SECONDS)
            assert process.returncode == 0, output + errors[-4000:]
            outputs.append(output)
    finally:
        for process in processes:
            process.kill()
    return outputs


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
