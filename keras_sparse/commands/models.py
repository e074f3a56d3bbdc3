"""`keras-sparse models`: what there is, and what it takes."""

import inspect

from keras_sparse.applications import MODELS, list_models
from keras_sparse.commands import add_command
from keras_sparse.commands.model_options import accepted_options, flag


def add(commands):
    add_command(commands, "models", run, "List the models, with the arguments of each.", ("keras-sparse models",))


def run(arguments):
    for name in list_models():
        documentation = inspect.getdoc(MODELS.lookup(name, "models"))
        summary = documentation.split("\n", 1)[0].split(": ")[0].rstrip(".")
        print(f"{name:13} {summary}\n{'':13} {' '.join(map(flag, accepted_options(name)))}")
    return 0
