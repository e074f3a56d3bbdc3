"""Which of the vector paths in the C++ sources this processor can run, and the compiler's flag for each."""

import functools
import platform
from pathlib import Path
from typing import NamedTuple


class VectorPath(NamedTuple):
    """`numbers`: how many float32 a register holds; `needs`: names of features, as Linux lists them."""

    name: str
    numbers: int
    compiler_flags: tuple
    needs: frozenset


_AVX2 = frozenset(("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "abm", "xsave"))
_AVX512 = _AVX2 | frozenset(("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"))

# Levels, not -march=native: that brings half precision on some processors, at which Eigen's headers do not compile.
# A level also means the same on every machine, so that a home folder can be shared.
VECTOR_PATHS = (
    # Without the tuning, GCC schedules for all processors at once: windows take a fifth longer.
    VectorPath("AVX-512", 16, ("-march=x86-64-v4", "-mtune=skylake-avx512"), _AVX512),
    VectorPath("AVX2", 8, ("-march=x86-64-v3",), _AVX2),
    VectorPath("portable", 4, (), frozenset()),
)


def runnable_paths():
    """The vector paths that this processor can run, the widest first."""
    return [path for path in VECTOR_PATHS if path.needs <= features()]


@functools.cache
def features():
    """Names of the features of the processor that the system lets programs use; none where that is not known."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return frozenset()
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return frozenset(value.split())
    return frozenset()
