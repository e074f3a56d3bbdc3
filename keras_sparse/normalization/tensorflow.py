"""TensorFlow's fused batch normalisation, with a gradient for the statistics too."""

import tensorflow as tf


def is_fused(x, axis):
    """Whether TensorFlow has a kernel for it: images with channels last, in single precision, not symbolic."""
    return tf.is_tensor(x) and len(x.shape) == 4 and axis == 3 and x.dtype == tf.float32


def normalize_fused(x, mean, variance, gamma, beta, epsilon):
    """As `normalize`."""

    @tf.custom_gradient
    def run(x, mean, variance, gamma, beta):
        outputs = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=epsilon, is_training=False
        )

        def gradient(upstream):
            by_x, by_gamma, by_beta, *_ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=upstream,
                x=x,
                scale=gamma,
                reserve_space_1=mean,
                reserve_space_2=variance,
                reserve_space_3=tf.constant([], tf.float32),
                epsilon=epsilon,
                is_training=False,
            )
            inverse = tf.math.rsqrt(variance + epsilon)
            by_variance = -0.5 * by_gamma * gamma * inverse * inverse
            return by_x, -by_beta * gamma * inverse, by_variance, by_gamma, by_beta

        return outputs.y, gradient

    return run(x, mean, variance, gamma, beta)


def normalize_by_batch_fused(x, gamma, beta, epsilon):
    """As `normalize_by_batch`."""
    outputs = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
    )
    # It estimates the variance of what the batch was drawn from; Keras keeps that of the batch.
    count = tf.cast(tf.reduce_prod(tf.shape(x)[:3]), x.dtype)
    return outputs.y, outputs.batch_mean, outputs.batch_variance * (count - 1) / count


def concatenate_split(tensors, axis):
    """As `tf.concat`, of tensors with known sizes along `axis`."""
    sizes = [tensor.shape[axis] for tensor in tensors]

    @tf.custom_gradient
    def run(*tensors):
        return tf.concat(tensors, axis), lambda upstream: tf.split(upstream, sizes, axis)

    return run(*tensors)


def run_twice(function, *tensors):
    """`function(*tensors)`, run again on the way back.

    TensorFlow's own `tf.recompute_grad` takes a pass more over each tensor.
    """

    @tf.custom_gradient
    def run(*tensors):
        def gradient(upstream):
            # The dependency keeps the graph optimizer from merging both runs into one.
            with tf.control_dependencies([upstream]), tf.GradientTape() as tape:
                again = [tf.identity(tensor) for tensor in tensors]
                tape.watch(again)
                outputs = function(*again)
            return tape.gradient(outputs, again, upstream)

        return function(*tensors), gradient

    # Keras hands out variables as they are; inside, TensorFlow would take them for something else than arguments.
    return run(*[tf.convert_to_tensor(tensor) for tensor in tensors])
