"""What a recipe says about connections, as callbacks of `fit`."""

import inspect
import json

from keras_sparse import checks, schedules
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
            checked[verb] = json.loads(json.dumps(arguments))
    needed = {"prune": "sparsity", "sparsify": "sparsity"}
    for verb, argument in needed.items():
        if verb in checked and argument not in checked[verb]:
            raise checks.error(verb, "Recipe", f"a dictionary with {argument!r}", checked[verb], "Say how sparse.")
    moving_callbacks(checked, steps=10**6, batch=lambda step: None, seed=0)
    return checked


def callbacks_of(recipe, dataset, folder, rows):
    """The callbacks of a run; none if its connections stay as they are."""
    steps = recipe.epochs * dataset.train.steps(recipe.batch_size)
    verbs = {verb: getattr(recipe, verb) for verb in VERBS}

    def batch(step):
        batches = dataset.train.training_batches(256, 1, augmentation="none", seed=recipe.seed + step)
        return next(iter(batches))

    moving = moving_callbacks(verbs, steps, batch, recipe.seed)
    if not moving:
        return []
    return [*moving, SparsityLogger(csv=folder.file("sparsity.csv"), append=bool(rows))]


def moving_callbacks(verbs, steps, batch, seed):
    """`Prune`, `Rewire` and `Densify` as a recipe describes them.

    Args:
        verbs: Dictionary from verbs to their arguments or None.
        steps: Integer, updates in the whole run, from which times follow that are not given.
        batch: Function from a step to a batch, for gradients.
        seed: Integer.
    """
    made = []
    every = min(FREQUENCY, max(1, steps // UPDATES))
    if verbs.get("prune"):
        made.append(_prune(dict(verbs["prune"]), steps, every, batch, seed))
    if verbs.get("rewire"):
        arguments = {"frequency": every, **verbs["rewire"]}
        arguments.setdefault("until", max(round(DONE_AT * steps), arguments["frequency"] + 1))
        made.append(Rewire(**arguments, data=batch, seed=seed))
    if verbs.get("densify"):
        arguments = dict(verbs["densify"])
        new = {"new": arguments.pop("new")} if "new" in arguments else {}
        made.append(Densify(schedules.Doubling(**arguments), **new))
    return made


def _prune(arguments, steps, every, batch, seed):
    sparsity, once = arguments.pop("sparsity"), arguments.pop("once", False)
    begin, end = arguments.pop("begin", 0), arguments.pop("end", None)
    frequency = arguments.pop("frequency", every)
    if once:
        schedule = schedules.OneShot(sparsity, step=begin)
    else:
        end = max(round(DONE_AT * steps), begin + 1) if end is None else end
        schedule = schedules.Polynomial(0.0, sparsity, begin=begin, end=end, frequency=frequency)
    return Prune(schedule, **arguments, data=batch, seed=seed)
