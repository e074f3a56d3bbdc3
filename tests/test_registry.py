import pytest

from keras_sparse.aggregation import OPERATORS, PATTERNS
from keras_sparse.applications import MODELS
from keras_sparse.layers import LAYERS
from keras_sparse.registry import Registry, registered_name
from keras_sparse.schedules import SCHEDULES, Schedule
from keras_sparse.topologies import TOPOLOGIES


def test_names_derive_from_classes_and_functions():
    class LongShortRotating:
        pass

    class SparseConv2D:
        pass

    def SparseNet121():
        pass

    assert registered_name(LongShortRotating) == "long_short_rotating"
    assert registered_name(SparseConv2D) == "sparse_conv2d"
    assert registered_name(SparseNet121) == "sparsenet121"


def test_a_name_used_twice_is_refused():
    class Thing:
        pass

    with pytest.raises(ValueError, match="two members named 'thing'"):
        Registry("thing", [Thing, Thing])


@pytest.mark.parametrize("table", [PATTERNS, OPERATORS, TOPOLOGIES, LAYERS, MODELS], ids=lambda table: table.kind)
def test_an_unknown_name_lists_the_valid_ones_and_suggests_the_nearest(table):
    wanted = table.names()[0]
    with pytest.raises(ValueError, match=f"Did you mean '{wanted}'") as caught:
        table.lookup(wanted + "x", "Somebody")
    assert all(repr(name) in str(caught.value) for name in table.names())


def test_a_name_that_needs_arguments_says_which():
    with pytest.raises(ValueError) as caught:
        SCHEDULES.resolve("one_shot", "Somebody", Schedule)
    assert str(caught.value) == (
        "`schedule` of Somebody must be a Schedule, or the name of one that needs no arguments. Received: "
        "schedule='one_shot', which needs sparsity. Pass OneShot(sparsity=...)."
    )


@pytest.mark.parametrize(
    ("table", "room"),
    [
        (PATTERNS, "keras_sparse.aggregation"),
        (TOPOLOGIES, "keras_sparse.topologies"),
        (LAYERS, "keras_sparse.layers"),
    ],
)
def test_file_name_and_registered_name_agree(table, room):
    for name in table:
        assert table.lookup(name, "test").__module__ == f"{room}.{name}"
