"""The package as it is installed: wheel, sdist and editable, each in a fresh environment of its own."""

import ast
import configparser
import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
import keras  # brings matplotlib and more, where they are installed
before = set(sys.modules)
import keras_sparse as ks
forbidden = {"tensorflow_datasets", "keras_tuner", "matplotlib", "sklearn", "scipy"} & (set(sys.modules) - before)
assert not forbidden, f"import keras_sparse imports {forbidden}"
found = sorted(m.name for m in pkgutil.walk_packages(ks.__path__, "keras_sparse."))
for room in ("aggregation", "analysis", "applications", "datasets", "layers", "studies", "training", "tuning"):
    importlib.import_module(f"keras_sparse.{room}")
for name in ks.__all__:
    getattr(ks, name)
for name in (
    "layers.SparseAggregation", "layers.SparseAggregationBlock", "applications.SparseNet", "applications.DenseNet",
    "applications.ResNet", "applications.FractalNet", "applications.SparseNet121", "applications.SparseNet169",
    "applications.SparseNet201", "applications.DenseNet121", "applications.DenseNet169", "applications.DenseNet201",
    "applications.DenseNet264", "applications.ResNet50", "applications.ResNet101", "applications.ResNet152",
    "applications.list_models", "applications.preprocess_input", "applications.transplant_weights", "analysis.profile",
    "tuning.HyperSparseNet", "tuning.HyperDenseNet", "tuning.HyperResNet", "training.Recipe", "training.run",
    "datasets.load",
):
    value = ks
    for part in name.split("."):
        value = getattr(value, part)
print(ks.__file__, ks.applications.__file__, sep="\\n")
"""

SPAWN = """
import multiprocessing
import keras_sparse.applications

def child():
    import keras_sparse.applications, keras_sparse.tuning
    assert "sparsenet" in keras_sparse.applications.list_models()

if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=child)
    process.start(); process.join()
    raise SystemExit(process.exitcode)
"""


def configuration():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def words(text):
    return [line.strip() for line in text.strip().splitlines() if not line.strip().startswith("#")]


def test_every_folder_with_modules_is_listed():
    listed = set(words(configuration()["options"]["packages"]))
    found = {
        ".".join(folder.relative_to(ROOT).parts)
        for folder in (ROOT / "keras_sparse").rglob("*")
        if (folder / "__init__.py").is_file()
    }
    for top in ("applications", "tuning"):
        folders = [ROOT / top, *(ROOT / top).rglob("*")]
        found |= {
            "keras_sparse." + ".".join(f.relative_to(ROOT).parts) for f in folders if (f / "__init__.py").is_file()
        }
    assert listed == found | {"keras_sparse"}


def test_every_import_is_declared():
    names = {"sklearn": "scikit-learn", "grpc": "grpcio"}
    declared = {re.split(r"[><=~ ]", line)[0] for line in words(configuration()["options"]["install_requires"])}
    for folder in ("keras_sparse", "applications", "tuning"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                modules = []
                if isinstance(node, ast.Import):
                    modules = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    modules = [node.module]
                for module in modules:
                    top = module.split(".")[0]
                    is_backend = top == file.stem  # of Keras, which who uses it has: gradients/jax.py
                    if top != "keras_sparse" and top not in sys.stdlib_module_names and not is_backend:
                        assert names.get(top, top).replace("_", "-") in {d.replace("_", "-") for d in declared}, (
                            f"{file} imports {top}"
                        )


def test_version_is_said_once_to_everyone():
    import keras_sparse

    assert configuration()["metadata"]["version"] == keras_sparse.__version__
    assert (
        f"## [{keras_sparse.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
        or "[Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
    )


def call(*command, cwd, backend=None):
    """Output of a command that must succeed. With NumPy as backend, where none matters, Python starts much sooner."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "KERAS_BACKEND")}
    if backend is not None:
        environment["KERAS_BACKEND"] = backend
    result = subprocess.run(
        command, cwd=cwd, env=environment, text=True, capture_output=True, timeout=1500, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """A wheel and an sdist, built from a copy of what git would give to others."""
    source = tmp_path_factory.mktemp("source") / "checkout"
    source.mkdir()
    files = call("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines()
    for name in files:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    target = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), cwd=source)
    (wheel,) = target.glob("*.whl")
    (sdist,) = target.glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist, "editable": source}


@pytest.fixture(scope="module", params=["wheel", "sdist", "editable"])
def environment(request, distributions, tmp_path_factory):
    """`(kind, python)`: a fresh environment with the package, and the dependencies of this one."""
    folder = tmp_path_factory.mktemp(request.param)
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    purelib = Path(
        call(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    )
    # A path, not a site directory: the .pth files there, such as that of an editable install, do not run.
    (purelib / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    what = distributions[request.param]
    options = ["-e", str(what)] if request.param == "editable" else [str(what)]
    call(str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", *options, cwd=folder)
    return request.param, str(python)


def test_every_public_name_imports(environment, distributions, tmp_path):
    kind, python = environment
    package, applications = call(python, "-c", IMPORT_EVERYTHING, cwd=tmp_path).splitlines()[-2:]
    home = distributions["editable"] if kind == "editable" else Path(python).parent.parent
    assert Path(package).is_relative_to(home)
    assert Path(applications).is_relative_to(home)


USE_WHAT_IS_NOT_DECLARED_BY_OTHERS = """
import sys, tempfile
import keras_tuner
import keras_sparse as ks
from keras_sparse.cli import main

digits = ks.datasets.load("digits", examples=60)
space = ks.tuning.HyperSparseNet(digits.image_shape, 10, depth=10, growth_rate=[2, 4, 6], bottleneck=False, base=[2, 3])
with tempfile.TemporaryDirectory() as folder:
    tuner = keras_tuner.BayesianOptimization(
        space, "val_accuracy", max_trials=3, num_initial_points=1, directory=folder, seed=0
    )
    images = digits.train.images / 255
    tuner.search(images, digits.train.labels, validation_split=0.2, epochs=1, verbose=0)
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED"] * 3
    train = f"train --model sparsenet --depth 10 --growth-rate 4 --epochs 1 --examples 60 --output {folder}/run"
    assert main(train.split()) == 0
    import tensorflow_datasets as tfds
    with tfds.testing.mock_data(num_examples=20):
        assert ks.datasets.load("cifar100").train.size == 18
"""


@pytest.mark.skipif(
    not os.environ.get("KERAS_SPARSE_CLEAN_INSTALL"),
    reason="downloads every dependency; `make test` sets KERAS_SPARSE_CLEAN_INSTALL=1",
)
def test_declared_dependencies_suffice(distributions, tmp_path):
    """The wheel and what it declares, in an environment with nothing else."""
    venv.create(tmp_path / "clean", with_pip=True)
    python = str(tmp_path / "clean" / "bin" / "python")
    call(python, "-m", "pip", "install", "--quiet", str(distributions["wheel"]), cwd=tmp_path)
    call(python, "-c", IMPORT_EVERYTHING, cwd=tmp_path)
    call(python, "-c", USE_WHAT_IS_NOT_DECLARED_BY_OTHERS, cwd=tmp_path)


def test_from_the_root_of_a_checkout(environment):
    """The folder `keras_sparse/` of the checkout comes first there, and has no `applications/` in it; what is
    installed, or another checkout, does not lend its own."""
    _, python = environment
    package, applications = call(python, "-c", IMPORT_EVERYTHING, cwd=ROOT, backend="numpy").splitlines()[-2:]
    assert Path(package) == ROOT / "keras_sparse" / "__init__.py"
    assert Path(applications) == ROOT / "applications" / "__init__.py"


def test_in_a_spawned_process(environment, distributions, tmp_path):
    _, python = environment
    (tmp_path / "spawn.py").write_text(SPAWN)
    for folder in (tmp_path, distributions["editable"]):
        call(python, str(tmp_path / "spawn.py"), cwd=folder, backend="numpy")


def test_command_is_installed_and_quiet(environment, tmp_path):
    _, python = environment
    command = Path(python).parent / "keras-sparse"
    result = subprocess.run([command, "models"], cwd=tmp_path, text=True, capture_output=True, check=True)
    assert "sparsenet" in result.stdout
    assert result.stderr == ""
    result = subprocess.run(
        [command, "train", "--epochs", "0"], cwd=tmp_path, text=True, capture_output=True, check=False
    )
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1


def test_wheel_holds_the_licence_and_no_tests(distributions):
    import zipfile

    names = zipfile.ZipFile(distributions["wheel"]).namelist()
    assert any(name.endswith("LICENSE") for name in names)
    assert not any(name.startswith("tests") for name in names)
    assert "keras_sparse/applications/sparsenet.py" in names


def test_native_sources_are_where_they_are_compiled(environment, tmp_path):
    _, python = environment
    code = "from keras_sparse.kernels.native.build import SOURCES; print(*(file.name for file in SOURCES.iterdir()))"
    installed = call(python, "-c", code, cwd=tmp_path, backend="numpy").split()
    sources = {file.name for file in (ROOT / "keras_sparse" / "kernels" / "native").glob("*.[ch]*")}
    assert "operations.cc" in sources
    assert sources <= set(installed)


def test_import_is_quick():
    """Not a stopwatch: nothing heavy is imported beyond what `import keras` itself brings."""
    code = "import sys, keras; before = set(sys.modules); import keras_sparse; print(*set(sys.modules) - before)"
    new = call(sys.executable, "-c", code, cwd=ROOT).split()
    assert {name.split(".")[0] for name in new if not name.startswith("keras")} <= sys.stdlib_module_names | {"google"}
