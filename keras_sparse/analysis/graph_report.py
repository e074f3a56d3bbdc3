"""All numbers about the graph of one mask, as a table."""

import dataclasses

import numpy as np

from keras_sparse.analysis import laplacian
from keras_sparse.analysis.bipartite import biadjacency
from keras_sparse.analysis.text_table import text_table


@dataclasses.dataclass(frozen=True)
class GraphReport:
    """What `graph_report` found; `str()` is a table.

    Attributes:
        fan_in, fan_out: Integers, inputs and outputs.
        connections: Integer.
        components: Integer, connected components, a unit without connections being one.
        out_degrees: Smallest, mean and largest number of outputs that an input is read by.
        in_degrees: Smallest, mean and largest number of inputs that an output reads.
        unread_inputs: Integer, inputs that nothing reads.
        idle_outputs: Integer, outputs that read nothing.
        algebraic_connectivity: Float, as the function of that name.
        spectral_gap: Float, as the function of that name.
        normalized_spectral_gap: Float, that of the normalised Laplacian.
    """

    fan_in: int
    fan_out: int
    connections: int
    components: int
    out_degrees: tuple
    in_degrees: tuple
    unread_inputs: int
    idle_outputs: int
    algebraic_connectivity: float
    spectral_gap: float
    normalized_spectral_gap: float

    @property
    def sparsity(self):
        """Fraction of pairs that are not connected."""
        return 1 - self.connections / (self.fan_in * self.fan_out)

    def __str__(self):
        sides = [
            (name, f"{units:,}", str(low), f"{mean:.4g}", str(high), str(dead))
            for name, units, (low, mean, high), dead in (
                ("inputs (out-degree)", self.fan_in, self.out_degrees, self.unread_inputs),
                ("outputs (in-degree)", self.fan_out, self.in_degrees, self.idle_outputs),
            )
        ]
        graph = [
            ("connections", f"{self.connections:,}"),
            ("sparsity", f"{self.sparsity:.2%}"),
            ("components", f"{self.components:,}"),
            ("algebraic connectivity", f"{self.algebraic_connectivity:.6g}"),
            ("spectral gap", f"{self.spectral_gap:.6g}"),
            ("spectral gap, normalised", f"{self.normalized_spectral_gap:.6g}"),
        ]
        titles = ("side", "units", "smallest", "mean", "largest", "unconnected")
        return f"{text_table(titles, sides)}\n\n{text_table(('graph', 'value'), graph)}"


def graph_report(mask):
    """Measures the bipartite graph of a mask.

    Args:
        mask: Boolean array `(fan_in, fan_out)`, SciPy sparse matrix or `topologies.Connections`.

    Returns:
        A `GraphReport`.

    Raises:
        ValueError: If `mask` is not a mask.
        RuntimeError: If the spectrum of a very large graph does not converge.

    Example:
        >>> print(graph_report(keras_sparse.topologies.Expander(out_degree=4, seed=0)(784, 300)))
    """
    graph = biadjacency(mask, "graph_report")
    sides = (graph.sum(axis=1), graph.sum(axis=0))
    components = laplacian.components(graph)
    gap = laplacian.smallest_nonzero_eigenvalue(graph)
    spreads = [(int(side.min()), float(side.mean()), int(side.max())) for side in sides]
    dead = [int(np.count_nonzero(side == 0)) for side in sides]
    return GraphReport(
        fan_in=graph.shape[0],
        fan_out=graph.shape[1],
        connections=graph.nnz,
        components=components,
        out_degrees=spreads[0],
        in_degrees=spreads[1],
        unread_inputs=dead[0],
        idle_outputs=dead[1],
        algebraic_connectivity=gap if components == 1 else 0.0,
        spectral_gap=gap,
        normalized_spectral_gap=laplacian.smallest_nonzero_eigenvalue(graph, normalized=True),
    )
