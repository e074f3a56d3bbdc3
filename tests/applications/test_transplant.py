"""The weights of keras.applications, here random, in the models of the same name."""

import keras
import numpy as np
import pytest

from keras_sparse import applications
from keras_sparse.applications import DenseNet121, ResNet50, transplant_weights

SHAPE = (64, 64, 3)
NAMES = ["DenseNet121", "DenseNet169", "DenseNet201", "ResNet50"]
WITHOUT_TOP = ["DenseNet121", "ResNet50"]  # one of each family


def randomise(model):
    """Statistics and biases are constant in a new model: draw them, so that a mix-up shows."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            gamma, beta = rng.uniform(0.8, 1.2, shape), rng.normal(0, 0.1, shape)
            layer.set_weights([gamma, beta, rng.normal(0, 0.1, shape), rng.uniform(0.5, 1.5, shape)])
    return model


@pytest.mark.parametrize(
    ("name", "include_top"), [(name, True) for name in NAMES] + [(name, False) for name in WITHOUT_TOP]
)
def test_same_predictions(name, include_top):
    options = {"weights": None, "include_top": include_top, "input_shape": SHAPE}
    source = randomise(getattr(keras.applications, name)(**options))
    target = transplant_weights(source, getattr(applications, name)(**options))
    images = np.random.default_rng(1).normal(size=(2, *SHAPE)).astype("float32")
    # Called, not `predict`: nothing needs to be traced for two images.
    theirs, ours = (keras.ops.convert_to_numpy(model(images)) for model in (source, target))
    assert np.ptp(theirs) > 0
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_preprocessing_is_that_of_keras_densenet():
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype("float32")
    expected = keras.applications.densenet.preprocess_input(images.copy())
    ours = applications.preprocess_input(images, statistics="imagenet2012")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(ours), expected, rtol=1e-4, atol=1e-5)


def test_another_architecture_is_refused_and_the_target_left_alone():
    with keras.StatelessScope(initialize_variables=False):
        source = keras.applications.DenseNet169(weights=None, input_shape=SHAPE)
    target = DenseNet121(input_shape=SHAPE)
    before = target.get_weights()
    with pytest.raises(ValueError, match=r'layer\(s\) that "densenet121" lacks, the first named .conv4_block25'):
        transplant_weights(source, target)
    assert all(np.array_equal(*pair) for pair in zip(before, target.get_weights(), strict=True))


@pytest.mark.usefixtures("shapes_only")
def test_other_shapes_are_refused():
    source = keras.applications.ResNet50(weights=None, input_shape=SHAPE, classes=10)
    with pytest.raises(ValueError, match=r"layer 'predictions' with \[\(2048, 10\), \(10,\)\] in the source"):
        transplant_weights(source, ResNet50(input_shape=SHAPE))


@pytest.mark.usefixtures("shapes_only")
def test_top_on_one_side_only_is_refused():
    source = keras.applications.ResNet50(weights=None, input_shape=SHAPE)
    with pytest.raises(ValueError, match=r"the first named 'predictions'.*same `include_top`"):
        transplant_weights(source, ResNet50(input_shape=SHAPE, include_top=False))
