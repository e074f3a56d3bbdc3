"""A recipe as a table."""

import json

from keras_sparse.reports.markup import facts


def recipe_table(caption, recipe):
    """The fields of a `Recipe`; what it does not say is left out."""
    fields = {name: value for name, value in recipe.to_dict().items() if value not in (None, {}, [])}
    return facts(caption, [(name.replace("_", " "), in_words(value)) for name, value in fields.items()])


def in_words(value):
    """A value of JSON: strings as they are, dictionaries as `"depth 40, bottleneck true"`."""
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {in_words(part)}" for name, part in value.items())
    return value if isinstance(value, str) else json.dumps(value)
