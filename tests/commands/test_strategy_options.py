"""`--strategy` and its options: what is missing, what does not belong together."""

import keras
import pytest

from keras_sparse.cli import main

WORKERS = "--workers a:4000 b:4000"
CASES = {
    "--devices 2": "`--devices` belongs to a strategy",
    f"--strategy mirrored {WORKERS}": "`--workers` belongs to --strategy multi-worker",
    f"--strategy multi-worker {WORKERS} --coordinator a:1": "`--coordinator` belongs to --strategy data-parallel",
    f"--strategy multi-worker {WORKERS}": "`--rank` is needed for --strategy multi-worker",
    f"--strategy multi-worker {WORKERS} --rank 2": "`--rank` must be an integer in [0, 1]",
    f"--strategy multi-worker {WORKERS} --rank 1": "`--output` is needed with several processes",
    "--strategy data-parallel --processes 2 --rank 0": "`--coordinator` must be 'HOST:PORT'",
    "--strategy data-parallel": "needs jax, while tensorflow can do 'mirrored' and 'multi_worker'",
}


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="another backend can do other strategies")
@pytest.mark.parametrize("options", CASES)
def test_refused(options, capsys):
    assert main(["train", *options.split()]) == 2
    assert CASES[options] in capsys.readouterr().err
