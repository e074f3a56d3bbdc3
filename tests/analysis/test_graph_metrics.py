import matplotlib.image
import networkx as nx
import numpy as np
import pytest
from scipy import sparse

from keras_sparse import topologies
from keras_sparse.analysis import laplacian
from keras_sparse.analysis.graph_metrics import (
    algebraic_connectivity,
    dead_units,
    degree_histogram,
    degrees,
    spectral_gap,
)
from keras_sparse.analysis.graph_report import graph_report
from keras_sparse.analysis.mask_figures import plot_degree_histogram, plot_mask
from keras_sparse.analysis.paths import is_symmetric, path_counts, symmetry

SOLVERS = ("dense", "factorised", "lanczos")


@pytest.fixture(params=SOLVERS)
def solver(request, monkeypatch):
    """Sends every graph to one of the three solvers."""
    monkeypatch.setattr(laplacian, "DENSE_VERTICES", 10**6 if request.param == "dense" else 0)
    monkeypatch.setattr(laplacian, "FACTORED_VERTICES", 10**6 if request.param == "factorised" else -1)
    monkeypatch.setattr(laplacian, "FACTORED_BANDWIDTH", -1)
    return request.param


def random_mask(fan_in, fan_out, density, seed=0):
    return np.random.default_rng(seed).random((fan_in, fan_out)) < density


def ring(length):
    """A cycle of `2 * length` vertices."""
    return np.eye(length, dtype=bool) | np.roll(np.eye(length, dtype=bool), 1, axis=1)


def rotated(size, columns):
    """The sparse matrix of ones at `columns`, moved by one from row to row."""
    rows = np.repeat(np.arange(size), len(columns))
    pairs = (rows, (rows + np.tile(columns, size)) % size)
    return sparse.coo_array((np.ones(len(rows), bool), pairs), shape=(size, size))


def networkx_spectrum(mask, normalized=False):
    graph = nx.bipartite.from_biadjacency_matrix(sparse.csr_array(mask.astype(int)))
    isolated = [vertex for vertex, degree in graph.degree if degree == 0]
    spectrum = nx.normalized_laplacian_spectrum(graph) if normalized else nx.laplacian_spectrum(graph)
    return np.sort(spectrum), nx.number_connected_components(graph), len(isolated)


@pytest.mark.parametrize(("fan_in", "fan_out"), [(1, 1), (3, 5), (7, 2), (40, 40)])
def test_complete_bipartite_graphs_have_the_smaller_side(fan_in, fan_out):
    mask = np.ones((fan_in, fan_out), bool)
    # K_{1,1} is one edge, with the eigenvalues 0 and 2.
    expected = 2 if fan_in == fan_out == 1 else min(fan_in, fan_out)
    assert algebraic_connectivity(mask) == pytest.approx(expected)
    assert spectral_gap(mask) == pytest.approx(expected)
    assert spectral_gap(mask, normalized=True) == pytest.approx(2 if fan_in == fan_out == 1 else 1)


@pytest.mark.parametrize("length", [3, 50, 2_000, 50_000])
def test_rings(length):
    """Up to 100,000 vertices, where the eigenvalue is 4e-9."""
    expected = 4 * np.sin(np.pi / (2 * length)) ** 2
    assert algebraic_connectivity(rotated(length, [0, 1])) == pytest.approx(expected, rel=1e-6)


def test_a_path():
    mask = ring(30)
    mask[0, 0] = False
    assert algebraic_connectivity(mask) == pytest.approx(4 * np.sin(np.pi / 120) ** 2)


@pytest.mark.parametrize(
    ("columns", "normalized"), [(range(16), False), ([0, 1, 2, 4, 7, 12, 20, 33, 609, 986, 6764, 10945, 28656], True)]
)
def test_rotations_of_100_000_vertices_by_their_fourier_transform(columns, normalized):
    """The first is nearly a ring and is factorised, the second an expander for Lanczos."""
    size, k = 50_000, len(columns)
    row = np.zeros(size)
    row[list(columns)] = 1
    expected = k - np.abs(np.fft.fft(row))[1:].max()
    gap = spectral_gap(rotated(size, columns), normalized)
    assert gap == pytest.approx(expected / k if normalized else expected, rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("density", [0.03, 0.1])
def test_random_masks_agree_with_networkx(solver, density, seed):
    mask = random_mask(90, 60, density, seed)
    spectrum, components, _ = networkx_spectrum(mask)
    connectivity = algebraic_connectivity(mask)
    assert connectivity == pytest.approx(spectrum[1], rel=1e-7, abs=1e-12)
    assert (connectivity == 0) == (components > 1)
    assert spectral_gap(mask) == pytest.approx(spectrum[components], rel=1e-7)
    normalized, _, isolated = networkx_spectrum(mask, normalized=True)
    assert spectral_gap(mask, normalized=True) == pytest.approx(normalized[components], rel=1e-7)
    assert isolated == sum(map(len, dead_units(mask)))


def test_networkx_has_the_same_algebraic_connectivity():
    mask = topologies.Expander(out_degree=4, seed=0)(120, 80)
    graph = nx.bipartite.from_biadjacency_matrix(sparse.csr_array(mask.astype(int)))
    assert algebraic_connectivity(mask) == pytest.approx(nx.algebraic_connectivity(graph, tol=1e-10), rel=1e-6)


def test_disconnected_graphs(solver):
    two_rings = np.kron(np.eye(2, dtype=bool), ring(20))
    assert algebraic_connectivity(two_rings) == 0.0
    assert spectral_gap(two_rings) == pytest.approx(4 * np.sin(np.pi / 40) ** 2)
    # The gap is that of the component that hangs together worst, wherever it stands.
    uneven = np.zeros((20 + 5, 20 + 6), bool)
    uneven[:20, :20] = ring(20)
    uneven[20:, 20:] = True
    assert spectral_gap(uneven) == pytest.approx(4 * np.sin(np.pi / 40) ** 2)


def test_a_unit_without_connections_disconnects_and_does_not_change_the_gap():
    mask = np.ones((4, 6), bool)
    mask[0] = False
    assert algebraic_connectivity(mask) == 0.0
    assert spectral_gap(mask) == pytest.approx(3)
    assert spectral_gap(np.zeros((3, 2), bool)) == algebraic_connectivity(np.zeros((3, 2), bool)) == 0.0


def test_the_same_graph_gives_the_same_number():
    mask = topologies.Expander(out_degree=3, seed=1)(400, 400)
    assert len({algebraic_connectivity(mask) for _ in range(3)}) == 1


def test_every_form_of_a_mask():
    connections = topologies.FibonacciRotating(out_degree=5, seed=0).connections(60, 40)
    forms = [connections, connections.mask(), connections.mask().astype(int), connections.to_scipy(), ring(3).tolist()]
    forms += [sparse.csr_matrix(connections.mask()), sparse.lil_array(connections.mask())]
    reports = [graph_report(form) for form in forms]
    assert [report == reports[0] for report in reports] == [True] * 4 + [False] + [True] * 2
    # A stored zero is no connection.
    assert algebraic_connectivity(sparse.csr_array(([0, 1], ([0, 0], [0, 1])), shape=(1, 2))) == 0.0


@pytest.mark.parametrize(
    "mask",
    [
        np.ones(3, bool),
        np.ones((3, 3, 2, 2), bool),
        np.ones((0, 3), bool),
        np.full((2, 2), 0.5),
        np.full((2, 2), np.nan),
        [["a"]],
        sparse.coo_array(([1, 1], ([0, 0], [1, 1])), shape=(2, 2)),
    ],
)
def test_what_is_no_mask(mask):
    with pytest.raises(ValueError, match="`mask` of degrees must be a boolean array"):
        degrees(mask)


def test_degrees_and_dead_units_by_hand():
    mask = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 1, 0, 1]], bool)
    outs, ins = degrees(mask)
    assert (outs.tolist(), ins.tolist()) == ([2, 0, 2], [1, 2, 0, 1])
    assert degree_histogram(mask) == ({0: 1, 2: 2}, {0: 1, 1: 2, 2: 1})
    unread, idle = dead_units(mask)
    assert (unread.tolist(), idle.tolist()) == ([1], [2])


def test_path_counts_by_hand():
    first = np.array([[1, 1, 0], [0, 1, 1]], bool)
    second = np.array([[1, 0], [1, 1], [0, 0]], bool)
    assert path_counts([first, second]).tolist() == [[2, 1], [1, 1]]
    assert path_counts([first]).tolist() == first.astype(int).tolist()
    assert symmetry([first, second]) == 0.5
    assert not is_symmetric([first, second])


def test_path_counts_are_the_product():
    masks = [random_mask(*shape, density=0.3, seed=i) for i, shape in enumerate([(9, 8), (8, 11), (11, 5)])]
    expected = np.linalg.multi_dot([mask.astype(int) for mask in masks])
    assert np.array_equal(path_counts(masks), expected)
    assert np.array_equal(path_counts([sparse.csc_array(mask) for mask in masks]), expected)
    assert path_counts(masks).dtype == np.int64


def test_path_counts_do_not_overflow():
    square = np.ones((10, 10), bool)
    assert path_counts([square] * 18).dtype == np.int64
    many = path_counts([square] * 25)
    assert many.dtype == object
    assert set(many.ravel().tolist()) == {10**24}
    # What exceeds the range on the way only does not change the result's type.
    none = np.zeros((10, 2), bool)
    assert np.array_equal(path_counts([*[square] * 25, none]), np.zeros((10, 2)))
    assert path_counts([*[square] * 25, none]).dtype == np.int64
    assert is_symmetric([square] * 25)
    assert symmetry([square] * 25) == 1.0


@pytest.mark.parametrize("system", [(2, 2, 2), (3, 2), (10, 10)])
def test_radix_nets_are_symmetric(system):
    masks = [topology(np.prod(system), np.prod(system)) for topology in topologies.RadixNet.chain(system)]
    assert is_symmetric(masks)
    assert symmetry(masks) == 1.0
    assert set(path_counts(masks).ravel()) == {1}
    assert not is_symmetric(masks[:-1])
    masks[0][0, 0] = False
    assert not is_symmetric(masks)
    assert symmetry(masks) == 0.0


def test_symmetry_is_found_across_blocks_of_inputs(monkeypatch):
    monkeypatch.setattr("keras_sparse.analysis.paths.INPUTS_AT_ONCE", 2)
    mask = np.ones((5, 3), bool)
    assert is_symmetric([mask, np.ones((3, 2), bool)])
    mask[4, 0] = False  # equal inside each block of inputs, but not between them
    assert not is_symmetric([mask, np.ones((3, 2), bool)])
    assert symmetry([mask, np.ones((3, 2), bool)]) == pytest.approx(2 / 3)


def test_a_network_without_any_path_is_not_symmetric():
    nothing = np.zeros((3, 3), bool)
    assert not is_symmetric([nothing])
    assert symmetry([nothing]) == 0.0


@pytest.mark.parametrize("function", [path_counts, symmetry, is_symmetric])
def test_masks_that_do_not_chain(function):
    masks = [np.ones((4, 3), bool), np.ones((2, 5), bool)]
    with pytest.raises(ValueError, match="where layer 0 has 3 outputs and layer 1 has 2 inputs"):
        function(masks)
    with pytest.raises(ValueError, match="must be a non-empty list of masks"):
        function([])
    with pytest.raises(ValueError, match=r"`masks\[1\]` of .* must be a boolean array"):
        function([masks[0], np.full((3, 2), 0.5)])


def test_report():
    mask = np.ones((4, 6), bool)
    mask[0] = False
    report = graph_report(mask)
    assert (report.connections, report.components, report.sparsity) == (18, 2, 0.25)
    assert (report.out_degrees, report.in_degrees) == ((0, 4.5, 6), (3, 3.0, 3))
    assert (report.unread_inputs, report.idle_outputs) == (1, 0)
    assert report.algebraic_connectivity == 0.0
    assert report.spectral_gap == pytest.approx(3)
    lines = [line.split("  ") for line in str(report).splitlines()]
    assert ["inputs (out-degree)", "4", "0", "4.5", "6", "1"] in [[c.strip() for c in line if c] for line in lines]
    assert ["sparsity", "25.00%"] in [[c.strip() for c in line if c] for line in lines]


def test_figures(tmp_path):
    small, large = topologies.Rotating(out_degree=4)(30, 20), topologies.Rotating(out_degree=4).connections(5000, 3000)
    for mask in (small, large, np.zeros((3, 3), bool), np.ones((1, 900), bool)):
        for plot in (plot_mask, plot_degree_histogram):
            plot(mask, tmp_path / "figure.png")
            height, width, _ = matplotlib.image.imread(tmp_path / "figure.png").shape
            assert 300 < height < 1500
            assert 800 < width < 1500


def test_the_picture_of_a_mask_is_dark_where_it_is_connected(tmp_path):
    mask = np.zeros((40, 40), bool)
    mask[:20] = True
    plot_mask(mask, tmp_path / "mask.png")
    brightness = matplotlib.image.imread(tmp_path / "mask.png")[..., :3].mean(axis=2)
    height, width = brightness.shape
    assert brightness[int(height * 0.3), width // 2] < 0.4
    assert brightness[int(height * 0.7), width // 2] > 0.9
