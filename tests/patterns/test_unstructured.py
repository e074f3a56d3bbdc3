import numpy as np

from keras_sparse.patterns import Unstructured


def test_by_hand():
    """Half of 1 to 100, as testUpdateSingleMask of tensorflow-model-optimization; two of ten for one fifth."""
    np.testing.assert_array_equal(Unstructured().mask(np.linspace(1, 100, 100), 0.5), np.arange(100) >= 50)
    np.testing.assert_array_equal(Unstructured().mask(np.arange(1, 11), 0.200000018), np.arange(10) >= 2)


def test_rounded_down():
    assert Unstructured().mask(np.arange(9), 0.5).sum() == 5
    assert Unstructured().groups_to_cut((3, 3, 64, 128), 0.9) == 66355


def test_a_mask_is_not_the_array_of_groups():
    kept = np.ones((2, 2), bool)
    Unstructured().spread(kept, np.ones((2, 2)))[0, 0] = False
    assert kept.all()
