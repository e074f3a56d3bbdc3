import math

import networkx
import pytest

from keras_sparse.aggregation import (
    PATTERNS,
    All,
    Exponential,
    Hybrid,
    Pattern,
    Previous,
    Window,
    get_pattern,
    get_patterns,
)

EVERY = [All(), Previous(), Window(1), Window(3), Exponential(), Exponential(3), Exponential(4), Hybrid(), Hybrid(5, 3)]


@pytest.mark.parametrize(
    ("pattern", "sources"),
    [
        (All(), [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (Previous(), [8]),
        (Window(3), [6, 7, 8]),
        (Exponential(2), [1, 5, 7, 8]),
        (Exponential(3), [0, 6, 8]),
        (Hybrid(3, 2), [1, 5, 6, 7, 8]),
    ],
    ids=repr,
)
def test_sources_of_the_ninth_layer(pattern, sources):
    assert pattern.sources(9) == sources


@pytest.mark.parametrize("base", [2, 3, 4, 7])
def test_exponential_reads_as_many_as_the_paper_says(base):
    for available in range(1, 200):
        exact = 1 + max(i for i in range(10) if base**i <= available)
        assert len(Exponential(base).sources(available)) == exact


def test_the_blocks_input_is_read_only_at_an_exact_power():
    readers = [layer for layer in range(1, 40) if 0 in Exponential(2).sources(layer)]
    assert readers == [1, 2, 4, 8, 16, 32]


def test_hybrid_of_size_one_is_exponential():
    assert all(Hybrid(1, 2).sources(n) == Exponential(2).sources(n) for n in range(1, 100))


def test_links_by_closed_form():
    assert All().links(100) == 100 * 101 // 2
    assert Previous().links(100) == 100
    assert Window(4).links(100) == 1 + 2 + 3 + 4 * 97
    assert Exponential(2).links(100) == sum(math.floor(math.log2(n)) + 1 for n in range(1, 101))


@pytest.mark.parametrize("pattern", EVERY, ids=repr)
@pytest.mark.parametrize("layers", [1, 2, 9, 40])
def test_longest_gradient_path_is_that_of_networkx(pattern, layers):
    graph = networkx.DiGraph()
    graph.add_edges_from((layer, source) for layer in range(1, layers + 1) for source in pattern.sources(layer))
    lengths = dict(networkx.all_pairs_shortest_path_length(graph))
    longest = max(max(reached.values()) for reached in lengths.values())
    assert pattern.longest_gradient_path(layers) == longest
    assert pattern.links(layers) == graph.number_of_edges()


@pytest.mark.parametrize("base", [2, 3, 5])
def test_exponential_path_is_the_largest_digit_sum(base):
    def digit_sum(number):
        return number if number < base else number % base + digit_sum(number // base)

    layers = 300
    expected = max(digit_sum(distance) for distance in range(1, layers + 1))
    assert Exponential(base).longest_gradient_path(layers) == expected


def test_an_output_that_nothing_reads_is_infinitely_far():
    class SkipsOne(Pattern):
        def offsets(self, available):
            return [min(2, available)]

    assert SkipsOne().longest_gradient_path(5) == math.inf


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Exponential(1), "`base` of Exponential must be an integer >= 2. Received: base=1"),
        (lambda: Window(0), "`size` of Window must be an integer >= 1. Received: size=0"),
        (lambda: get_pattern("exponental"), "Did you mean 'exponential'"),
        (lambda: get_pattern("all", base=3), "`base` of get_pattern must agree with its pattern, All()"),
        (lambda: get_pattern(Exponential(3), base=4), "must agree with its pattern, Exponential(base=3)"),
        (lambda: get_pattern("all:3"), "one of hybrid, window with its number"),
        (lambda: get_pattern("window:-1"), "Received: pattern='window:-1'"),
        (lambda: get_pattern("window:0"), "`size` of Window must be an integer >= 1"),
        (lambda: get_patterns(["all", "previous"], base=3), "`base` of get_patterns must agree"),
        (lambda: Previous().sources(0), "`available` of Previous must be an integer >= 1"),
        (lambda: All().links(-1), "`layers` of All must be an integer >= 0"),
        (lambda: All().longest_gradient_path(2.5), "`layers` of All must be an integer >= 0"),
        (lambda: get_pattern(7), "Pass a name or an instance"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError) as caught:
        make()
    assert message in str(caught.value)


def test_base_reaches_the_patterns_that_have_one():
    assert get_pattern("exponential", base=5) == Exponential(5)
    assert get_pattern("hybrid", base=5).base == 5
    assert get_pattern(Exponential(3)) == Exponential(3)
    assert get_pattern("window:5") == Window(5)
    assert get_pattern("hybrid:4", base=3) == Hybrid(4, 3)
    assert get_patterns(["all", "exponential", "hybrid:2"], base=3) == [All(), Exponential(3), Hybrid(2, 3)]
    assert All().links(0) == All().longest_gradient_path(0) == 0
    assert set(PATTERNS) == {"all", "exponential", "hybrid", "previous", "window"}
