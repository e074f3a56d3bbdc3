"""What a recipe says about connections, as callbacks of `fit`."""

import inspect
import json
import math
import warnings

import keras

from keras_sparse import checks, schedules
from keras_sparse.analysis.definition_order import sparse_layers
from keras_sparse.callbacks import Densify, Prune, Rewire, SparsityLogger
from keras_sparse.transforms import sparsify

# The paper on training behaviour prunes every 200 steps; a short run, twenty times.
FREQUENCY = 200
UPDATES = 20
DONE_AT = 0.75  # of a run: then what is left has time to settle

PRUNE = ("sparsity", "begin", "end", "frequency", "once", "criterion", "scope", "pattern", "allocation", "exclude")
REWIRE = ("drop", "grow", "frequency", "until", "criterion", "exclude")
DENSIFY = ("initial", "period", "final", "new")
SPARSIFY = tuple(name for name in inspect.signature(sparsify).parameters if name != "model")
# What each is known by: on the command line, in a table.
MAIN = {"sparsify": "sparsity", "prune": "sparsity", "rewire": "grow", "densify": "initial"}
VERBS = {"sparsify": SPARSIFY, "prune": PRUNE, "rewire": REWIRE, "densify": DENSIFY}


def checked_verbs(recipe):
    """The fields of a recipe that `VERBS` names, as they come back from JSON.

    Raises:
        ValueError: If an argument is unknown, out of range, or nothing that JSON can hold.
    """
    checked = {}
    for verb, known in VERBS.items():
        arguments = getattr(recipe, verb)
        if arguments is not None:
            if not isinstance(arguments, dict) or set(arguments) - set(known):
                raise checks.error(verb, "Recipe", f"a dictionary of {', '.join(known)}", arguments, "Or None.")
            try:
                checked[verb] = json.loads(json.dumps(arguments))
            except TypeError as error:
                allowed = "a dictionary that JSON can hold"
                raise checks.error(verb, "Recipe", allowed, arguments, f"The reason: {error}.") from None
    needed = {"prune": "sparsity", "sparsify": "sparsity"}
    for verb, argument in needed.items():
        if verb in checked and argument not in checked[verb]:
            raise checks.error(verb, "Recipe", f"a dictionary with {argument!r}", checked[verb], "Say how sparse.")
    moving_callbacks(checked, steps=None, batch=lambda step: None, seed=0)
    return checked


def check_connections(recipe, model):
    """Refuses a recipe that moves or adds connections in a model that has all of them, and prunes none.

    Raises:
        ValueError: If that is so.
    """
    if recipe.prune is None and all(layer.mask.all() for layer in sparse_layers(model)):
        for verb in ("rewire", "densify"):
            arguments = getattr(recipe, verb)
            if arguments is not None:
                raise checks.error(
                    verb, "Recipe", "left out for a model in which all is connected", arguments,
                    f"Let {recipe.model!r} start with few connections, by `sparsify` of Recipe.",
                )  # fmt: skip


def check_moves(recipe, model):
    """Refuses what the callbacks of a run would refuse when it begins, for who has written nothing yet.

    Args:
        recipe: `Recipe`.
        model: What its `build_model` returns; not to be used further.

    Raises:
        ValueError: If connections of the model cannot move as the recipe says.
    """
    verbs = {verb: getattr(recipe, verb) for verb in VERBS}
    moving = moving_callbacks(verbs, steps=None, batch=lambda step: None, seed=recipe.seed)
    if not moving:
        return
    model.compile(keras.optimizers.SGD(momentum=recipe.momentum))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the run itself will warn
        for callback in moving:
            callback.set_model(model)
        for callback in moving:
            callback.on_train_begin()


def changes_counts(recipe):
    """Whether a run ends with another number of connections than it began with."""
    return recipe.prune is not None or recipe.densify is not None


def says_times(recipe):
    """Whether a recipe says in steps when connections move."""
    return any(time is not None for *_, time in _times(recipe))


def check_times(recipe, dataset):
    """Refuses a recipe after whose last step connections were to move, which would then silently not happen.

    Raises:
        ValueError: If a time lies after the end of the run.
    """
    steps = _steps(recipe, dataset)
    for verb, argument, time in _times(recipe):
        if time is not None and time > steps:
            raise checks.error(
                argument, f"{verb!r} in a Recipe", f"at most {steps}, the updates of the whole run", time,
                "Train for more epochs, or do it earlier.",
            )  # fmt: skip


def _times(recipe):
    for verb in ("prune", "rewire"):
        for argument in ("begin", "end", "frequency", "until"):
            yield verb, argument, (getattr(recipe, verb) or {}).get(argument)


def _steps(recipe, dataset):
    return recipe.epochs * dataset.train.steps(recipe.batch_size)


def callbacks_of(recipe, dataset, folder, rows):
    """The callbacks of a run; none if its connections stay as they are."""
    steps = _steps(recipe, dataset)
    verbs = {verb: getattr(recipe, verb) for verb in VERBS}

    def batch(step):
        batches = dataset.train.training_batches(256, 1, augmentation="none", seed=recipe.seed + step)
        return next(iter(batches))

    moving = moving_callbacks(verbs, steps, batch, recipe.seed)
    if not moving:
        return []
    csv = folder.file("sparsity.csv") if folder.writes else None
    return [*moving, SparsityLogger(csv, append=bool(rows))]


def moving_callbacks(verbs, steps, batch, seed):
    """`Prune`, `Rewire` and `Densify` as a recipe describes them.

    Args:
        verbs: Dictionary from verbs to their arguments or None.
        steps: Integer, updates in the whole run, from which times follow that are not given; or None, to look at the
            arguments alone.
        batch: Function from a step to a batch, for gradients.
        seed: Integer.
    """
    made = []
    every = min(FREQUENCY, max(1, (steps or 1) // UPDATES))
    done = round(DONE_AT * (steps or 1))
    if verbs.get("prune") is not None:
        made.append(_prune(dict(verbs["prune"]), done, every, batch, seed))
    if verbs.get("rewire") is not None:
        arguments = {"frequency": every, **verbs["rewire"]}
        arguments.setdefault("until", max(done, arguments["frequency"] + 1))
        made.append(Rewire(**arguments, data=batch, seed=seed, counts_from=0))  # the optimizer of a run is its own
    if verbs.get("densify") is not None:
        arguments = {"initial": 0.01, "final": 1.0, **verbs["densify"]}
        new = {"new": arguments.pop("new")} if "new" in arguments else {}
        if "period" not in arguments and 0 < arguments["initial"] <= arguments["final"]:
            doublings = math.ceil(math.log2(arguments["final"] / arguments["initial"]))
            arguments["period"] = max(1, done // max(doublings, 1))
        made.append(Densify(schedules.Doubling(**arguments), **new))
    return made


def _prune(arguments, done, every, batch, seed):
    hint = "It is a fraction: 0.9 cuts nine of ten connections."
    sparsity = checks.number(
        "sparsity", arguments.pop("sparsity"), "'prune' in a Recipe", 0, 1, exclude_maximum=True, hint=hint
    )
    once = arguments.pop("once", False)
    begin, end = arguments.pop("begin", 0), arguments.pop("end", None)
    frequency = arguments.pop("frequency", None)
    if once:
        if end is not None or frequency is not None:
            hint = "All is cut at `begin`: leave `end` and `frequency` out."
            raise checks.error("once", "'prune' in a Recipe", "false with `end` or `frequency`", once, hint)
        schedule = schedules.OneShot(sparsity, step=begin)
    else:
        end = max(done, begin + 1) if end is None else end
        frequency = every if frequency is None else frequency
        schedule = schedules.Polynomial(0.0, sparsity, begin=begin, end=end, frequency=frequency)
    return Prune(schedule, **arguments, data=batch, seed=seed, counts_from=0)
