"""Parameter counts against those that the papers print."""

import collections
import functools
import math

import pytest

from keras_sparse.analysis import profile
from keras_sparse.applications import FractalNet, ResNet, SparseNet
from keras_sparse.studies.counts import is_as_printed
from keras_sparse.studies.published_counts import PUBLISHED_COUNTS

pytestmark = pytest.mark.usefixtures("shapes_only")


# What takes long to build has a twin of the same count that is tested: SparseNets that add, and ResNets.
SLOW = {"depth": 2000, "operator": "sum"}
COUNTS = [row for row in PUBLISHED_COUNTS if not SLOW.items() <= row.arguments.items()]
IMAGENET = [row for row in COUNTS if row.gflops is not None]


def millions(model):
    return sum(math.prod(variable.shape) for variable in model.trainable_variables) / 1e6


@functools.cache
def counted(label):
    """Millions of a network that may stand in several tables."""
    return millions(next(row for row in COUNTS if row.label == label).build())


@pytest.mark.parametrize("row", COUNTS, ids=lambda row: f"{row.source}: {row.label}")
def test_as_printed_or_by_the_rule(row):
    count = counted(row.label)
    if row.by_rule is None:
        assert is_as_printed({"ours": count, "printed": row.parameters, "decimals": row.decimals})
    else:
        assert count == pytest.approx(row.by_rule, rel=4e-3)
        assert not is_as_printed({"ours": count, "printed": row.parameters, "decimals": row.decimals})


def test_nothing_is_left_out():
    sources = collections.Counter(row.source for row in PUBLISHED_COUNTS)
    assert [sources[f"SparseNet study, Fig. {figure}"] for figure in (5, 7)] == [14, 14]
    assert [sources[f"Zhu et al., Table {table}"] for table in (2, 3, 4)] == [20, 20, 9]


def test_resnet_and_its_sparse_twin():
    assert millions(SparseNet(56, 16, operator="sum")) == counted("resnet depth=56 classes=10")
    assert counted("resnet depth=56 classes=10") == pytest.approx(0.590, abs=0.51e-3)
    assert millions(ResNet(56, classes=100)) == pytest.approx(counted("resnet depth=56 classes=10") + 90 * 257e-6)


@pytest.mark.parametrize("row", IMAGENET, ids=lambda row: row.label)
def test_imagenet_flops(row):
    report = profile(row.build())
    # The paper's ResNet-50 counts differently from its other rows.
    assert 2 * report.macs / 1e9 == pytest.approx(row.gflops, rel=0.06 if row.model == "resnet50" else 0.01)
    assert report.uncounted == []


def test_fractalnet_by_pencil():
    filters, channels, expected = (4, 8), 3, 0
    for width in filters:
        # Three columns of 1, 2 and 4 convolutions, three of which read the block's input.
        expected += 9 * width * (3 * channels + 4 * width) + 7 * 2 * width
        channels = width
    model = FractalNet(columns=3, filters=filters, dropout=0.0)
    assert millions(model) * 1e6 == pytest.approx(expected + 8 * 10 + 10)
