"""A run on photographs that are read from files as they are needed, here a few made-up ones."""

import keras
import numpy as np
import pytest

from imagenet_files import prepare_imagenet
from keras_sparse.training import preset, run
from keras_sparse.training.callbacks import KeepRun

RECIPE = preset("sparsenet_imagenet", "sparsenet", {"depth": 7, "growth_rate": 2}, epochs=2, batch_size=8)


def weights(result):
    return keras.saving.load_model(result.output / "last.keras").get_weights()


def test_top_1_and_top_5_and_resume(tmp_path, monkeypatch):
    prepare_imagenet(tmp_path / "data")
    whole = run(RECIPE, tmp_path / "whole", tmp_path / "data", verbose="none")
    last = whole.history[-1]
    assert last["val_top_5_accuracy"] >= last["val_accuracy"]
    assert 0 <= whole.test_accuracy <= whole.test_top_5_accuracy <= 1
    assert whole.test_top_5_accuracy == pytest.approx(last["val_top_5_accuracy"])  # nothing is held out

    def stop(self, epoch, logs=None, keep=KeepRun.on_epoch_end):
        keep(self, epoch, logs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(KeepRun, "on_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            run(RECIPE, tmp_path / "part", tmp_path / "data", verbose="none")
    resumed = run(RECIPE, tmp_path / "part", resume=True, verbose="none")
    for one, other in zip(weights(whole), weights(resumed), strict=True):
        np.testing.assert_array_equal(one, other)
