"""TensorFlow only: sums of sorted segments, and whether XLA compiles. Other backends say that they have neither."""

import keras


def compiles_with_xla():
    """Whether the function that is being traced is compiled with XLA, which knows fewer operations."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf
    from tensorflow.python.ops import control_flow_util  # no public name says it

    return not tf.executing_eagerly() and control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def has_sorted_sum(dtype):
    """Whether `sorted_sum` can be used here, and is the faster one."""
    return (
        keras.backend.backend() == "tensorflow"
        and keras.backend.standardize_dtype(dtype) in ("float32", "float64")
        and not compiles_with_xla()
    )


def sorted_sum(rows, order, segments, count):
    """Sums of rows by segment, on a CPU two to four times as fast as those of `keras.ops`, which expect any order.

    Args:
        rows: Tensor `(n, ...)`.
        order: int32 tensor `(m,)`, which rows to take, one after the other.
        segments: int32 tensor `(m,)`, never decreasing: where they go.
        count: Integer, number of segments.

    Returns:
        Tensor `(count, ...)`.
    """
    import tensorflow as tf

    return tf.raw_ops.SparseSegmentSumWithNumSegments(
        data=rows, indices=order, segment_ids=segments, num_segments=count
    )


def after(tensor, other):
    """`tensor`, not before `other` is there: parts of a sum that wait for each other need the memory of one."""
    if keras.backend.backend() != "tensorflow":
        return tensor
    import tensorflow as tf

    with tf.control_dependencies([other]):
        return tf.identity(tensor)
