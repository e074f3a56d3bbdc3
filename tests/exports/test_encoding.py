"""Sizes of a sparse encoding, counted by hand."""

import keras
import numpy as np
import pytest

from keras_sparse.exports import KernelEncoding
from keras_sparse.exports.encoding import encodings, index_bytes


def kernel_with(shape, places, dtype="float32"):
    kernel = np.zeros(shape, dtype)
    for place in places:
        kernel[place] = 0.5
    return kernel


def test_index_of_a_small_mask():
    mask = np.zeros((5, 3), bool)
    mask[[0, 4, 2], [0, 0, 2]] = True
    # 15 bits; 3 counts and 3 rows of one byte; 3 counts and 3 gaps of one byte.
    assert index_bytes(mask) == {"bitmap": 2, "rows": 6, "gaps": 6}


@pytest.mark.parametrize(
    ("rows", "size"),
    [
        ([], 0),
        ([127], 1),  # 127 zeros above it
        ([128], 2),
        ([0, 128], 2),  # 127 between
        ([0, 129], 3),
        ([2**14 - 1], 2),
        ([2**14], 3),
        ([2**21 - 1], 3),
        ([2**21], 4),
    ],
)
def test_gaps_take_seven_bits_in_a_byte(rows, size):
    mask = np.zeros((2**21 + 1, 1), bool)
    mask[rows] = True
    assert index_bytes(mask)["gaps"] == 4 + size  # one count of four bytes
    assert index_bytes(mask)["rows"] == 4 + 4 * len(rows)


def test_gaps_begin_anew_in_each_column():
    mask = np.zeros((200, 3), bool)
    mask[[0, 199, 199, 5], [0, 0, 1, 2]] = True
    # column 0: 0 and 198 zeros: 1 + 2; column 1: 199: 2; column 2: 5: 1; three counts of one byte
    assert index_bytes(mask)["gaps"] == 3 + 6


def test_gaps_can_be_read_back():
    """The bytes that are counted suffice: written and read, they give the mask."""
    mask = np.random.default_rng(0).random((700, 9)) < 0.01
    stream = bytearray()
    for column in mask.T:
        rows = np.flatnonzero(column)
        stream += len(rows).to_bytes(2, "little")
        for gap in np.diff(rows, prepend=-1) - 1:
            while gap >= 128:
                stream.append(int(gap) % 128 + 128)
                gap //= 128
            stream.append(int(gap))
    assert len(stream) == index_bytes(mask)["gaps"]
    again, at = np.zeros_like(mask), 0
    for column in again.T:
        count, row, at = int.from_bytes(stream[at : at + 2], "little"), -1, at + 2
        for _ in range(count):
            gap, shift = 0, 0
            while stream[at] >= 128:
                gap, shift, at = gap + (stream[at] - 128 << shift), shift + 7, at + 1
            row += 1 + gap + (stream[at] << shift)
            at += 1
            column[row] = True
    np.testing.assert_array_equal(again, mask)


@pytest.mark.parametrize(
    ("kernel", "layout", "size"),
    [
        (np.ones((4, 3), "float32"), "dense", 48),
        (np.zeros((4, 3), "float32"), "bitmap", 2),
        (kernel_with((16, 4), [(slice(0, 8), slice(None))]), "bitmap", 32 * 4 + 8),
        (kernel_with((1000, 2), [(500, 0), (999, 1)]), "rows", 2 * 4 + 4 + 2 * 2),  # gaps are of two bytes, too
        (kernel_with((1000, 2), [(100, 0), (0, 1)]), "gaps", 2 * 4 + 4 + 2),
        (kernel_with((1000, 2), [(100, 0), (0, 1)], "float16"), "gaps", 2 * 2 + 4 + 2),
        # Two pairs of 16 x 2 channels with 9 values each: a bitmap of 4 bytes, 2 counts and 2 rows.
        (kernel_with((3, 3, 16, 2), [(..., 3, 0), (..., 15, 1)]), "pairs", 18 * 4 + 4),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_smallest_layout(kernel, layout, size):
    encoding = KernelEncoding.of("k", kernel)
    assert (encoding.layout, encoding.bytes) == (layout, size)
    assert encoding.connections == np.count_nonzero(kernel)
    assert encoding.dense_bytes == kernel.nbytes


def test_a_model_is_kernels_and_the_rest():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4), keras.layers.BatchNormalization()])
    model.layers[0].kernel.assign(kernel_with((6, 4), [(1, 2)]))
    kernels, others = encodings(model)
    assert [(kernel.name.split("/")[-1], kernel.connections) for kernel in kernels] == [("kernel", 1)]
    assert others == (4 + 4 * 4) * 4
