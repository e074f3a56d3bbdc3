"""Command-line options that say how connections are made, and how they move during training."""

from keras_sparse.allocation import ALLOCATIONS
from keras_sparse.callbacks.prune import SCOPES
from keras_sparse.criteria import CRITERIA
from keras_sparse.topologies import NAMED
from keras_sparse.training.sparse_training import MAIN

METHODS = {"set": "random", "rigl": "gradient", "snfs": "momentum"}
STEP = {"type": int, "metavar": "STEP"}
EXCLUDE = {"nargs": "+", "metavar": "LAYER", "help": "layers to leave alone: names, patterns, first, last"}
ALLOCATION = {"choices": sorted(ALLOCATIONS), "help": "how much of it each layer takes (uniform)"}

PRUNE = {
    "begin": {**STEP, "help": "update of the weights at which it begins (0)"},
    "end": {**STEP, "help": "update at which the sparsity is reached (three quarters of the run)"},
    "frequency": {**STEP, "help": "updates from one cut to the next (200, or a twentieth of the run)"},
    "once": {"action": "store_true", "default": None, "help": "cut all at --begin, instead of more and more"},
    "criterion": {"choices": sorted(CRITERIA), "help": "what a connection is worth (magnitude)"},
    "scope": {"choices": SCOPES, "help": "every layer by itself, or one ranking over all (layer)"},
    "pattern": {
        "metavar": "PATTERN",
        "help": "what is cut together: unstructured, channel (channel:sum for movement and grasp), 2:4, block:4x4 "
        "(unstructured)",
    },
    "allocation": ALLOCATION,
    "exclude": EXCLUDE,
}
OPTIONS = {
    "prune": PRUNE,
    "sparsify": {
        "topology": {"choices": sorted(NAMED), "help": "(random_fan_in)"},
        "allocation": ALLOCATION,
        "exclude": EXCLUDE,
    },
    "rewire": {
        "drop": {"type": float, "metavar": "FRACTION", "help": "of the connections that move at once (0.3)"},
        "frequency": {**STEP, "help": "updates from one move to the next (200, or a twentieth of the run)"},
        "until": {**STEP, "help": "the last move (three quarters of the run)"},
        "exclude": EXCLUDE,
    },
    "densify": {
        "period": {
            **STEP,
            "help": "updates from one doubling to the next (so that it is done after three quarters of the run)",
        },
        "final": {"type": float, "metavar": "DENSITY", "help": "where it stops (1)"},
    },
}


def add_prune_options(command, main):
    """The options of `keras-sparse prune`, without a prefix."""
    group = command.add_argument_group("pruning")
    group.add_argument(
        main,
        dest="prune",
        type=float,
        metavar="SPARSITY",
        help="fraction to cut, such as 0.9; of channels with --pattern channel",
    )
    _add(group, "prune", PRUNE, prefix="--")


def add_sparse_options(command):
    """`--sparsify`, `--prune`, `--rewire` and `--densify` with what belongs to each."""
    group = command.add_argument_group("connections (each verb by itself, or together)")
    group.add_argument(
        "--sparsify",
        type=float,
        metavar="SPARSITY",
        help="make any model sparse before it is trained: fraction of zeros",
    )
    _add(group, "sparsify", OPTIONS["sparsify"])
    group.add_argument("--prune", type=float, metavar="SPARSITY", help="cut connections, up to this sparsity")
    _add(group, "prune", PRUNE)
    group.add_argument("--rewire", choices=sorted(METHODS), help="move connections; the model must have few")
    _add(group, "rewire", OPTIONS["rewire"])
    group.add_argument(
        "--densify", type=float, metavar="DENSITY", help="add connections, from this density on; the model has few"
    )
    _add(group, "densify", OPTIONS["densify"])


def _add(group, verb, options, prefix=None):
    prefix = f"--{verb}-" if prefix is None else prefix
    for name, settings in options.items():
        group.add_argument(f"{prefix}{name}", dest=f"{verb}_{name}", **settings)


def given_verbs(arguments):
    """Fields of a `Recipe` from the options that were given.

    Raises:
        ValueError: If an option is given without the verb that it belongs to.
    """
    fields = {}
    for verb, main in MAIN.items():
        options = OPTIONS[verb]
        given = {name: getattr(arguments, f"{verb}_{name}", None) for name in options}
        given = {name: value for name, value in given.items() if value is not None}
        value = getattr(arguments, verb, None)
        if value is None:
            if given:
                raise ValueError(f"`--{verb}-{next(iter(given))}` belongs to --{verb}. Pass that, too.")
            continue
        fields[verb] = {main: METHODS[value] if verb == "rewire" else value, **given}
    return fields
