"""`keras-sparse models`: what there is, and what it takes."""

import inspect

from keras_sparse.applications import MODELS, list_models
from keras_sparse.commands import add_command
from keras_sparse.commands.model_options import DEFAULTS, TWIN_OPTIONS, accepted_options, flag


def add(commands):
    add_command(
        commands,
        "models",
        run,
        "List the models, with the options of each and their defaults.",
        ("keras-sparse models",),
    )


def run(arguments):
    twin = None
    for name in list_models():
        documentation = inspect.getdoc(MODELS.lookup(name, "models"))
        summary = documentation.split("\n", 1)[0].split(": ")[0].rstrip(".")
        accepted = accepted_options(name)
        options = [_option(name, option) for option in accepted if option not in TWIN_OPTIONS]
        if set(TWIN_OPTIONS) <= set(accepted):
            twin = name
            options.append("[sparse twin]")
        print(f"{name:13} {summary}\n{'':13} {' '.join(options)}")
    print(f"[sparse twin] {' '.join(_option(twin, option) for option in TWIN_OPTIONS)}")
    return 0


def _option(model, option):
    """`--base 2`: the flag with its default, if it has one."""
    default = inspect.signature(MODELS.lookup(model, "models")).parameters[option].default
    default = DEFAULTS.get(model, {}).get(option, default)
    if isinstance(default, bool):
        return flag(option) if default else f"--no-{option}"
    if isinstance(default, tuple):
        default = " ".join(map(str, default))
    return flag(option) if default is None else f"{flag(option)} {default}"
