import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits

from imagenet_files import prepare_imagenet
from keras_sparse.datasets import STATISTICS, list_datasets, load


def test_digits_are_scikit_learns_upsampled():
    dataset = load("digits", validation_fraction=0)
    assert (dataset.classes, dataset.image_shape) == (10, (16, 16, 1))
    assert (dataset.train.size, dataset.test.size) == (1437, 360)
    original = load_digits()
    small = dataset.test.images[:, ::2, ::2, 0]
    np.testing.assert_array_equal(np.round(small.astype(float) * 16 / 255), original.images[-360:])
    np.testing.assert_array_equal(small, dataset.test.images[:, 1::2, 1::2, 0])
    np.testing.assert_array_equal(dataset.test.labels, original.target[-360:])


def test_statistics_are_those_of_the_training_images():
    images = load("digits", validation_fraction=0).train.images / 255
    (mean,), (deviation,) = STATISTICS["digits"]
    assert images.mean() == pytest.approx(mean, abs=1e-4)
    assert images.std() == pytest.approx(deviation, abs=1e-4)


def test_held_out_images_are_apart_and_the_same_every_time():
    first, second, everything = load("digits"), load("digits"), load("digits", validation_fraction=0)
    assert (first.train.size, first.validation.size) == (1293, 144)
    np.testing.assert_array_equal(first.validation.images, second.validation.images)
    together = np.concatenate([first.train.labels, first.validation.labels])
    np.testing.assert_array_equal(np.bincount(together), np.bincount(everything.train.labels))
    assert everything.validation is everything.test
    # Shuffled before it was cut: not the end of the file.
    assert not np.array_equal(first.validation.labels, everything.train.labels[-144:])


@pytest.mark.parametrize("fraction", [1e-6, 0.9999])
def test_a_fraction_that_leaves_one_side_empty_is_refused(fraction):
    with pytest.raises(ValueError, match=r"`validation_fraction` of datasets.load must be 0, or leave some"):
        load("digits", validation_fraction=fraction)


def test_examples():
    assert load("digits", examples=100, validation_fraction=0.2).train.size == 80
    with pytest.raises(ValueError, match="at most the 1437 training images"):
        load("digits", examples=5000)


def test_every_data_set_has_statistics():
    assert list_datasets() == sorted(STATISTICS)


def test_unknown_name():
    with pytest.raises(ValueError, match=r"`name` of datasets.load must be one of 'cifar10', 'cifar100', 'digits'"):
        load("cifar")


def test_a_missing_data_set_says_which_command_prepares_it(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        load("cifar100", data_dir=tmp_path)
    assert f"tfds build cifar100 --data_dir {tmp_path}" in str(caught.value)
    assert f"nothing in '{tmp_path / 'cifar100'}'" in str(caught.value)


@pytest.mark.parametrize("contents", [[], ["3.0.2"], ["3.0.2/dataset_info.json"]], ids=str)
def test_an_empty_or_corrupt_folder_is_named(tmp_path, contents):
    folder = tmp_path / "cifar10"
    folder.mkdir()
    for name in contents:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("{not json") if path.suffix else path.mkdir()
    with pytest.raises(OSError, match=str(folder)):
        load("cifar10", data_dir=tmp_path)


@pytest.fixture
def copied_mnist(data_dir, tmp_path):
    shutil.copytree(data_dir / "mnist", tmp_path / "mnist", copy_function=shutil.copyfile)
    (file,) = (tmp_path / "mnist").glob("*/mnist-test*")
    for path in (file.parent.parent, file.parent, file):
        path.chmod(0o755)
    return tmp_path, file


@pytest.mark.parametrize("damage", ["cut", "missing", "overwritten"])
def test_damaged_files_name_the_folder(copied_mnist, damage):
    folder, file = copied_mnist
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:100_000])
    elif damage == "missing":
        file.unlink()
    else:
        file.write_bytes(b"x" * 100_000)
    with pytest.raises(OSError, match="cannot be read") as caught:
        load("mnist", data_dir=folder)
    assert str(folder / "mnist") in str(caught.value)
    assert "tfds build mnist" in str(caught.value)
    assert "{{" not in str(caught.value)


def test_what_was_read_is_read_again_only_if_its_files_change(copied_mnist, monkeypatch):
    from keras_sparse.datasets import tfds_source

    folder, file = copied_mnist
    reads = []
    read_split = tfds_source._read_split
    monkeypatch.setattr(tfds_source, "_read_split", lambda *of: reads.append(of[1]) or read_split(*of))
    splits = {"test": "test"}
    first = tfds_source.read("mnist", folder, splits)
    images = first["test"][0].copy()
    first["test"][0][:] = 0  # another's copy
    np.testing.assert_array_equal(tfds_source.read("mnist", folder, splits)["test"][0], images)
    assert reads == ["test"]
    file.touch()
    tfds_source.read("mnist", folder, splits)
    assert reads == ["test", "test"]


@pytest.mark.parametrize(
    ("name", "shape", "sizes"), [("mnist", (28, 28, 1), (54_000, 6_000)), ("cifar10", (32, 32, 3), (45_000, 5_000))]
)
def test_real_data(data_dir, name, shape, sizes):
    dataset = load(name, data_dir=data_dir)
    assert (dataset.train.size, dataset.validation.size) == sizes
    assert dataset.test.size == 10_000
    assert dataset.train.images.shape[1:] == dataset.image_shape == shape
    mean, deviation = STATISTICS[name]
    pixels = dataset.train.images[:10_000] / 255
    np.testing.assert_allclose(pixels.mean(axis=(0, 1, 2)), mean, atol=0.01)
    np.testing.assert_allclose(pixels.std(axis=(0, 1, 2)), deviation, atol=0.01)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_every_array_data_set_loads_through_tfds(name):
    with tfds.testing.mock_data(num_examples=20):
        dataset = load(name)
    assert (dataset.train.size, dataset.validation.size, dataset.test.size) == (18, 2, 20)
    assert dataset.train.images.shape[1:] == dataset.image_shape
    assert dataset.train.images.dtype == np.uint8
    assert dataset.train.labels.max() < dataset.classes


def test_imagenet_streams():
    with tfds.testing.mock_data(num_examples=10):
        dataset = load("imagenet2012", validation_fraction=0)
        (images, labels), *_ = dataset.train.training_batches(4, 2, augmentation="shift_mirror", seed=1)
        evaluated = [len(x) for x, _ in dataset.test.batches(4)]
    assert (dataset.classes, dataset.image_shape) == (1000, (224, 224, 3))
    assert images.shape == (4, 224, 224, 3)
    assert labels.shape == (4,)
    assert evaluated == [4, 4, 2]
    assert np.isfinite(images).all()


@pytest.mark.parametrize(("hosts", "files"), [(2, 4), (3, 1)])
def test_hosts_read_files_of_their_own_and_together_all(tmp_path, hosts, files):
    prepare_imagenet(tmp_path, files=files)
    train = load("imagenet2012", tmp_path, validation_fraction=0).train
    assert train.size == 20
    read = [[int(label) for _, label in train.files(host, hosts)] for host in range(hosts)]
    assert sorted(label for labels in read for label in labels) == list(range(20))
    assert all(read)
    (images, labels), *_ = train.batches(4)
    # What was decoded is what was written.
    np.testing.assert_allclose(images[:, 0, 0, 0], (labels.numpy() / 255 - 0.485) / 0.229, atol=0.02)
