"""What needs no second device: names, arguments, refusals, and how batches are divided."""

import keras
import numpy as np
import pytest

from keras_sparse import distribution, layers
from keras_sparse.datasets import WHOLE, Part, load
from keras_sparse.distribution import DataParallel, LostProcessError, Mirrored, ModelParallel, MultiWorker
from keras_sparse.distribution.batch_sizes import evaluation_batch_size
from keras_sparse.distribution.lost_process import naming_lost_processes
from keras_sparse.distribution.replicas import replica_count, sum_over_replicas

TWO = ["a:4000", "b:4000"]


def test_names():
    assert distribution.STRATEGIES.names() == ["data_parallel", "mirrored", "multi_worker"]
    assert str(distribution.get()) == "one device"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mirrored(devices=0), "`devices` of Mirrored must be an integer >= 1"),
        (lambda: MultiWorker(TWO, rank=2), r"`rank` of MultiWorker must be an integer in \[0, 1\].*Each of the 2"),
        (lambda: MultiWorker(["a:4000"], rank=0), "`workers` of MultiWorker must be two or more different addresses"),
        (lambda: MultiWorker(["a:4000", "a:4000"], rank=0), "`workers` of MultiWorker must be two or more different"),
        (lambda: MultiWorker(["a:4000", "b"], rank=0), "`workers` of MultiWorker must be two or more different"),
        (lambda: DataParallel(processes=2, rank=0), "`coordinator` of DataParallel must be 'HOST:PORT'"),
        (lambda: DataParallel(coordinator="a:0", processes=2, rank=0), "`coordinator` of DataParallel must be"),
        (lambda: DataParallel(coordinator="a:4000", processes=2), "`rank` of DataParallel must be an integer"),
        (lambda: ModelParallel(model_devices=1), "`model_devices` of ModelParallel must be an integer >= 2"),
        (lambda: distribution.get("mirorred"), "Did you mean 'mirrored'"),
        (lambda: distribution.get("multi_worker"), "which needs workers, rank"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_another_backend_is_named():
    other = DataParallel() if keras.backend.backend() == "tensorflow" else Mirrored()
    possible = "'mirrored' and 'multi_worker'" if keras.backend.backend() == "tensorflow" else "."
    with pytest.raises(ValueError, match=f"needs {other.backend}, while .*{possible}.*KERAS_BACKEND={other.backend}"):
        distribution.get(other)


def test_batches_that_cannot_be_shared_are_refused():
    class Three(distribution.Strategy):
        replicas = 3

    Three().check_batch_size(30, examples=100)
    for size, examples in ((32, 100), (30, 20)):
        with pytest.raises(ValueError, match="`batch_size` of Recipe must be a multiple of the 3 devices"):
            Three().check_batch_size(size, examples)


@pytest.mark.parametrize("replicas", [1, 2, 3, 8])
def test_batches_to_evaluate_on(replicas):
    for examples in (1, 2, 7, 129, 255, 256, 257, 360, 10_000):
        size = evaluation_batch_size(examples, replicas)
        last = examples % size
        assert 1 <= size <= min(256, examples)
        if size >= replicas:
            assert size % replicas == 0
            assert last == 0 or last >= replicas
    assert evaluation_batch_size(360, 1) == 256


@pytest.mark.parametrize("augmentation", ["none", "shift_mirror"])
def test_parts_are_the_batches(augmentation):
    split = load("digits", examples=100).train

    def batches(part=WHOLE):
        return list(split.training_batches(32, 2, augmentation=augmentation, seed=4, part=part).as_numpy_iterator())

    whole, parts = batches(), [batches(Part(index, count=3)) for index in range(3)]
    assert [len(x) for x, _ in whole] == split.sizes(32) * 2 == [32, 32, 26] * 2
    assert [len(x) for x, _ in parts[1]] == [11, 11, 9] * 2
    for batch, *pieces in zip(whole, *parts, strict=True):
        for array, *cut in zip(batch, *pieces, strict=True):
            np.testing.assert_array_equal(np.concatenate(cut), array)
    one = batches(Part(1, count=2, divisor=4))
    assert [len(x) for x, _ in one] == [16, 16, 26] * 2  # four do not share 26
    np.testing.assert_array_equal(one[2][0], whole[2][0])
    assert [len(x) for x, _ in batches(Part(1, count=2, minimum=30))] == [16, 16, 26] * 2
    evaluated = [np.concatenate([x for x, _ in split.batches(32, Part(i, 2)).as_numpy_iterator()]) for i in range(2)]
    assert sum(map(len, evaluated)) == split.size


def test_one_replica_has_nothing_to_add():
    assert replica_count() == 1
    assert sum_over_replicas(3, 4) == (3, 4)


def test_a_lost_process_is_named():
    message = "start all of them again.*The reason: Collective ops is aborted by: gone"
    with pytest.raises(LostProcessError, match=message) as caught, naming_lost_processes():
        raise RuntimeError("{{node}} Collective ops is aborted by: gone [Op:It]\nmore")
    assert str(caught.value).endswith("gone")
    with pytest.raises(RuntimeError, match="another"), naming_lost_processes():
        raise RuntimeError("another")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute is TensorFlow's")
def test_batch_normalisation_of_keras_is_synchronized():
    from keras_sparse.distribution.tensorflow import synchronize_normalization

    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(), layers.BatchNormalization()])
    synchronize_normalization(model)
    assert [layer.synchronized for layer in model.layers] == [True, False]
