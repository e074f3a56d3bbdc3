import numpy as np
import pytest
import tensorflow as tf

from keras_sparse.datasets import ArraySplit, StreamSplit
from keras_sparse.datasets.pipeline import augment


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
    images = [np.full((300 + 10 * i, 280, 3), i, "uint8") for i in range(count)]
    data = tf.data.Dataset.from_generator(
        lambda: zip(images, range(count), strict=True),
        output_signature=(tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((), tf.int64)),
    )
    return StreamSplit("imagenet2012", data, count)


def test_streams_shuffle_anew_in_each_epoch_and_continue():
    whole = collect(stream().training_batches(5, 2, augmentation="shift_mirror", seed=1))
    rest = collect(stream().training_batches(5, 2, first_epoch=1, augmentation="shift_mirror", seed=1))
    assert sorted(whole[1][:12]) == list(range(12))
    assert not np.array_equal(whole[1][:12], whole[1][12:])
    np.testing.assert_array_equal(whole[0][12:], rest[0])
    assert whole[0].shape[1:] == (224, 224, 3)
    # A constant image stays constant, whatever part of it was cut.
    np.testing.assert_allclose(whole[0][:, 0, 0, 0], (whole[1] / 255 - 0.485) / 0.229, rtol=1e-4)


def test_evaluation_takes_the_centre():
    rows = np.arange(512, dtype="float32")[:, None, None] % 256
    image = np.broadcast_to(rows, (512, 512, 3)).astype("uint8")
    data = tf.data.Dataset.from_tensors((image, tf.constant(1, tf.int64)))
    images, _ = collect(StreamSplit("imagenet2012", data, 1).batches(1))
    # 512 rows become 256; the first of the 224 in the middle is row 16: rows 32 and 33 averaged.
    np.testing.assert_allclose(images[0, 0, 0, 0], (32.5 / 255 - 0.485) / 0.229, rtol=1e-3)
