"""Options that become arguments of a constructor."""

import argparse
import inspect

from keras_sparse.applications import MODELS

OPTIONS = (
    "depth", "growth_rate", "bottleneck", "compression", "pattern", "base", "operator", "stem_filters", "aggregation",
    "columns", "filters", "drop_path",
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
    model.add_argument("--aggregation", help="of resnet50, resnet101 and resnet152")
    model.add_argument("--columns", type=int, help="of fractalnet")
    model.add_argument("--filters", type=int, nargs="+", metavar="N", help="of fractalnet, one a block")
    model.add_argument("--drop-path", type=float, help="of fractalnet")


def given_options(arguments, names=OPTIONS):
    """The options that were given; a list of one value is that value where a single one is usual."""
    values = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    for name in ("growth_rate", "pattern"):
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
    return {**DEFAULTS.get(model, {}), **given}
