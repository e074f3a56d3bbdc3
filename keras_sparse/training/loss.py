"""Cross-entropy of a batch that several replicas share."""

import keras
from keras import ops

from keras_sparse.distribution.replicas import replica_count, sum_over_replicas


@keras.saving.register_keras_serializable(package="keras_sparse")
class GlobalBatchCrossentropy(keras.losses.SparseCategoricalCrossentropy):
    """`SparseCategoricalCrossentropy` in which each example of a batch weighs the same, whichever replica has it.

    Keras averages over each replica's part and then over replicas: where the last batch of an epoch does not divide
    equally, the examples of the smaller part count for more, or it is as if there were fewer. Here gradients are those
    of the mean over the whole batch; values, of which Keras makes the mean of an epoch, are as they were.

    Args:
        **kwargs: As for `keras.losses.SparseCategoricalCrossentropy`.

    Example:
        >>> model.compile("sgd", GlobalBatchCrossentropy(from_logits=True))
    """

    def call(self, y_true, y_pred):
        losses = super().call(y_true, y_pred)
        if replica_count() == 1:
            return losses
        count = ops.cast(ops.size(losses), losses.dtype)
        (total,) = sum_over_replicas(count)
        weight = count * replica_count() / total
        return weight * losses + ops.stop_gradient((1 - weight) * losses)
