import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_sparse.layers import PreactivationUnit


def test_equals_the_chain_of_keras_layers():
    unit = PreactivationUnit((16, 4), (1, 3), strides=(1, 2), name="unit")
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 6)).astype("float32")
    result = ops.convert_to_numpy(unit(x, training=True))
    chain = keras.Sequential(
        [
            layers.BatchNormalization(epsilon=1.001e-5),
            layers.ReLU(),
            layers.Conv2D(16, 1, use_bias=False),
            layers.BatchNormalization(epsilon=1.001e-5),
            layers.ReLU(),
            layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False),
        ]
    )
    chain.build(x.shape)
    kernels = [unit.convolutions[0].get_weights(), unit.convolutions[1].get_weights()]
    chain.layers[2].set_weights(kernels[0])
    chain.layers[5].set_weights(kernels[1])
    expected = ops.convert_to_numpy(chain(x, training=True))
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
    assert result.shape == (2, 4, 4, 4)


def test_layer_names_are_those_of_keras_applications():
    unit = PreactivationUnit((8, 4), (1, 3), name="conv2_block1")
    names = [layer.name for pair in zip(unit.norms, unit.convolutions, strict=True) for layer in pair]
    assert names == ["conv2_block1_0_bn", "conv2_block1_1_conv", "conv2_block1_1_bn", "conv2_block1_2_conv"]


def test_initial_variance_is_he_fan_out():
    unit = PreactivationUnit(256, 3)
    unit.build((None, 8, 8, 256))
    kernel = ops.convert_to_numpy(unit.convolutions[0].kernel)
    assert np.var(kernel) == pytest.approx(2 / (9 * 256), rel=0.02)
    # Not truncated: a normal distribution has 0.27% beyond three deviations.
    assert np.mean(np.abs(kernel) > 3 * np.std(kernel)) == pytest.approx(0.0027, rel=0.2)


def test_channels_first_shapes():
    unit = PreactivationUnit(4, 3, strides=2, data_format="channels_first")
    assert unit.compute_output_shape((None, 6, 8, 8)) == (None, 4, 4, 4)
    unit.build((None, 6, 8, 8))
    assert unit.norms[0].gamma.shape == (6,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0, "kernel_size": 3}, "`filters` of PreactivationUnit"),
        ({"filters": (4, 4), "kernel_size": 3}, "one integer for each of the 2 convolutions"),
        ({"filters": 4, "kernel_size": 3, "strides": (1, 2)}, "`strides` of PreactivationUnit"),
        ({"filters": 4, "kernel_size": 3, "data_format": "NCHW"}, "`data_format` of PreactivationUnit"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        PreactivationUnit(**arguments)
