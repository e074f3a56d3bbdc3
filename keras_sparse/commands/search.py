"""`keras-sparse search`: many small trainings, and what of their networks is worth its size."""

import argparse
import json
import time

from keras_sparse import checks
from keras_sparse.commands import add_command
from keras_sparse.commands.model_options import flag, model_arguments
from keras_sparse.commands.run_options import add_run_options, nothing_to_resume, output_folder
from keras_sparse.datasets import SOURCES, list_datasets
from keras_sparse.datasets.splits import AUGMENTATIONS
from keras_sparse.distribution.addresses import is_address
from keras_sparse.training import PRESETS
from keras_sparse.training.presets import preset_fields
from keras_sparse.training.recipe import PRECISIONS
from keras_sparse.training.run_folder import RunFolder, absolute
from keras_sparse.training.saved_model import is_file

SPACES = {
    "sparsenet": "hyper_sparse_net",
    "densenet": "hyper_dense_net",
    "resnet": "hyper_res_net",
    "sparsity": "hyper_sparsity",
}
ORACLES = ("random", "bayesian", "hyperband", "grid")
UNITS = {"k": 1e3, "M": 1e6, "G": 1e9}
COMMAND = "command.json"  # what was asked for, for --resume and for workers
WAIT = 600  # seconds in which a worker expects the chief to have begun

RANGES = (
    "depth", "growth_rate", "bottleneck", "compression", "pattern", "base", "operator", "sparsity", "topology",
    "allocation", "block_size", "format", "learning_rate",
)  # fmt: skip
FIELDS = ("dataset", "epochs", "batch_size", "augmentation", "validation_fraction", "examples", "seed", "precision")
OPTIONS = (
    "space", "model", "exclude", "oracle", "trials", "max_parameters", "max_macs", "connection_penalty",
    "early_stopping", "preset", *RANGES, *FIELDS,
)  # fmt: skip


def add(commands):
    command = add_command(
        commands,
        "search",
        search,
        "Search depth, growth rate, pattern, sparsity and more, within a budget, and show what is worth its size.",
        (
            "keras-sparse search",
            "keras-sparse search --space sparsenet --dataset digits --trials 20 --max-parameters 200k",
            "keras-sparse search --space sparsenet --depth 22 40 --growth-rate 12 8,16,32 --base 2 3 --oracle bayesian",
            "keras-sparse search --space sparsity --model lenet_300_100 --sparsity 0.9 0.95 0.99 --dataset mnist",
            "keras-sparse search --resume --output runs/found --trials 40",
            "keras-sparse train --recipe runs/found/best_recipe.json",
            "keras-sparse search --output /shared/found --chief 10.0.0.1:8000     # and on other hosts, many times:",
            "keras-sparse search --output /shared/found --worker 10.0.0.1:8000",
        ),
    )
    command.add_argument("--space", choices=sorted(SPACES), help="what is searched (sparsenet)")
    command.add_argument("--model", metavar="NAME", help="of --space sparsity: a name, or the file of a saved model")
    command.add_argument("--oracle", choices=ORACLES, help="what is tried next (random)")
    command.add_argument("--trials", type=int, help="at most (20; with hyperband and grid, all)")
    command.add_argument("--max-parameters", type=_count, metavar="N", help="connected ones: 200k, 1.5M")
    command.add_argument("--max-macs", type=_count, metavar="N", help="multiply-adds per image: 10M")
    command.add_argument(
        "--connection-penalty", type=float, metavar="X", help="accuracy that a million parameters must be worth (0)"
    )
    command.add_argument(
        "--early-stopping",
        action=argparse.BooleanOptionalAction,
        help="of trials below the median of the others (yes; hyperband has its own way)",
    )
    ranges = command.add_argument_group("ranges (one value is fixed, several are searched; see `keras_sparse.tuning`)")
    ranges.add_argument("--depth", type=int, nargs="+")
    ranges.add_argument("--growth-rate", type=_per_stage, nargs="+", metavar="K", help="12, or one a stage: 8,16,32")
    ranges.add_argument("--bottleneck", type=_boolean, nargs="+", metavar="true|false")
    ranges.add_argument("--compression", type=float, nargs="+")
    ranges.add_argument("--pattern", type=_patterns, nargs="+", help="all, or one a stage: all,exponential,hybrid:2")
    ranges.add_argument("--base", type=int, nargs="+")
    ranges.add_argument("--operator", nargs="+")
    ranges.add_argument(
        "--sparsity", type=_layer_or_number, nargs="+", metavar="S", help="0.9, or of layers: conv*=0.5 conv*=0.9"
    )
    ranges.add_argument("--topology", nargs="+", metavar="NAME")
    ranges.add_argument("--allocation", nargs="+", metavar="NAME")
    ranges.add_argument("--block-size", type=int, nargs="+", metavar="B")
    ranges.add_argument("--format", nargs="+")
    ranges.add_argument("--exclude", nargs="+", metavar="LAYER", help="layers that stay dense: names, first, last")
    ranges.add_argument("--learning-rate", type=float, nargs="+")
    recipe = command.add_argument_group("training, of every trial")
    recipe.add_argument("--preset", choices=sorted(PRESETS), help="what the rest defaults to (quick, with 3 epochs)")
    recipe.add_argument("--dataset", metavar="NAME", help=", ".join(list_datasets()))
    recipe.add_argument("--epochs", type=int, help="of hyperband, those of the longest training")
    recipe.add_argument("--batch-size", type=int)
    recipe.add_argument("--augmentation", choices=AUGMENTATIONS)
    recipe.add_argument("--validation-fraction", type=float)
    recipe.add_argument("--examples", type=int, help="use so many training images only, the held-out ones among them")
    recipe.add_argument("--seed", type=int, help="of the search, and of every training")
    recipe.add_argument("--precision", choices=PRECISIONS)
    several = command.add_argument_group("several processes, on hosts that share --output")
    several.add_argument("--chief", metavar="HOST:PORT", help="answer workers here, and train nothing")
    several.add_argument("--worker", metavar="HOST:PORT", help="work for the chief there, on what it searches")
    add_run_options(command, "folder to write", "print the final table only")


def search(arguments):
    from keras_sparse import tuning

    if arguments.worker and arguments.output is None:
        raise ValueError("`--worker` needs the folder of the search. Pass it by --output DIR.")
    output = output_folder(arguments)
    options = _options(arguments, output)
    if is_address(arguments.chief) and not arguments.quiet:  # any other is refused below
        print(f"Workers join by: keras-sparse search --output {output} --worker {arguments.chief}", flush=True)
    result = tuning.search(
        _space(options),
        output,
        fields=_fields(options),
        oracle=options.get("oracle", "random"),
        trials=options.get("trials", None if options.get("oracle") in ("hyperband", "grid") else 20),
        connection_penalty=options.get("connection_penalty", 0.0),
        early_stopping=options.get("early_stopping", True),
        data_dir=arguments.data_dir or options.get("data_dir"),
        resume=arguments.resume,
        chief=arguments.chief,
        worker=arguments.worker,
        verbose=not arguments.quiet,
    )
    if arguments.worker:
        return 0
    print(f"\n{result}\n\nWritten to {output}/: trials.csv, table.txt, pareto.png")
    if result.best is None:
        return 1
    print(f"Train the best again: keras-sparse train --recipe {output}/best_recipe.json")
    return 0


def _options(arguments, output):
    """The options that describe the search: those that were given, or that it was begun with."""
    folder = RunFolder(output)
    given = {name: getattr(arguments, name) for name in OPTIONS if getattr(arguments, name) is not None}
    if arguments.worker:
        if given:
            raise ValueError(f"`--worker` takes from {output} what is searched. Leave out: {', '.join(given)}.")
        return _wait_for(folder)
    if arguments.resume:
        if not folder.file(COMMAND).is_file():
            raise nothing_to_resume(output)
        return {**_read(folder), **given}
    if not folder.file("search.json").is_file():
        data_dir = {"data_dir": absolute(arguments.data_dir)} if arguments.data_dir else {}
        folder.write_text(COMMAND, json.dumps({**given, **data_dir}, indent=2) + "\n")
    return given


def _read(folder):
    return json.loads(folder.file(COMMAND).read_text(encoding="utf-8"))


def _wait_for(folder):
    """The options of a search that the chief writes down; it may start after its workers."""
    for _ in range(WAIT):
        if folder.file(COMMAND).is_file():
            return _read(folder)
        time.sleep(1)
    raise nothing_to_resume(folder.path)


def _fields(options):
    """Fields of a `Recipe`."""
    changes = {name: options[name] for name in FIELDS if name in options}
    if "preset" not in options:
        changes = {"epochs": 3, **changes}
    return preset_fields(options.get("preset", "quick"), **changes)


def _space(options):
    from keras_sparse.tuning import SEARCH_SPACES

    name = options.get("space", "sparsenet")
    dataset = _fields(options).get("dataset", "digits")
    source = SOURCES[checks.choice("dataset", dataset, "Recipe", tuple(sorted(SOURCES)))]
    ranges = {range_: _values(options[range_]) for range_ in RANGES if range_ in options}
    budget = {"max_connected_parameters": options.get("max_parameters"), "max_macs": options.get("max_macs")}
    space = SEARCH_SPACES.lookup(SPACES[name], "keras-sparse")
    if name != "sparsity":
        for option in ("model", "exclude"):
            if option in options:
                raise ValueError(f"`--{option}` is for --space sparsity, not for {name}.")
        refused = [flag(range_) for range_ in ranges if range_ not in (*space.ranges, "learning_rate")]
        if refused:
            raise ValueError(
                f"{', '.join(refused)}: not for --space {name}, which takes {', '.join(map(flag, space.ranges))}."
            )
        return space(source.image_shape, source.classes, **ranges, **budget)
    if "model" not in options:
        raise ValueError("`--space sparsity` needs a model. Pass --model NAME, or the file of a saved one.")
    known = (*space.ranges, "learning_rate")
    given = {range_: value for range_, value in ranges.items() if range_ not in known}
    arguments = {} if is_file(options["model"]) else model_arguments(options["model"], given)
    ranges = {range_: value for range_, value in ranges.items() if range_ in known}
    if "sparsity" in options:
        ranges["sparsity"] = _sparsities(options["sparsity"])
    if "exclude" in options:
        ranges["exclude"] = tuple(options["exclude"])
    return space(
        options["model"], source.image_shape, source.classes, arguments, options.get("seed", 0), **ranges, **budget
    )


def _sparsities(values):
    """Numbers, or a dictionary from layers to numbers."""
    by_layer = [value for value in values if isinstance(value, list)]
    if not by_layer:
        return _values(values)
    if len(by_layer) < len(values):
        raise ValueError("`--sparsity` must be numbers, or all of layers, as in conv*=0.9. Received: some of each.")
    return {layer: [sparsity for name, sparsity in values if name == layer] for layer, _ in values}


def _values(values):
    """One value is fixed; several are choices. A fixed value for each stage is no list of choices."""
    if len(values) > 1:
        return values
    return tuple(values[0]) if isinstance(values[0], list) else values[0]


def _count(text):
    """`200k` -> 200000."""
    try:
        number = float(text[:-1]) * UNITS[text[-1]] if text[-1:] in UNITS else float(text)
    except ValueError:
        number = 0
    if number < 1 or number != round(number):
        raise argparse.ArgumentTypeError(f"{text!r} is no number such as 200000, 200k or 1.5M")
    return round(number)


def _boolean(text):
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text == "true"


def _per_stage(text):
    """`12`, or `8,16,32`."""
    numbers = [int(number) for number in text.split(",")]
    return numbers if len(numbers) > 1 else numbers[0]


def _patterns(text):
    return text.split(",") if "," in text else text


def _layer_or_number(text):
    """`0.9`, or `conv*=0.9`."""
    layer, _, number = text.rpartition("=")
    return [layer, float(number)] if layer else float(number)
