"""Data sets that TensorFlow Datasets has prepared on this machine. TensorFlow only; never downloads."""

import contextlib
import re
from pathlib import Path

import numpy as np

_LAST = {}  # what `read` read last: splits and state of their files -> arrays


@contextlib.contextmanager
def _prepared(name, data_dir):
    """The builder of a data set; whatever goes wrong in reading it becomes an error that names the folder."""
    import tensorflow_datasets as tfds

    data_dir = tfds.core.constants.DATA_DIR if data_dir is None else Path(data_dir).expanduser()
    folder = Path(data_dir) / name
    prepare = f"tfds build {name} --data_dir {data_dir}"
    try:
        builder = tfds.builder(name, data_dir=data_dir)
        yield builder
    except Exception as error:
        # An unprepared data set fails an assertion of TFDS; looking at the files first would shut out its mocks.
        if not folder.is_dir() or (isinstance(error, AssertionError) and not any(folder.iterdir())):
            raise FileNotFoundError(
                f"`data_dir` must be a folder in which TensorFlow Datasets prepared {name!r}. Received: "
                f"data_dir={str(data_dir)!r}, and there is nothing in {str(folder)!r}. Prepare it with: {prepare}"
            ) from error
        raise OSError(
            f"The data set in {str(folder)!r} cannot be read: {_reason(error)}. Delete the folder and prepare "
            f"it again with: {prepare}"
        ) from error


def _reason(error):
    """The first line of an error, without what TensorFlow says of the operation that met it."""
    lines = re.sub(r"\{\{.*?\}\} ?| \[Op:.*", "", str(error)).strip().splitlines()
    return f"{lines[0].rstrip('.') if lines else 'no reason given'} ({type(error).__name__})"


def _expected_size(builder, split):
    """Examples that the description beside the files promises, or None where it promises nothing."""
    return builder.info.splits[split].num_examples if builder.info.splits else None


def read(name, data_dir, splits):
    """Reads whole splits.

    What was read last is kept as long as its files stay as they are: many short runs on one data set, as studies and
    searches have, would spend much of their time here.

    Args:
        name: String, as TFDS knows it.
        data_dir: Folder, or None for the default of TFDS.
        splits: Dictionary, our name of a split -> its name in TFDS.

    Returns:
        Dictionary, our name of a split -> (uint8 images, int64 labels), in the order of the files.
    """
    with _prepared(name, data_dir) as builder:
        files = _state_of_files(Path(builder.data_dir))
        last = (tuple(splits.items()), files)
        # A mock of TFDS has no files, and each of its data sets is another.
        if not files or last not in _LAST:
            _LAST.clear()
            _LAST[last] = {key: _read_split(builder, split) for key, split in splits.items()}
        return {key: tuple(array.copy() for array in pair) for key, pair in _LAST[last].items()}


def _state_of_files(folder):
    """Names, sizes and times of the files in a folder: others, if anything was written there."""
    found = ((str(file), file.stat()) for file in sorted(folder.rglob("*")) if file.is_file())
    return tuple((name, state.st_size, state.st_mtime_ns) for name, state in found)


def _read_split(builder, split):
    import tensorflow_datasets as tfds

    data = builder.as_dataset(split=split, as_supervised=True, shuffle_files=False)
    batches = zip(*tfds.as_numpy(data.batch(1000)), strict=True)
    images, labels = (np.concatenate(parts) for parts in batches)
    expected = _expected_size(builder, split)
    if expected not in (None, len(images)):
        raise ValueError(f"split {split!r} has {len(images)} of {expected} examples")
    return images, labels


def open_stream(name, data_dir, split):
    """What a `StreamSplit` reads: a function of host and number of hosts, and the number of examples."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    with _prepared(name, data_dir) as builder:
        size = _expected_size(builder, split)
        if size is not None:
            # What a stream lacks would show only in the middle of an epoch: look at its files now.
            for file in builder.info.splits[split].filepaths:
                if not file.exists() or not file.stat().length:
                    raise ValueError(f"{file} is missing or empty")

    def files(host=0, hosts=1):
        with _prepared(name, data_dir) as builder:

            def read(context=None):
                return builder.as_dataset(
                    split=split,
                    as_supervised=True,
                    shuffle_files=False,
                    decoders={"image": tfds.decode.SkipDecoding()},
                    read_config=tfds.ReadConfig(input_context=context),
                )

            if hosts == 1:
                return read()
            if not builder.info.splits or len(builder.info.splits[split].filepaths) < hosts:
                return read().shard(hosts, host)  # each host reads all of it
            return read(tf.distribute.InputContext(hosts, host, hosts))

    return files, int(files().cardinality()) if size is None else size
