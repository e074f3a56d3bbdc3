"""A chain of (BatchNormalization, ReLU, Conv2D) as a function of its weights, and its gradient."""

from keras import ops

from keras_sparse.distribution.replicas import sum_over_replicas
from keras_sparse.loops import backend
from keras_sparse.normalization import batch_moments


class Unit:
    """What `PreactivationUnit` computes.

    The gradient needs of each convolution only what its normalisation reads and the statistics of that: normalising
    once more is cheaper than to keep the result.

    Args:
        data_format: "channels_last" or "channels_first".
        epsilon: Number, added to variances.
    """

    def __init__(self, data_format, epsilon):
        self.data_format = data_format
        self.axis = 3 if data_format == "channels_last" else 1
        self.epsilon = epsilon
        self.summed = [axis for axis in range(4) if axis != self.axis]

    def forward(self, x, weights, training):
        """Runs the chain.

        Args:
            x: Tensor.
            weights: List with gamma, beta, mean, variance and kernel for each convolution; mean and variance are the
                moving ones, and used if not `training`.
            training: Boolean, whether to normalise by the batch.

        Returns:
            The output, the list of what each normalisation read, and the list of means and variances by which.
        """
        inputs, statistics = [], []
        for gamma, beta, *moments, kernel in weights:
            wide = ops.cast(x, gamma.dtype)
            if training:
                moments = batch_moments(wide, self.axis)
            scale, shift, _ = self._affine(gamma, beta, *moments)
            inputs.append(x)
            statistics.append(moments)
            x = self._rectified_convolution(x.dtype)(wide * scale + shift, kernel)
        return x, inputs, statistics

    def backward(self, inputs, weights, training, gradient, share):
        """Carries a gradient back through the chain.

        Args:
            inputs: What each normalisation read.
            weights: As in `forward`, but mean and variance are those by which it was normalised.
            training: As in `forward`.
            gradient: Tensor, that of the output.
            share: Tensor, the part of one position in a mean: 1 / (batch * height * width), the batch that of all
                replicas.

        Returns:
            The gradient of the input, and a list with those of gamma, beta and kernel for each convolution.
        """
        gradients = []
        for x, (gamma, beta, mean, variance, kernel) in reversed(list(zip(inputs, weights, strict=True))):
            wide = ops.cast(x, gamma.dtype)
            scale, shift, inverse = self._affine(gamma, beta, mean, variance)
            function = self._rectified_convolution(x.dtype)
            inner, of_kernel = backend().vjp(function, [wide * scale + shift, kernel], gradient)
            of_beta = ops.sum(inner, self.summed)
            of_gamma = (ops.sum(inner * wide, self.summed) - mean * of_beta) * ops.reshape(inverse, mean.shape)
            of_input = inner * scale
            if training:  # mean and variance depend on the input, too
                by_gamma, by_beta = sum_over_replicas(of_gamma * share, of_beta * share)
                slope = -scale * inverse * self._along(by_gamma)
                of_input = of_input + (wide * slope - scale * self._along(by_beta) - slope * self._along(mean))
            gradient = ops.cast(of_input, x.dtype)
            gradients.insert(0, [of_gamma, of_beta, of_kernel])
        return gradient, gradients

    def _affine(self, gamma, beta, mean, variance):
        """Scale and shift of the normalisation, and the inverse of the deviation."""
        inverse = ops.rsqrt(variance + self.epsilon)
        scale = gamma * inverse
        return self._along(scale), self._along(beta - mean * scale), self._along(inverse)

    def _along(self, vector):
        """A vector over channels, to be multiplied with images."""
        return vector if self.axis == 3 else ops.reshape(vector, (1, -1, 1, 1))

    def _rectified_convolution(self, dtype):
        def function(x, kernel):
            x = ops.cast(ops.relu(x), dtype)
            return ops.conv(x, kernel, padding="same", data_format=self.data_format)

        return function
