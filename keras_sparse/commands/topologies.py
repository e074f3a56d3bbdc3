"""`keras-sparse topologies`: what there is, and what graphs they make."""

import inspect

from keras_sparse import topologies
from keras_sparse.analysis import graph_report
from keras_sparse.analysis.text_table import text_table
from keras_sparse.commands import add_command


def add(commands):
    command = add_command(
        commands,
        "topologies",
        run,
        "List the topologies; with --fan-in and --fan-out, compare the graphs that they make.",
        (
            "keras-sparse topologies",
            "keras-sparse topologies --fan-in 784 --fan-out 300 --sparsity 0.9",
        ),
    )
    command.add_argument("--fan-in", type=int, metavar="N", help="inputs of the layer")
    command.add_argument("--fan-out", type=int, metavar="N", help="outputs of the layer")
    command.add_argument("--sparsity", type=float, metavar="S", help="fraction of zeros; 0.9 unless given")
    command.add_argument("--block-size", type=int, metavar="B", help="size of dense blocks; 1 unless given")
    command.add_argument("--seed", type=int, metavar="N", help="0 unless given")


def run(arguments):
    sizes = (arguments.fan_in, arguments.fan_out)
    if None in sizes:
        given = [
            f"--{name.replace('_', '-')}"
            for name in ("fan_in", "fan_out", "sparsity", "block_size", "seed")
            if getattr(arguments, name) is not None
        ]
        if given:
            raise ValueError(f"`--fan-in` and `--fan-out` must both be given. Received: only {', '.join(given)}.")
        for name in topologies.TOPOLOGIES:
            summary = inspect.getdoc(topologies.TOPOLOGIES.lookup(name, "topologies")).split("\n", 1)[0]
            print(f"{name:20} {summary}")
        return 0
    options = {
        "sparsity": 0.9 if arguments.sparsity is None else arguments.sparsity,
        "block_size": 1 if arguments.block_size is None else arguments.block_size,
        "seed": 0 if arguments.seed is None else arguments.seed,
    }
    rows = []
    for name in topologies.NAMED:
        report = graph_report(topologies.get(name, **options, owner="topologies").connections(*sizes))
        rows.append(
            (
                name,
                f"{report.connections:,}",
                _range(report.out_degrees),
                _range(report.in_degrees),
                f"{report.unread_inputs:,}",
                f"{report.algebraic_connectivity:.4g}",
                f"{report.spectral_gap:.4g}",
            )
        )
    titles = (
        "topology",
        "connections",
        "out-degree",
        "in-degree",
        "unread inputs",
        "alg. connectivity",
        "spectral gap",
    )
    print(text_table(titles, rows))
    return 0


def _range(degrees):
    least, _, most = degrees
    return str(least) if least == most else f"{least}..{most}"
