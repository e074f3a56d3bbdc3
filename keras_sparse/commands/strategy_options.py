"""Options that say on which devices, and in which processes, a run computes."""

import inspect

from keras_sparse.commands.model_options import flag, given_options
from keras_sparse.distribution import STRATEGIES, get

OPTIONS = ("devices", "coordinator", "processes", "rank", "workers")


def add_strategy_options(command):
    group = command.add_argument_group(
        "devices",
        "The recipe's batch is shared by all of them: what comes out is the same, but for rounding. Several processes "
        "are started by hand, each with its own --rank and else the same options; --output is a folder that all see.",
    )
    group.add_argument(
        "--strategy",
        choices=[_word(name) for name in STRATEGIES],
        help="mirrored: several devices of this machine, with TensorFlow. multi-worker: several processes, with "
        "TensorFlow. data-parallel: several devices and processes, with JAX (KERAS_BACKEND=jax)",
    )
    group.add_argument(
        "--devices", type=int, help="of mirrored and data-parallel: how many (all); without GPUs, parts of the CPU"
    )
    group.add_argument("--coordinator", metavar="HOST:PORT", help="of data-parallel: where rank 0 can be reached")
    group.add_argument("--processes", type=int, metavar="N", help="of data-parallel: how many there are (1)")
    group.add_argument("--rank", type=int, metavar="R", help="number of this process, from 0; that of 0 writes")
    group.add_argument(
        "--workers", nargs="+", metavar="HOST:PORT", help="of multi-worker: where each process can be reached, by rank"
    )


def started_strategy(arguments):
    """The strategy that the options describe, with its devices and its processes.

    Raises:
        ValueError: If it lacks an option, does not take one, or there are several processes and no `--output`.
    """
    given = given_options(arguments, OPTIONS)
    if arguments.strategy is None:
        if given:
            raise ValueError(f"`{flag(next(iter(given)))}` belongs to a strategy. Say which one by --strategy.")
        return get()
    taken = _arguments(arguments.strategy)
    for name in given:
        if name not in taken:
            takers = [_word(other) for other in STRATEGIES if name in _arguments(other)]
            hint = "Leave it out, or choose that."
            raise ValueError(f"`{flag(name)}` belongs to --strategy {' or '.join(takers)}. {hint}")
    missing = [name for name, one in taken.items() if one.default is one.empty and name not in given]
    if missing:
        raise ValueError(f"`{flag(missing[0])}` is needed for --strategy {arguments.strategy}.")
    strategy = get(_kind(arguments.strategy)(**given), owner="keras-sparse")
    if strategy.processes > 1 and arguments.output is None:
        raise ValueError("`--output` is needed with several processes: the same for all, in a folder that all see.")
    if strategy.processes > 1:
        print(f"Rank {strategy.rank} of {strategy.processes} processes: waiting for the others", flush=True)
    strategy.start()
    return strategy


def _word(name):
    return name.replace("_", "-")


def _kind(name):
    return STRATEGIES.lookup(name.replace("-", "_"), "keras-sparse")


def _arguments(name):
    return inspect.signature(_kind(name)).parameters
