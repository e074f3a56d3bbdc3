"""What the study of incremental training computes, apart from training."""

import itertools

import keras
import numpy as np
import pytest

from keras_sparse.analysis import profile
from keras_sparse.callbacks import Densify
from keras_sparse.schedules import Doubling
from keras_sparse.studies.convolutional_networks import build
from keras_sparse.studies.incremental import Incremental, common_accuracy, macs_by_step


def test_multiply_adds_are_those_of_the_connections_that_densify_adds():
    schedule, steps = Doubling(0.02, period=2), 13
    model = build("cifarnet", 0.02, 1.0, 0, (8, 8, 1), 10, dropout=0.0)
    expected = macs_by_step(model, schedule, steps)
    model.compile("sgd", "sparse_categorical_crossentropy")
    found = []
    look = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: found.append(profile(model).macs))
    x = np.zeros((steps, 8, 8, 1), "float32")
    model.fit(x, np.zeros(steps), batch_size=1, verbose=0, callbacks=[Densify(schedule), look])
    # Densities are rounded to whole connections.
    np.testing.assert_allclose(expected, found, rtol=0.002)
    assert expected[0] == found[0] < found[-1] == profile(build("cifarnet", image_shape=(8, 8, 1), classes=10)).macs


@pytest.mark.parametrize("scale", ["cpu", "full"])  # at "smoke" there are few epochs
def test_all_connections_are_there_before_the_learning_rate_drops(scale):
    study = Incremental(scale)
    settings = study.settings
    slowest = Doubling(min(settings["starts"]), period=1000)
    drop = study.drop / settings["epochs"]
    assert slowest(int(drop * min(settings["periods_in_run"]) * 1000)) == 1


def test_the_paper_s_periods():
    settings = Incremental("full").settings
    steps = settings["epochs"] * (1_281_167 // 256)  # of ImageNet; nothing is held out
    assert settings["held_out"] == 0
    assert [steps // n for n in settings["periods_in_run"]] == pytest.approx([10_000, 25_000, 50_000], rel=1e-3)
    assert len(Incremental("full").pieces()) == 7


def test_findings():
    rows = []
    for period, late, price in ((None, 0, 100), (10, 1, 20)):
        for seed, epoch in itertools.product(range(3), (1, 2, 3)):
            row = {"start": 0.01 if period else 1.0, "period": period, "seed": seed, "epoch": epoch, "step": 50 * epoch}
            row |= {"macs": 100 if epoch > late else 10, "spent": epoch * price}
            last = 0.7 + 0.1 * seed + 0.01 * late if epoch == 3 else None
            rows.append({**row, "accuracy": 0.2 * epoch - 0.1 * late + 0.001 * seed, "test_accuracy": last})
    assert common_accuracy(rows, 3) == pytest.approx(0.501)
    assert common_accuracy(rows, 2) == pytest.approx(0.301)
    study = Incremental("cpu")
    differing, reached = study.findings(rows)
    assert "above dense from 1.0%, doubled every 10 steps (+1.00 points); below dense none" in differing
    # The dense network gets there in the middle of its third epoch.
    assert "after 1.20 times as many steps and 0.24 times as many multiply-adds as dense" in reached
    assert study.table(rows)[1][1] == ("1.0%", "10", "2", "81.00 ± 5.77", "+1.00", "20%", "24%")

    sparse = [row for row in rows if row["period"]]  # it may be done before the dense network is
    assert study.table(sparse)[1] == [("1.0%", "10", "2", "81.00 ± 5.77", "", "", "")]
    assert study.findings(sparse) == ["The dense network is not trained yet."]
