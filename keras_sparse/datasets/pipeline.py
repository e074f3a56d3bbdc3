"""Batches as `tf.data.Dataset`s, which Keras's `fit` takes on every backend. TensorFlow only.

Without TensorFlow, pass the arrays of an `ArraySplit` to `fit` (`split.images`, `split.labels`).

All randomness is stateless: a function of the seed, the epoch and the position in it.
"""

import tensorflow as tf

from keras_sparse.image_statistics import STATISTICS

PADDING = 4  # pixels on each side, before the crop
SHUFFLE_BUFFER = 4096  # photographs: half a gigabyte
CROP, SHORT_SIDE = 224, 256

# Folded into the seed, so that no two draws share their random numbers.
SHUFFLING, ROWS, COLUMNS, MIRRORING, CROPPING = range(5)


def normalise(images, name):
    """uint8 images to float32 of mean 0 and deviation 1 in each channel."""
    mean, deviation = STATISTICS[name]
    return (tf.cast(images, tf.float32) / 255 - mean) / deviation


def in_order(split, batch_size, part):
    data = tf.data.Dataset.from_tensor_slices((split.images, split.labels)).batch(batch_size)
    return _ahead(_cut(data, part).map(lambda x, y: (normalise(x, split.name), y)))


def shuffled(split, batch_size, epochs, first_epoch, augmentation, seed, part):
    images, labels = tf.constant(split.images), tf.constant(split.labels)

    def one_epoch(epoch):
        key = tf.stack([tf.constant(seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(tf.range(split.size), seed=_fold(key, SHUFFLING))
        batches = tf.data.Dataset.from_tensor_slices(order).batch(batch_size).enumerate()

        def batch(number, indices):
            count = tf.size(indices)
            own = _own(part, count)
            x = normalise(tf.gather(images, indices[own]), split.name)
            x = augment(x, augmentation, _fold(key, number + CROPPING), count, own)
            return x, tf.gather(labels, indices[own])

        return batches.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    # Images are held once, whatever the number of epochs; the next epoch is under way before one ends.
    return _ahead(tf.data.Dataset.range(first_epoch, epochs).flat_map(one_epoch))


def augment(images, augmentation, seed, count=None, own=slice(None)):
    """The papers' augmentation of normalised images: pad by 4, crop at random, mirror half of them.

    The padding is zero after normalisation: the mean colour.

    Args:
        images: Float tensor.
        augmentation: "none", "shift" or "shift_mirror".
        seed: Pair of integers.
        count: Integer, how many images are in the batch, if these are a part of it.
        own: Slice, where in the batch they are. What is drawn for an image does not depend on how it is divided.
    """
    if augmentation == "none":
        return images
    height, width = images.shape[1], images.shape[2]
    count = tf.shape(images)[0] if count is None else count
    padded = tf.pad(images, [[0, 0], [PADDING, PADDING], [PADDING, PADDING], [0, 0]])
    for axis, size, fold in ((1, height, ROWS), (2, width, COLUMNS)):
        offsets = tf.random.stateless_uniform((count, 1), _fold(seed, fold), 0, 2 * PADDING + 1, dtype=tf.int32)
        padded = tf.gather(padded, offsets[own] + tf.range(size), axis=axis, batch_dims=1)
    if augmentation == "shift_mirror":
        mirrored = tf.random.stateless_uniform((count, 1, 1, 1), _fold(seed, MIRRORING)) < 0.5
        padded = tf.where(mirrored[own], padded[:, :, ::-1], padded)
    return tf.ensure_shape(padded, images.shape)


def centre(image):
    """The 224x224 pixels in the middle, after the short side was resized to 256."""
    shape = tf.shape(image)
    scale = SHORT_SIDE / tf.reduce_min(shape[:2])
    size = tf.cast(tf.math.ceil(tf.cast(shape[:2], tf.float64) * scale), tf.int32)
    top, left = (size[0] - CROP) // 2, (size[1] - CROP) // 2
    return tf.image.crop_to_bounding_box(tf.image.resize(image, size), top, left, CROP, CROP)


def random_part(jpeg, seed):
    """A part of 8% to 100% of the image, resized to 224x224. What is outside of it is not decoded."""
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.image.extract_jpeg_shape(jpeg),
        tf.zeros((1, 0, 4)),
        seed=seed,
        area_range=(0.08, 1.0),
        aspect_ratio_range=(3 / 4, 4 / 3),
        min_object_covered=0.0,
        use_image_if_no_bounding_boxes=True,
    )
    window = tf.concat([begin[:2], size[:2]], axis=0)
    return tf.image.resize(tf.image.decode_and_crop_jpeg(jpeg, window, channels=3), (CROP, CROP))


def stream_in_order(split, batch_size, part):
    files, sizes = split.files(), split.sizes(batch_size)
    if part.count > 1:
        # All are read here, and a part of each batch is decoded.
        files = _cut(files.batch(batch_size), part).unbatch()

    def image(jpeg, label):
        return normalise(centre(tf.image.decode_jpeg(jpeg, channels=3)), split.name), label

    images = files.map(image, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    if part.count == 1:
        return _ahead(images.batch(batch_size))
    bounds = [_own(part, tf.constant(size)) for size in sizes]
    return _ahead(images.batch(1).rebatch([own.stop - own.start for own in bounds]))


def stream_shuffled(split, batch_size, epochs, first_epoch, augmentation, seed, part):
    files = split.files(part.index, part.count)
    own = _own(part, tf.constant(batch_size))
    size, steps = own.stop - own.start, split.steps(batch_size)

    def one_epoch(epoch):
        key = tf.stack([tf.constant(seed, tf.int64), epoch])
        # Of this graph, not of the process, whose seed the order would depend on (and fail, if that is 0).
        tf.random.set_seed(1)
        # As they are on the disk: decoded, they would be gigabytes.
        order = files.shuffle(SHUFFLE_BUFFER, seed=_fold(key, SHUFFLING)[0], reshuffle_each_iteration=False)
        # Who has fewer files than others must not end before them.
        order = order.repeat().take(tf.cast(steps * size, tf.int64))

        def image(number, example):
            jpeg, label = example
            draw = _fold(_fold(key, number + CROPPING), part.index)
            x = centre(tf.image.decode_jpeg(jpeg, channels=3)) if augmentation == "none" else random_part(jpeg, draw)
            if augmentation == "shift_mirror":
                x = tf.image.stateless_random_flip_left_right(x, _fold(draw, MIRRORING))
            return normalise(tf.ensure_shape(x, (CROP, CROP, 3)), split.name), label

        images = order.enumerate().map(image, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return images.batch(tf.cast(size, tf.int64))

    return _ahead(tf.data.Dataset.range(first_epoch, epochs).flat_map(one_epoch))


def _ahead(batches):
    """Two batches are ready before they are asked for."""
    options = tf.data.Options()
    # Nothing here needs tuning, and its thread, asleep between looks that grow rare, may miss that the iterator ends:
    # the end then waits for the next look, for as long as the epoch took.
    options.autotune.enabled = False
    return batches.prefetch(2).with_options(options)


def _cut(batches, part):
    """A part of each batch."""
    if part.count == 1:
        return batches
    return batches.map(lambda x, y: (x[_own(part, tf.shape(x)[0])], y[_own(part, tf.shape(y)[0])]))


def _own(part, size):
    """Where a part is in a batch of a size."""
    begin, end = (size * i // part.count for i in (part.index, part.index + 1))
    whole = (size % part.divisor > 0) | (size < part.minimum)
    return slice(tf.where(whole, 0, begin), tf.where(whole, size, end))


def _fold(key, data):
    """A new key from a key and an integer."""
    return tf.random.experimental.stateless_fold_in(key, tf.cast(data, tf.int64))
