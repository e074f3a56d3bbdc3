"""Ctrl-C while `keras-sparse` still imports, where no `try` of its own can catch it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
INTERRUPTED = "import os, signal; os.kill(os.getpid(), signal.SIGINT); 'one more step'"
# As from a terminal: jobs in the background are told to ignore it.
SCRIPT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from keras_sparse.cli import main
main()
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no signal to send")
@pytest.mark.parametrize(("name", "is_quiet"), [("keras-sparse", True), ("script.py", False)])
def test_interrupted_while_it_imports(name, is_quiet, tmp_path):
    """A Keras that is interrupted stands in for the real one; who imports the package from Python is told as usual."""
    (tmp_path / "keras.py").write_text(INTERRUPTED)
    (tmp_path / name).write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    result = subprocess.run(
        [sys.executable, name, "models"], cwd=tmp_path, env=environment, text=True, capture_output=True, check=False
    )
    assert (result.returncode == 130) == is_quiet
    assert ("KeyboardInterrupt" in result.stderr) != is_quiet
    if is_quiet:
        assert result.stdout + result.stderr == ""
