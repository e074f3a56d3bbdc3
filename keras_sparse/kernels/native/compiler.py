"""The C++ compiler: which one, what it calls itself, and what it says when it fails."""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from keras_sparse.kernels.native.not_built import NotBuilt

NAMES = ("g++", "clang++")
INSTALL = (
    "Install one: `apt-get install g++` (Debian, Ubuntu), `dnf install gcc-c++` (Fedora, RHEL) or `conda install "
    "gxx_linux-64`; it must be GCC 11 or newer, or clang. Or name one in the environment variable CXX."
)
TOO_OLD = "GCC 11 or newer, or clang, is needed. Install one and name it: CXX=g++-12 or CXX=clang++."
TIME_LIMIT = 300  # seconds; a build takes 8 to 20 of an idle machine
PROBE = "#if !defined(__clang__) && __GNUC__ < 11\n#error too old\n#endif\n"


class Compiler(NamedTuple):
    """`command`: tuple of words; `version`: all that `--version` says."""

    command: tuple
    version: str

    @property
    def name(self):
        """`/usr/bin/g++: g++ (Debian 12.2.0) 12.2.0`"""
        return f"{shlex.join(self.command)}: {self.version.splitlines()[0]}"


def find_compiler(flags=()):
    """The compiler that `CXX` names, or else the first of g++ and clang++ that can compile the sources.

    Args:
        flags: Strings, that the compiler must know.

    Returns:
        `Compiler`.

    Raises:
        NotBuilt: If there is none.
    """
    named = shlex.split(os.environ.get("CXX", ""))
    found, complaints = False, []
    for command in [named] if named else [[name] for name in NAMES]:
        path = shutil.which(command[0])
        if path is None:
            continue
        found = True
        try:
            compiler = Compiler((path, *command[1:]), _call([path, *command[1:], "--version"], 60).stdout.strip())
            answer = _call([*compiler.command, *flags, "-x", "c++", "-E", "-", "-o", os.devnull], 60, PROBE)
        except (OSError, subprocess.TimeoutExpired) as error:
            complaints.append(f"{path}: {error}")
            continue
        if answer.returncode == 0 and compiler.version:
            return compiler
        complaints.append(f"{path}: {compiler.version.partition(chr(10))[0] or 'no answer to --version'}")
        complaints += answer.stderr.splitlines()[:3]
    if found:
        raise NotBuilt("no C++ compiler here can compile it", TOO_OLD, "\n".join(complaints))
    if named:
        raise NotBuilt(f"CXX={shlex.join(named)!r} names no program that is there", INSTALL)
    raise NotBuilt(f"there is no C++ compiler on the path, neither {' nor '.join(NAMES)}", INSTALL)


def compile_file(compiler, source, before, after, target):
    """Compiles one source; what is at `target` is whole at any time.

    Args:
        compiler: `Compiler`.
        source: Path.
        before, after: Flags before and behind the source.
        target: Path, in a folder that is safe.

    Raises:
        NotBuilt: If that fails.
    """
    with tempfile.TemporaryDirectory(prefix="building-", dir=target.parent, ignore_cleanup_errors=True) as folder:
        result = Path(folder) / target.name
        command = [*compiler.command, *before, str(source), "-o", str(result), *after]
        try:
            # Its own temporary files lie there too: no other folder need be writable.
            answer = _call(command, TIME_LIMIT, TMPDIR=folder)
        except subprocess.TimeoutExpired:
            raise NotBuilt(
                f"{compiler.command[0]} did not end within {TIME_LIMIT} seconds",
                "Build ahead, when the machine is idle: `keras-sparse kernels --build`.",
            ) from None
        if answer.returncode != 0 or not result.is_file():
            raise NotBuilt(
                f"{compiler.name} failed (exit code {answer.returncode}) at {source.name}",
                "Name another in CXX, or set KERAS_SPARSE_NATIVE=0 and nothing is compiled. The end of what it wrote:",
                answer.stdout + answer.stderr,
            )
        os.chmod(result, 0o755)  # whatever the umask
        os.replace(result, target)


def _call(command, seconds, stdin="", **environment):
    """What a command answers; after `seconds`, or if we are interrupted, it is ended with all that it started."""
    pipe = subprocess.PIPE
    environment = {**os.environ, "LC_ALL": "C", **environment}
    options = {"text": True, "errors": "replace", "env": environment, "start_new_session": True}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, **options) as process:
        try:
            output, errors = process.communicate(stdin, seconds)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)
