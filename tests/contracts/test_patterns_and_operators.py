"""Every registered pattern and operator, and whatever is registered later."""

import keras
import numpy as np
import pytest

from keras_sparse.aggregation import OPERATORS, PATTERNS, get_operator, get_pattern

MEMBERS = [get_pattern(name) for name in PATTERNS] + [get_operator(name) for name in OPERATORS]


@pytest.mark.parametrize("member", MEMBERS, ids=repr)
def test_config_round_trip(member):
    saved = keras.saving.serialize_keras_object(member)
    again = keras.saving.deserialize_keras_object(saved)
    assert again == member
    assert again is not member
    assert hash(again) == hash(member)
    assert repr(again) == repr(member)


@pytest.mark.parametrize("name", PATTERNS)
def test_sources_are_distinct_ordered_and_earlier(name):
    pattern = get_pattern(name)
    for available in range(1, 50):
        sources = pattern.sources(available)
        assert sources == sorted(set(sources))
        assert sources
        assert 0 <= sources[0] <= sources[-1] < available


@pytest.mark.parametrize("name", OPERATORS)
def test_accumulation_may_be_continued(name):
    operator = get_operator(name)
    parts = [np.random.default_rng(i).normal(size=(2, 3)).astype("float32") for i in range(4)]
    parts = [keras.ops.convert_to_tensor(part) for part in parts]
    at_once = operator.finish(operator.accumulate(parts, -1), 4)
    begun = operator.accumulate(parts[:3], -1)
    continued = operator.finish(operator.accumulate([begun, parts[3]], -1), 4)
    np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, (at_once, continued)), rtol=1e-6)
