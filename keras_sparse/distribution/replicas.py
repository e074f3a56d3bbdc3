"""What the replicas of a `tf.distribute` strategy tell one another while a step is computed.

On JAX they have nothing to tell: an array is that of the whole batch, whichever devices hold its parts.

>>> replica_count()      # within a training step on two devices
2
>>> total, count = sum_over_replicas(total, count)
"""

import keras


def replica_count():
    """Integer, the replicas that compute this step side by side; 1 outside of a step, and on other backends."""
    if keras.backend.backend() != "tensorflow":
        return 1
    from keras_sparse.distribution.tensorflow import replicas_here

    return replicas_here()


def sum_over_replicas(*tensors):
    """The sums of each tensor over all replicas, as a tuple; of one replica the tensors themselves.

    Gradients flow through it: that of each replica's tensor is the sum of the gradients on all of them.
    """
    if replica_count() == 1:
        return tensors
    from keras_sparse.distribution.tensorflow import all_reduce

    return all_reduce(tensors)
