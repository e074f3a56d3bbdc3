"""Names to images."""

import dataclasses

import numpy as np

from keras_sparse import checks
from keras_sparse.datasets.dataset import Dataset
from keras_sparse.datasets.splits import ArraySplit, StreamSplit

# The held-out images are the same in every run, so that runs with different seeds can be compared.
SPLIT_SEED = 0


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a data set comes from: `read(data_dir)` gives arrays; streams have none."""

    classes: int
    image_shape: tuple
    test_split: str = "test"
    streamed: bool = False


SOURCES = {
    "digits": Source(10, (16, 16, 1)),
    "mnist": Source(10, (28, 28, 1)),
    "fashion_mnist": Source(10, (28, 28, 1)),
    "cifar10": Source(10, (32, 32, 3)),
    "cifar100": Source(100, (32, 32, 3)),
    "imagenet2012": Source(1000, (224, 224, 3), test_split="validation", streamed=True),
}


def load(name, data_dir=None, validation_fraction=0.1, examples=None):
    """Loads a data set by name, without touching the network.

    Args:
        name: One of `list_datasets()`. "digits" are the 1,797 handwritten digits of scikit-learn, 8x8 pixels with 17
            grey levels, each pixel repeated to 2x2 and the levels stretched to 0..255; the last 360, by other
            writers, are the test split. All others are read through TensorFlow Datasets.
        data_dir: Folder that TFDS prepared them in, or None for its default (`TFDS_DATA_DIR`, or
            `~/tensorflow_datasets`). "digits" need none.
        validation_fraction: Number in [0, 1), fraction of the training images held out for validation. With 0
            nothing is held out, and validation means test, as in the SparseNet paper. ImageNet is cut at whole
            percents.
        examples: Integer or None, use only so many training images (before the held-out part is taken).

    Returns:
        A `Dataset`.

    Raises:
        ValueError: If the name is unknown, or an argument out of range.
        FileNotFoundError: If the data set is not prepared there; the message says how to prepare it.
        OSError: If what is there cannot be read; the message names the folder.

    Example:
        >>> load("cifar10", data_dir="~/tensorflow_datasets").train.size
        45000
    """
    owner = "datasets.load"
    checks.choice("name", name, owner, tuple(sorted(SOURCES)), "Pick one, or pass arrays to `fit` yourself.")
    fraction = checks.number("validation_fraction", validation_fraction, owner, 0, 1, exclude_maximum=True)
    source = SOURCES[name]
    if source.streamed:
        from keras_sparse.datasets import tfds_source

        if examples is not None:
            raise checks.error("examples", owner, f"None for {name}, which is streamed", examples, "Leave it out.")
        held_out = _held_out(fraction, 100, "percent")
        splits = {
            "train": f"train[:{100 - held_out}%]",
            "test": source.test_split,
            "validation": f"train[{100 - held_out}%:]" if held_out else source.test_split,
        }
        return Dataset(
            name,
            source.classes,
            source.image_shape,
            **{
                key: StreamSplit(name, *tfds_source.open_stream(name, data_dir, split)) for key, split in splits.items()
            },
        )
    if name == "digits":
        arrays = read_digits()
    else:
        from keras_sparse.datasets import tfds_source

        arrays = tfds_source.read(name, data_dir, {"train": "train", "test": source.test_split})
    train, test = (ArraySplit(name, *arrays[split]) for split in ("train", "test"))
    if examples is not None:
        examples = checks.integer("examples", examples, owner, minimum=1)
        if examples > train.size:
            raise checks.error(
                "examples", owner, f"at most the {train.size} training images of {name}", examples, "Lower it."
            )
        train = train.take(np.arange(examples))
    # Shuffled before it is cut: files may be sorted.
    order = np.random.default_rng(SPLIT_SEED).permutation(train.size)
    held_out = _held_out(fraction, train.size)
    validation = train.take(np.sort(order[:held_out])) if held_out else test
    train = train.take(np.sort(order[held_out:]))
    return Dataset(name, source.classes, source.image_shape, train, validation, test)


def _held_out(fraction, size, unit="images"):
    """How many of `size` are held out: the nearest whole number, but neither none nor all of them."""
    count = round(fraction * size)
    if fraction and not 0 < count < size:
        raise checks.error(
            "validation_fraction", "datasets.load", f"0, or leave some of the {size} {unit} on both sides", fraction,
            "Pass 0 to validate on the test images.",
        )  # fmt: skip
    return count


def read_digits():
    """The embedded digits as `{"train": (images, labels), "test": (images, labels)}`."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    levels = np.round(digits.images * (255 / 16)).astype("uint8")
    images = levels.repeat(2, axis=1).repeat(2, axis=2)[..., np.newaxis]
    labels = digits.target.astype("int64")
    return {"train": (images[:-360], labels[:-360]), "test": (images[-360:], labels[-360:])}
