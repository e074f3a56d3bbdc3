"""What several tests share. Real data is used where it is found, and nothing fails without it."""

import os
from pathlib import Path

import keras
import pytest

import keras_sparse  # noqa: F401  (registers the layers, in whatever order the tests run)

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items):
    """Files that take minutes come first: started last, one of them alone would decide when the tests end."""
    longest = ("test_other_backends.py", "test_search.py", "test_readme.py")
    items.sort(key=lambda item: item.path.name not in longest)


@pytest.fixture(autouse=True)
def _fresh_global_state():
    """Each test starts from the same global seed, precision and layer names."""
    if keras.backend.backend() == "tensorflow":
        from tensorflow.python.framework import config

        config.disable_op_determinism()  # which training runs switch on, for the process
    keras.utils.clear_session(free_memory=False)
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(7)


@pytest.fixture
def shapes_only():
    """Weights have shapes and no values: enough to count them, and quicker to make by far."""
    with keras.StatelessScope(initialize_variables=False):
        yield


@pytest.fixture(scope="session")
def data_dir():
    """Folder of prepared TFDS data sets, from KERAS_SPARSE_DATA_DIR or beside the checkout."""
    named = os.environ.get("KERAS_SPARSE_DATA_DIR")
    folder = Path(named) if named else ROOT.parent / "shared" / "data" / "tfds"
    if not folder.is_dir():
        pytest.skip(f"no prepared data sets in {folder}; set KERAS_SPARSE_DATA_DIR to test on them")
    return folder


@pytest.fixture(scope="session")
def native_library():
    """The library of TensorFlow operations, from the tester's own cache."""
    from keras_sparse.kernels.native import build
    from keras_sparse.kernels.native.not_built import NotBuilt
    from keras_sparse.kernels.native.tensorflow import framework

    try:
        return build.library_path(framework())
    except NotBuilt as error:
        pytest.skip(str(error))
