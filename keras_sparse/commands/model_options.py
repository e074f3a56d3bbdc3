"""Options that become arguments of a constructor."""

import argparse
import inspect

from keras_sparse import topologies
from keras_sparse.applications import MODELS
from keras_sparse.applications.sparse_twin import SAME_CONNECTIONS
from keras_sparse.layers.sparse_kernel import FORMATS

TWIN_OPTIONS = ("width", "sparsity", "topology", "sparse_layers", "format", "block_size")

OPTIONS = (
    "depth", "growth_rate", "bottleneck", "compression", "pattern", "base", "operator", "stem_filters", "loop", "remat",
    "aggregation", "columns", "filters", "drop_path", "hidden", "activation", "input_dropout", "dropout", *TWIN_OPTIONS,
)  # fmt: skip

DEFAULTS = {
    "sparsenet": {"depth": 40, "growth_rate": 12},
    "densenet": {"depth": 40, "growth_rate": 12},
    "resnet": {"depth": 56},
}


def add_model_options(command):
    model = command.add_argument_group("model (see `keras-sparse models` for what each one takes)")
    model.add_argument("--depth", type=int)
    model.add_argument("--growth-rate", type=int, nargs="+", metavar="K", help="one, or one a stage")
    model.add_argument("--bottleneck", action=argparse.BooleanOptionalAction)
    model.add_argument("--compression", type=float)
    model.add_argument("--pattern", nargs="+", help="one, or one a stage: all, exponential, window:5, ...")
    model.add_argument("--base", type=int, help="of the exponential and hybrid patterns")
    model.add_argument("--operator", help="concat, sum or mean")
    model.add_argument("--stem-filters", type=int)
    model.add_argument("--loop", action=argparse.BooleanOptionalAction, help="units as loops (default: if deep)")
    model.add_argument("--remat", action=argparse.BooleanOptionalAction, help="of loops: less memory, more time")
    model.add_argument("--aggregation", help="of resnet50, resnet101 and resnet152")
    model.add_argument("--columns", type=int, help="of fractalnet")
    model.add_argument("--filters", type=int, nargs="+", metavar="N", help="of fractalnet, one a block")
    model.add_argument("--drop-path", type=float, help="of fractalnet")
    model.add_argument("--hidden", type=int, nargs="+", metavar="N", help="of mlp, units of each hidden layer")
    model.add_argument("--activation", help="of mlp: sigmoid, relu, ...")
    model.add_argument("--input-dropout", type=float, help="of mlp")
    model.add_argument("--dropout", type=float, help="of mlp, fractalnet, cifarnet and mnist_convnet")
    sparse = command.add_argument_group("sparse twin (of the models that `keras-sparse models` says have one)")
    sparse.add_argument("--width", type=float, metavar="X", help="multiplies units and filters: 100, or 0.5")
    sparse.add_argument(
        "--sparsity",
        type=_sparsity,
        nargs="+",
        metavar="S",
        help="fraction of zeros, one or one a sparse layer, of models that have some (--sparsify is for any model); "
        f"or {SAME_CONNECTIONS}, as many connections as at width 1",
    )
    sparse.add_argument(
        "--topology", nargs="+", metavar="NAME", help=f"one, or one a sparse layer: {', '.join(topologies.NAMED)}"
    )
    sparse.add_argument("--sparse-layers", nargs="+", metavar="NAME", help="other layers than those of the papers")
    sparse.add_argument("--format", choices=FORMATS, help="weights for all pairs and a mask, or for connections only")
    sparse.add_argument("--block-size", type=int, metavar="B", help="connections come in dense blocks of this size")


def _sparsity(text):
    try:
        return text if text == SAME_CONNECTIONS else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor {SAME_CONNECTIONS}") from None


def given_options(arguments, names=OPTIONS):
    """The options that were given; a list of one value is that value where a single one is usual."""
    values = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    for name in ("growth_rate", "pattern", "sparsity", "topology"):
        if isinstance(values.get(name), list) and len(values[name]) == 1:
            values[name] = values[name][0]
    return values


def accepted_options(model):
    """The options that a constructor takes."""
    parameters = inspect.signature(MODELS.lookup(model, "keras-sparse")).parameters
    return [name for name in OPTIONS if name in parameters]


def flag(name):
    return "--" + name.replace("_", "-")


def model_arguments(model, given):
    """Arguments of a constructor, with defaults; what it does not take is refused."""
    accepted = accepted_options(model)
    for name in given:
        if name not in accepted:
            raise ValueError(f"`{flag(name)}` is not for {model}, which takes {', '.join(map(flag, accepted))}.")
    for name in TWIN_OPTIONS[2:]:
        if name in given and not given.get("sparsity"):
            raise ValueError(f"`{flag(name)}` is of sparse layers, and there are none. Pass --sparsity, too.")
    return {**DEFAULTS.get(model, {}), **given}
