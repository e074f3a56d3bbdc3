"""What an error says of Python arguments, in the words of the command line."""

import re

from keras_sparse.commands.model_options import flag
from keras_sparse.commands.sparse_options import OPTIONS
from keras_sparse.training.sparse_training import MAIN

# Whose arguments the options of a verb become, besides those of a recipe.
OWNERS = {
    "sparsify": "sparsify",
    "Prune": "prune",
    "Polynomial": "prune",
    "OneShot": "prune",
    "Rewire": "rewire",
    "Doubling": "densify",
}
OWN_WORDS = {"step": "begin"}  # of OneShot
DEVICES = ("DataParallel", "Mirrored", "MultiWorker")
PATTERNS = ("NofM", "Block", "Channel")  # whose arguments are written in one option, `--prune-pattern 2:4`


def in_command_words(message, arguments):
    """The message with options in the place of Python's arguments: `--epochs` for `epochs` of Recipe.

    Args:
        message: String.
        arguments: Namespace of the parsed command line, which knows what options there are.
    """
    if getattr(arguments, "recipe", None) is not None:
        return message  # the fields are those of a file
    options = vars(arguments)

    def field(match):
        name = match[1]
        if name == "model" and arguments.command == "prune":
            return "`MODEL.keras`"
        return f"`{flag(name)}`" if name in options else match[0]

    def option(verb, name):
        """The option for an argument of a verb; None if it has none."""
        name = OWN_WORDS.get(name, name)
        if name != MAIN[verb] and name not in OPTIONS[verb]:
            return None
        if arguments.command == "prune":
            return "--to" if name == MAIN[verb] else flag(name)
        return flag(verb if name == MAIN[verb] else f"{verb}_{name}")

    def of_pattern(match):
        name, written = match[1], option("prune", "pattern")
        return f"`{option('prune', name) or f'{name}` of `{written} {arguments.prune_pattern}'}`"

    if options.get("prune_pattern") is not None:
        message = re.sub(rf"`(\w+)` of (?:{'|'.join(PATTERNS)})\b", of_pattern, message)
    owned = re.search(rf"`(\w+)` of (?:'(\w+)' in a Recipe|({'|'.join(OWNERS)})\b)", message)
    if owned and options.get(verb := owned[2] or OWNERS[owned[3]]) is not None and option(verb, owned[1]):
        message = message.replace(owned[0], f"`{owned[1]}`")
        # What else it speaks of are arguments of the same verb.
        message = re.sub(r"`(\w+)`", lambda name: f"`{option(verb, name[1]) or name[1]}`", message)
    return re.sub(rf"`(\w+)` of (?:Recipe|keras-sparse|search|write_report|{'|'.join(DEVICES)})\b", field, message)
