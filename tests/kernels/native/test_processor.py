import pytest

from keras_sparse.kernels.native import processor

AVX2 = "fpu sse4_2 avx avx2 bmi1 bmi2 f16c fma movbe abm xsave"


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ("", ["portable"]),
        ("fpu sse4_2 avx", ["portable"]),
        (AVX2, ["AVX2", "portable"]),
        (AVX2 + " avx512f avx512vl", ["AVX2", "portable"]),  # not all that the level promises
        (AVX2 + " avx512f avx512bw avx512cd avx512dq avx512vl", ["AVX-512", "AVX2", "portable"]),
    ],
)
def test_paths_follow_the_features(flags, names, monkeypatch):
    monkeypatch.setattr(processor, "features", lambda: frozenset(flags.split()))
    assert [path.name for path in processor.runnable_paths()] == names


def test_features_are_read(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nflags\t\t: fpu avx2\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    monkeypatch.setattr(processor, "Path", lambda name: tmp_path / name.rpartition("/")[2])
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert processor.features.__wrapped__() == {"fpu", "avx2"}
    (tmp_path / "cpuinfo").unlink()
    assert processor.features.__wrapped__() == frozenset()


def test_another_processor(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert processor.features.__wrapped__() == frozenset()
