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
            by_x, by_gamma, by_beta = _backward(upstream, x, gamma, (mean, variance, []), epsilon, is_training=False)
            inverse = tf.math.rsqrt(variance + epsilon)
            return by_x, -by_beta * gamma * inverse, -0.5 * by_gamma * gamma * inverse**2, by_gamma, by_beta

        return outputs.y, gradient

    return run(x, mean, variance, gamma, beta)


def normalize_by_batch_fused(x, gamma, beta, epsilon):
    """As `normalize_by_batch`; no gradient flows into the moments."""

    @tf.custom_gradient
    def run(x, gamma, beta):
        outputs = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
        )
        # It estimates the variance of what the batch was drawn from; Keras keeps that of the batch.
        count = tf.cast(tf.reduce_prod(tf.shape(x)[:3]), x.dtype)
        moments = outputs.batch_mean, outputs.batch_variance * (count - 1) / count

        def gradient(upstream, *_):
            return _backward(upstream, x, gamma, outputs[3:], epsilon, is_training=True)

        return (outputs.y, *moments), gradient

    return run(x, gamma, beta)


def _backward(upstream, x, gamma, saved, epsilon, is_training):
    """Gradients by `x`, gamma and beta, which cannot be differentiated once more."""

    @tf.custom_gradient
    def run(upstream, x, gamma):
        found = tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=upstream,
            x=x,
            scale=gamma,
            reserve_space_1=saved[0],
            reserve_space_2=saved[1],
            reserve_space_3=saved[2],
            epsilon=epsilon,
            is_training=is_training,
        )

        def gradient(*_):
            # TensorFlow has one, in which the statistics are constants.
            raise NotImplementedError(
                "Fused batch normalisation has no second derivative. Call the model within "
                "`keras_sparse.normalization.plain_operations()`."
            )

        return (found.x_backprop, found.scale_backprop, found.offset_backprop), gradient

    return run(upstream, x, gamma)


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
        def gradient(*upstream):
            # The dependency keeps the graph optimizer from merging both runs into one.
            with tf.control_dependencies(upstream), tf.GradientTape() as tape:
                again = [tf.identity(tensor) for tensor in tensors]
                tape.watch(again)
                outputs = function(*again)
            return tape.gradient(tf.nest.flatten(outputs), again, upstream)

        return function(*tensors), gradient

    # Keras hands out variables as they are; inside, TensorFlow would take them for something else than arguments.
    return run(*[tf.convert_to_tensor(tensor) for tensor in tensors])
