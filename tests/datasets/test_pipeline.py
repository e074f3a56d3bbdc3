import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_sparse.datasets import ArraySplit, Part, StreamSplit
from keras_sparse.datasets.pipeline import augment, centre


def split(count=50):
    """Each image is constant and tells its own number."""
    images = np.broadcast_to(np.arange(count, dtype="uint8")[:, None, None, None], (count, 8, 8, 3)).copy()
    return ArraySplit("cifar10", images, np.arange(count))


def collect(batches):
    images, labels = zip(*((x.numpy(), y.numpy()) for x, y in batches), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def test_batches_in_order_are_normalised():
    images, labels = collect(split().batches(16))
    np.testing.assert_array_equal(labels, np.arange(50))
    np.testing.assert_allclose(images[7, 0, 0, 0], (7 / 255 - 0.4914) / 0.2470, rtol=1e-5)
    assert images.dtype == np.float32


def test_an_epoch_holds_every_image_once_in_an_order_of_its_own():
    images, labels = collect(split().training_batches(16, epochs=2, seed=3))
    assert split().steps(16) == 4
    first, second = labels[:50], labels[50:]
    assert sorted(first) == sorted(second) == list(range(50))
    assert not np.array_equal(first, second)
    np.testing.assert_allclose(images[:, 0, 0, 0], (labels / 255 - 0.4914) / 0.2470, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("augmentation", ["none", "shift", "shift_mirror"])
def test_a_later_start_continues_the_same_stream(augmentation):
    whole = collect(split().training_batches(16, 3, augmentation=augmentation, seed=3))
    rest = collect(split().training_batches(16, 3, first_epoch=1, augmentation=augmentation, seed=3))
    for all_epochs, later in zip(whole, rest, strict=True):
        np.testing.assert_array_equal(all_epochs[50:], later)


def test_another_seed_is_another_order():
    one, two = (collect(split().training_batches(16, 1, seed=seed))[1] for seed in (1, 2))
    assert not np.array_equal(one, two)


def test_shifts_are_crops_of_the_padded_image_and_all_of_them_occur():
    image = np.arange(1, 65, dtype="float32").reshape(1, 8, 8, 1)
    shifted = augment(tf.constant(np.repeat(image, 2000, axis=0)), "shift", [1, 2]).numpy()
    padded = np.pad(image[0], ((4, 4), (4, 4), (0, 0)))
    crops = {padded[y : y + 8, x : x + 8].tobytes(): (y, x) for y in range(9) for x in range(9)}
    seen = [crops[one.tobytes()] for one in shifted]
    assert len(set(seen)) == 81
    assert abs(np.mean(seen) - 4) < 0.2


def test_half_of_the_images_are_mirrored():
    image = np.broadcast_to(np.arange(1, 9, dtype="float32")[:, None], (1, 8, 8, 1))
    images = augment(tf.constant(np.repeat(image, 2000, axis=0)), "shift_mirror", [1, 2]).numpy()
    rows = images[..., 0].max(axis=1)  # a shift may move some rows out, never all
    mirrored = [np.diff(row[row > 0])[0] < 0 for row in rows]
    assert abs(np.mean(mirrored) - 0.5) < 0.05


def test_unknown_augmentation():
    with pytest.raises(ValueError, match="`augmentation` of training_batches must be one of 'none', 'shift'"):
        split().training_batches(16, 1, augmentation="flip")


def stream(count=12):
    jpegs = [tf.io.encode_jpeg(np.full((300 + 10 * i, 280, 3), i, "uint8"), quality=100).numpy() for i in range(count)]
    data = tf.data.Dataset.from_tensor_slices((jpegs, tf.range(count, dtype=tf.int64)))

    def files(host=0, hosts=1):
        # Hosts with unequal shares, as files make them.
        return data.filter(lambda _, label: hosts == 1 or (label < count // 3) == (host == 0))

    return StreamSplit("imagenet2012", files, count)


def test_streams_shuffle_anew_in_each_epoch_and_continue():
    whole = collect(stream().training_batches(4, 2, augmentation="shift_mirror", seed=1))
    rest = collect(stream().training_batches(4, 2, first_epoch=1, augmentation="shift_mirror", seed=1))
    assert sorted(whole[1][:12]) == list(range(12))
    assert not np.array_equal(whole[1][:12], whole[1][12:])
    np.testing.assert_array_equal(whole[0][12:], rest[0])
    assert whole[0].shape[1:] == (224, 224, 3)
    # A constant image stays constant, whatever part of it was cut.
    np.testing.assert_allclose(whole[0][:, 0, 0, 0], (whole[1] / 255 - 0.485) / 0.229, rtol=1e-4)


@pytest.mark.parametrize("seed", [0, 3])
def test_streams_come_in_the_same_order_whatever_the_seed_of_the_process_is(seed):
    (_, labels) = collect(stream().training_batches(5, 1, augmentation="shift", seed=1))
    keras.utils.set_random_seed(seed)
    (_, again) = collect(stream().training_batches(5, 1, augmentation="shift", seed=1))
    np.testing.assert_array_equal(labels, again)


def test_evaluation_takes_the_centre():
    rows = np.arange(512, dtype="float32")[:, None, None] % 256
    image = np.broadcast_to(rows, (512, 512, 3)).astype("uint8")
    # 512 rows become 256; the first of the 224 in the middle is row 16: rows 32 and 33 averaged.
    assert centre(image)[0, 0, 0].numpy() == pytest.approx(32.5, rel=1e-3)
    (images, labels), *_ = stream(2).batches(1)
    assert (images.shape, labels) == ((1, 224, 224, 3), [0])
    np.testing.assert_allclose(images[0, ..., 0], (0 / 255 - 0.485) / 0.229, rtol=1e-3)


@pytest.mark.parametrize(("batch_size", "steps"), [(4, 3), (5, 2), (20, 1)])
def test_training_batches_of_streams_are_full(batch_size, steps):
    batches = list(stream().training_batches(batch_size, 1, augmentation="shift"))
    assert stream().steps(batch_size) == len(batches) == steps
    assert stream().training_sizes(batch_size) == [len(y) for _, y in batches] == [batch_size] * steps


@pytest.mark.parametrize(("batch_size", "divisor"), [(5, 1), (8, 4), (5, 2)])
def test_hosts_evaluate_parts_of_the_same_batches(batch_size, divisor):
    whole = [y.numpy().tolist() for _, y in stream().batches(batch_size)]
    parts = [stream().batches(batch_size, Part(host, 2, divisor)) for host in (0, 1)]
    for size, labels, ours, theirs in zip(stream().sizes(batch_size), whole, *parts, strict=True):
        assert len(labels) == size
        one, other = (y.numpy().tolist() for _, y in (ours, theirs))
        assert one == other == labels if size % divisor else one + other == labels


def test_hosts_take_as_many_batches_though_their_files_hold_more_or_less():
    parts = [stream().training_batches(4, 2, augmentation="shift", seed=1, part=Part(host, 2)) for host in (0, 1)]
    labels = [np.array([y for _, y in host]) for host in parts]
    assert [array.shape for array in labels] == [(6, 2), (6, 2)]  # two epochs of three global batches
    assert set(labels[0].flat) == set(range(4))  # who has few sees them more than once
    assert set(labels[1].flat) <= set(range(4, 12))
    assert not np.array_equal(labels[1][:3], labels[1][3:])


@pytest.mark.parametrize("kind", [split, stream])
@pytest.mark.parametrize("part", [Part(), Part(0, 2)])
def test_no_thread_tunes_what_needs_no_tuning(kind, part):
    # TensorFlow's waits for its next look when an iterator ends, now and then for as long as the epoch took.
    for batches in (kind().batches(4, part), kind().training_batches(4, 2, part=part)):
        assert batches.options().autotune.enabled is False
