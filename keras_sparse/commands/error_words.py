"""What an error says of Python arguments, in the words of the command line."""

import re

from keras_sparse.commands.model_options import flag
from keras_sparse.training.sparse_training import MAIN


def in_command_words(message, arguments):
    """The message with options in the place of a recipe's fields: `--epochs` for `epochs` of Recipe.

    Args:
        message: String.
        arguments: Namespace of the parsed command line, which knows what options there are.
    """
    if getattr(arguments, "recipe", None) is not None:
        return message  # the fields are those of a file

    def field(match):
        name = match[1]
        if name == "model" and arguments.command == "prune":
            return "`MODEL.keras`"
        return f"`{flag(name)}`" if name in vars(arguments) else match[0]

    def detail(match):
        name, verb = match[1], match[2]
        if arguments.command == "prune":
            return f"`{'--to' if name == MAIN[verb] else flag(name)}`"
        return f"`{flag(verb if name == MAIN[verb] else f'{verb}_{name}')}`"

    message = re.sub(r"`(\w+)` of '(\w+)' in a Recipe", detail, message)
    return re.sub(r"`(\w+)` of (?:Recipe|keras-sparse)\b", field, message)
