"""Large connection graphs: how long it takes to make them, and to find their algebraic connectivity.

    python benchmarks/graphs.py
    python benchmarks/graphs.py --quick

CPU seconds of the whole process, all threads; the peak is that of the process so far.
"""

import argparse
import os
import resource
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=50_000, help="inputs, and as many outputs")
    parser.add_argument("--large", type=int, default=1_000_000, help="units of graphs that are only made, as indices")
    parser.add_argument("--quick", action="store_true", help="2,000 and 20,000 units")
    arguments = parser.parse_args()
    units, large = (2_000, 20_000) if arguments.quick else (arguments.units, arguments.large)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from masked_training import machine

    from keras_sparse.analysis import algebraic_connectivity
    from keras_sparse.topologies import Expander, FibonacciRotating, RandomFanIn

    print(machine())
    print("| topology | units | made (s) | algebraic connectivity | found (s) | peak (GB) |")
    print("|---" * 6 + "|", flush=True)
    for kind, degree, size in (
        (Expander, {"out_degree": 16}, units),
        (Expander, {"out_degree": 3}, units),
        (FibonacciRotating, {"out_degree": 11}, units),
        (Expander, {"out_degree": 32}, large),
        (RandomFanIn, {"in_degree": 32}, large),
    ):
        began = time.process_time()
        connections = kind(**degree, seed=0).connections(size, size)
        made = time.process_time()
        found = f"{algebraic_connectivity(connections):.6f}" if size == units else ""
        took = f"{time.process_time() - made:.1f}" if found else ""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        name = f"{kind.__name__}({', '.join(f'{key}={value}' for key, value in degree.items())})"
        print(f"| {name} | {size:,} | {made - began:.2f} | {found} | {took} | {peak:.2f} |", flush=True)


if __name__ == "__main__":
    main()
