"""Every registered pruning pattern: configuration, exact counts, ties, masks of the kernel's shape, helpful errors."""

import doctest
import importlib
import itertools
import math
import pkgutil
from fractions import Fraction

import keras
import numpy as np
import pytest

from keras_sparse import patterns
from keras_sparse.patterns import Block, Channel, NofM, Pattern, Unstructured, keep_highest

EVERY = [
    Unstructured(),
    Block(),
    Block(2, 3, "sum"),
    Block(1, 5, "max"),
    Channel(),
    Channel("l1"),
    Channel("sum"),
    NofM(),
    NofM(1, 3),
    NofM(4, 5),
]
SPARSITIES = ["0", "0.07", "0.1", "0.29", "0.3", "0.5", "0.57", "0.7", "0.9", "0.99", "0.999"]


def of_each(rng, count=40):
    """Random shapes of kernels, of Dense and of convolutions."""
    for _ in range(count):
        positions = [(), (), (3, 3), (2,)][rng.integers(4)]
        yield (*positions, *(int(n) for n in rng.integers(1, 20, size=2)))


@pytest.mark.parametrize("pattern", EVERY, ids=repr)
def test_what_is_cut_already_counts_whatever_its_score(pattern):
    rng = np.random.default_rng(3)
    for shape in of_each(rng):
        for low, high in itertools.combinations(reachable(pattern), 2):
            first = pattern.mask(np.abs(rng.normal(size=shape)), float(low))
            cut = pattern.is_cut(first)
            assert cut.shape == pattern.group_shape(shape)
            assert cut.sum() >= pattern.groups_to_cut(shape, float(low))
            # Scores at which cut groups would come out on top.
            scores = np.where(first, rng.random(shape), 10.0)
            second = pattern.mask(scores, float(high), connected=first) & first
            gone = pattern.is_cut(second).sum()
            assert gone == max(cut.sum(), pattern.groups_to_cut(shape, float(high)))


def reachable(pattern):
    return [s for s in SPARSITIES if not isinstance(pattern, NofM) or float(s) <= 1 - pattern.n / pattern.m]


def expected_cut(pattern, groups, sparsity):
    """In exact arithmetic."""
    share = Fraction(sparsity)
    if isinstance(pattern, NofM):
        share /= 1 - Fraction(pattern.n, pattern.m)
    return math.floor(share * groups)


def test_every_pattern_is_tried():
    assert {type(pattern) for pattern in EVERY} == {
        patterns.PATTERNS.lookup(name, "test") for name in patterns.PATTERNS
    }


@pytest.mark.parametrize("pattern", EVERY, ids=repr)
def test_config_round_trip(pattern):
    saved = keras.saving.serialize_keras_object(pattern)
    again = keras.saving.deserialize_keras_object(saved)
    assert again == pattern == patterns.get(saved)
    assert again is not pattern
    assert hash(again) == hash(pattern)
    scores = np.random.default_rng(0).random((11, 9))
    np.testing.assert_array_equal(again.mask(scores, 0.15), pattern.mask(scores, 0.15))
    assert patterns.get(pattern) is pattern


@pytest.mark.parametrize("pattern", EVERY, ids=repr)
@pytest.mark.parametrize("scale", [1, 3], ids=["ties", "distinct"])
def test_counts_are_exact_over_random_shapes(pattern, scale):
    rng = np.random.default_rng(0)
    for shape in of_each(rng):
        scores = rng.integers(3, size=shape).astype("float32") if scale == 1 else rng.random(shape)
        for sparsity in reachable(pattern):
            mask = pattern.mask(scores, float(sparsity))
            assert mask.shape == shape
            assert mask.dtype == bool
            groups = math.prod(pattern.group_shape(shape))
            cut = expected_cut(pattern, groups, sparsity)
            assert pattern.groups_to_cut(shape, float(sparsity)) == cut
            kept = keep_highest(pattern.pool(scores), groups - cut)
            np.testing.assert_array_equal(mask, pattern.spread(kept, scores))


@pytest.mark.parametrize("pattern", EVERY, ids=repr)
def test_groups_that_are_kept_are_kept_whole(pattern):
    rng = np.random.default_rng(1)
    for shape in of_each(rng):
        scores = rng.random(shape)
        group_shape = pattern.group_shape(shape)
        assert pattern.pool(scores).shape == group_shape
        assert pattern.spread(np.ones(group_shape, bool), scores).all()
        if not isinstance(pattern, NofM):
            assert not pattern.spread(np.zeros(group_shape, bool), scores).any()
        # One group alone: what the masks of all groups have in common is nothing, together they are everything.
        if math.prod(group_shape) <= 40 and not isinstance(pattern, NofM):
            each = np.eye(math.prod(group_shape), dtype=bool).reshape(-1, *group_shape)
            assert (sum(pattern.spread(one, scores).astype(int) for one in each) == 1).all()


@pytest.mark.parametrize("pattern", EVERY, ids=repr)
def test_nothing_goes_without_sparsity(pattern):
    assert pattern.mask(np.zeros((9, 7)), 0).all()


@pytest.mark.parametrize("pattern", EVERY, ids=repr)
@pytest.mark.parametrize("shape", [(60, 15), (2, 3, 60, 15)])  # that the runs and the summed blocks divide
def test_of_equal_groups_the_earlier_stay(pattern, shape):
    scores = np.ones(shape)
    groups = math.prod(pattern.group_shape(shape))
    cut = pattern.groups_to_cut(shape, 0.15)
    assert cut > 0
    kept = (np.arange(groups) < groups - cut).reshape(pattern.group_shape(shape))
    np.testing.assert_array_equal(pattern.mask(scores, 0.15), pattern.spread(kept, scores))


@pytest.mark.parametrize("pattern", EVERY, ids=repr)
def test_a_sparser_mask_is_part_of_a_denser_one(pattern):
    scores = np.random.default_rng(2).random((24, 18))
    masks = [pattern.mask(scores, float(sparsity)) for sparsity in reachable(pattern)]
    for denser, sparser in itertools.pairwise(masks):
        assert not (sparser & ~denser).any()


@pytest.mark.parametrize("pattern", EVERY, ids=repr)
def test_several_kernels_in_one_ranking(pattern):
    rng = np.random.default_rng(3)
    small, large = rng.random((12, 15)), 100 + rng.random((2, 24, 30))
    first, second = pattern.masks([small, large], 0.15)
    assert first.shape == small.shape
    assert second.shape == large.shape
    groups = [math.prod(pattern.group_shape(scores.shape)) for scores in (small, large)]
    cut = expected_cut(pattern, sum(groups), "0.15")
    pooled = np.concatenate([pattern.pool(scores).ravel() for scores in (small, large)])
    kept = np.zeros(len(pooled), bool)
    kept[np.argsort(-pooled, kind="stable")[: len(pooled) - cut]] = True
    np.testing.assert_array_equal(
        first, pattern.spread(kept[: groups[0]].reshape(pattern.group_shape((12, 15))), small)
    )
    np.testing.assert_array_equal(
        second, pattern.spread(kept[groups[0] :].reshape(pattern.group_shape((2, 24, 30))), large)
    )
    assert first.mean() < second.mean()  # the large scores stay


@pytest.mark.parametrize("pattern", EVERY, ids=repr)
@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "uint8"])
def test_scores_of_any_kind_of_number(pattern, dtype):
    scores = np.random.default_rng(4).integers(100, size=(12, 15)).astype(dtype)
    expected = pattern.mask(scores.astype("float32"), 0.15)
    np.testing.assert_array_equal(pattern.mask(scores, 0.15), expected)
    kept = pattern.pool(scores) > np.median(pattern.pool(scores))
    np.testing.assert_array_equal(pattern.spread(kept, scores), pattern.spread(kept, scores.astype("float32")))


@pytest.mark.parametrize("pattern", EVERY, ids=repr)
@pytest.mark.parametrize("sparsity", [1.0, 90, -0.1, "half"])
def test_a_sparsity_out_of_range(pattern, sparsity):
    for ask in (pattern.mask, lambda scores, sparsity: pattern.groups_to_cut(scores.shape, sparsity)):
        with pytest.raises(ValueError, match=rf"`sparsity` of {type(pattern).__name__} must be a number in \[0, "):
            ask(np.ones((8, 8)), sparsity)


@pytest.mark.parametrize("pattern", EVERY, ids=repr)
def test_scores_that_cannot_be_ranked(pattern):
    owner = type(pattern).__name__
    scores = np.ones((8, 8))
    scores[3, 4] = np.nan
    for ask in (pattern.pool, lambda scores: pattern.mask(scores, 0.1)):
        with pytest.raises(ValueError, match=rf"`scores` of {owner} must be numbers that can be compared.*1 NaN of 64"):
            ask(scores)
        with pytest.raises(ValueError, match=rf"`scores` of {owner} must be a non-empty array"):
            ask(np.ones((0, 8)))
    if owner != "Unstructured":
        with pytest.raises(ValueError, match=rf"`scores` of {owner} .* 2 axes or more.*shape \(8,\).*biases are not"):
            pattern.mask(np.ones(8), 0.1)
        with pytest.raises(ValueError, match=rf"`shape` of {owner} must be a shape \(..., inputs, outputs\)"):
            pattern.groups_to_cut((8,), 0.1)


@pytest.mark.parametrize("pattern", EVERY, ids=repr)
def test_groups_of_another_kernel(pattern):
    shape = pattern.group_shape((20, 30))
    for wrong in (np.ones((*shape, 1), bool), np.ones(shape)):
        with pytest.raises(ValueError, match=rf"`kept` of {type(pattern).__name__} must be a boolean array of shape"):
            pattern.spread(wrong, np.ones((20, 30)))


@pytest.mark.parametrize(
    ("written", "pattern"),
    [
        ("unstructured", Unstructured()),
        ("channel", Channel("l2")),
        ("channel:l1", Channel("l1")),
        ("2:4", NofM(2, 4)),
        ("1:16", NofM(1, 16)),
        ("nof_m", NofM(2, 4)),
        ("block", Block(4, 4)),
        ("block:4x4", Block(4, 4, "mean")),
        ("block:16x1", Block(16, 1)),
        ("block:2x8:max", Block(2, 8, "max")),
    ],
)
def test_get(written, pattern):
    assert patterns.get(written) == pattern


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("chanel", "Did you mean 'channel'"),
        ("blocks:4x4", "Did you mean 'block'"),
        ("block:4", "Received: pattern='block:4'. Write it as in 'block:4x4', 'channel:l1' or '2:4'."),
        ("block:4x", "Write it as in 'block:4x4'"),
        ("2:x", "Write it as in 'block:4x4'"),
        ("2:", "Write it as in 'block:4x4'"),
        ("unstructured:3", "Write it as in 'block:4x4'"),
        ("block:0x4", "`height` of Block must be an integer >= 1. Received: height=0."),
        ("block:4x4:min", "`pool` of Block must be one of 'mean', 'sum', 'max'. Received: pool='min'."),
        ("channel:l3", "`norm` of Channel must be one of 'l2', 'l1', 'sum'. Received: norm='l3'."),
        ("4:4", "`n` of NofM must be an integer in [1, 3]. Received: n=4. It is the number that is kept of 4"),
        (4, "Pass a name or an instance"),
    ],
)
def test_get_of_something_else(written, message):
    with pytest.raises(ValueError) as caught:
        patterns.get(written, owner="somebody")
    assert message in str(caught.value)


def test_three_methods_make_a_pattern():
    class Inputs(Pattern):
        def group_shape(self, shape):
            return shape[:1]

        def pool(self, scores):
            return scores.sum(axis=1)

        def spread(self, kept, scores):
            return np.repeat(kept[:, None], scores.shape[1], axis=1)

    mask = Inputs().mask(np.array([[1, 2], [5, 0], [3, 1]]), 0.4)
    np.testing.assert_array_equal(mask, [[False, False], [True, True], [True, True]])


@pytest.mark.parametrize("module", ["", *(f".{m.name}" for m in pkgutil.iter_modules(patterns.__path__))])
def test_examples_in_docstrings(module):
    module = importlib.import_module(f"keras_sparse.patterns{module}")
    names = {name: getattr(patterns, name) for name in patterns.__all__ if name != "get"}
    assert doctest.testmod(module, extraglobs={"np": np, **names}).failed == 0
