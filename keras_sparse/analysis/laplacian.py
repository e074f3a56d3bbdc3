"""The smallest non-zero eigenvalue of a bipartite graph's Laplacian.

`L = D - A`, with the degrees on the diagonal of `D` and the adjacency matrix `A`. `L` has one zero eigenvalue for each
component of the graph, with the component's indicator as eigenvector: the solvers below project these out, so that a
disconnected graph is no special case, and rounding is never asked to tell zero from small.

Three solvers, for three kinds of graphs. Small ones are dense. Where an ordering of the vertices keeps neighbours
close, as in rotations, or there are few cycles, the eigenvalue is tiny, but a factorisation stays sparse and inverse
iteration is quick. In an expander every factorisation fills up, but the eigenvalue stands clear of zero and Lanczos
steps find it.
"""

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.csgraph import connected_components, reverse_cuthill_mckee
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh, splu

DENSE_VERTICES = 500
# A factorisation of this few vertices, or of a matrix this narrow, takes seconds at most.
FACTORED_VERTICES = 5_000
FACTORED_BANDWIDTH = 400
# Keeps the factorised matrix definite; below the smallest non-zero eigenvalue of 100,000 vertices in a ring.
SHIFT = 1e-10


def components(graph):
    """Number of connected components, a vertex without connections being one.

    Args:
        graph: Sparse biadjacency matrix of shape `(fan_in, fan_out)`.
    """
    return int(connected_components(_adjacency(graph), directed=False, return_labels=False))


def smallest_nonzero_eigenvalue(graph, normalized=False):
    """The smallest non-zero eigenvalue of the Laplacian, 0.0 for a graph without connections.

    Args:
        graph: Sparse biadjacency matrix of shape `(fan_in, fan_out)`.
        normalized: Boolean, take `D^(-1/2) L D^(-1/2)` instead of `L`; its eigenvalues lie in [0, 2].

    Returns:
        Float; a relative 1e-6 is right, much more as a rule. The same graph always gives the same value.

    Raises:
        RuntimeError: If the iteration does not converge.
    """
    if not graph.nnz:
        return 0.0
    adjacency = _adjacency(graph)
    # A vertex without connections adds a zero eigenvalue and nothing else.
    connected = np.diff(adjacency.indptr) > 0
    adjacency = adjacency[connected][:, connected]
    degrees = adjacency.sum(axis=1)
    scale = 1 / np.sqrt(degrees) if normalized else np.ones(len(degrees))
    laplacian = sparse.diags_array(scale) @ (sparse.diags_array(degrees) - adjacency) @ sparse.diags_array(scale)
    count, labels = connected_components(adjacency, directed=False)
    if len(degrees) <= DENSE_VERTICES:
        return float(linalg.eigh(laplacian.toarray(), eigvals_only=True, subset_by_index=[count, count])[0])

    null = 1 / scale
    null /= np.sqrt(np.bincount(labels, weights=null * null))[labels]  # of unit length on each component

    def project(x):
        return x - null * np.bincount(labels, weights=null * x)[labels]

    if _stays_sparse(adjacency, count):
        vector = _by_factorisation(laplacian, project)
    else:
        vector = _by_lanczos(laplacian, project)
    # The Rayleigh quotient as a sum over connections: no cancellation, however small the eigenvalue.
    edges = sparse.triu(adjacency).tocoo()
    scaled = scale * vector
    return float(((scaled[edges.row] - scaled[edges.col]) ** 2).sum() / (vector @ vector))


def _stays_sparse(adjacency, count):
    """Whether the Laplacian of a graph with `count` components can be factorised in little time and memory."""
    # Vertices with one or two neighbours are eliminated without fill; of the others, a graph with c independent
    # cycles has less than 2 c.
    cycles = adjacency.nnz // 2 - adjacency.shape[0] + count
    if min(2 * cycles, adjacency.shape[0]) <= FACTORED_VERTICES:
        return True
    return _bandwidth(adjacency) <= FACTORED_BANDWIDTH


def _by_lanczos(laplacian, project):
    """Eigenvector, from products with `bound - L` alone, whose largest eigenvalue is sought."""
    bound = abs(laplacian).sum(axis=1).max()
    return _top_eigenvector(lambda x: bound * x - laplacian @ x, project, len(laplacian.indptr) - 1, tolerance=1e-8)


def _by_factorisation(laplacian, project):
    """Eigenvector, from solutions with `L` factorised, whose inverse's largest eigenvalue is sought."""
    size = len(laplacian.indptr) - 1
    shifted = (laplacian + SHIFT * sparse.eye_array(size)).tocsc()
    factors = splu(shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return _top_eigenvector(factors.solve, project, size, tolerance=1e-7)


def _top_eigenvector(apply, project, size, tolerance):
    start = project(np.random.default_rng(0).standard_normal(size))
    operator = LinearOperator((size, size), matvec=lambda x: project(apply(project(x.ravel()))), dtype=np.float64)
    try:
        _, vectors = eigsh(operator, k=1, which="LA", v0=start, ncv=40, tol=tolerance, maxiter=1000)
    except ArpackNoConvergence as error:
        raise RuntimeError(
            f"The spectrum of a graph with {size:,} connected units did not converge: its smallest eigenvalues lie too "
            "close together. Look at its components one by one."
        ) from error
    return project(vectors[:, 0])


def _adjacency(graph):
    return sparse.block_array([[None, graph], [graph.T, None]], format="csr", dtype=np.float64)


def _bandwidth(adjacency):
    """How far apart connected vertices stand, in an order that keeps them close."""
    order = reverse_cuthill_mckee(sparse.csr_matrix(adjacency), symmetric_mode=True)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    edges = adjacency.tocoo()
    return int(np.abs(place[edges.row] - place[edges.col]).max())
