"""`keras-sparse profile`: a table of a model's parameters, multiply-adds and memory."""

from keras_sparse.analysis import profile
from keras_sparse.applications import get_model
from keras_sparse.commands import add_command
from keras_sparse.commands.model_options import add_model_options, flag, given_options, model_arguments
from keras_sparse.training.saved_model import load_saved


def add(commands):
    command = add_command(
        commands,
        "profile",
        run,
        "Print parameters, multiply-adds and memory of a model, layer by layer.",
        (
            "keras-sparse profile --model sparsenet --depth 40 --growth-rate 12 --bottleneck",
            "keras-sparse profile --model densenet121 --total",
            "keras-sparse profile --file runs/first/best.keras",
        ),
    )
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", metavar="NAME", help="one of `keras-sparse models`")
    what.add_argument("--file", metavar="FILE.keras", help="a saved model, of any layers")
    add_model_options(command)
    command.add_argument("--classes", type=int)
    command.add_argument("--input-shape", type=int, nargs="+", metavar="N", help="such as 32 32 3")
    command.add_argument("--total", action="store_true", help="print the totals only")


def run(arguments):
    shape = None if arguments.input_shape is None else tuple(arguments.input_shape)
    given = given_options(arguments)
    if arguments.file is not None:
        if given or arguments.classes is not None:
            options = ", ".join(flag(name) for name in given) or "--classes"
            raise ValueError(f"`--file` is a model as it is, which {options} cannot change. Leave that out.")
        model = load_saved(arguments.file, "profile")
    else:
        given = model_arguments(arguments.model, given)
        if arguments.classes is not None:
            given["classes"] = arguments.classes
        model = get_model(arguments.model, **given, input_shape=shape)
    report = profile(model, shape)
    print("\n".join(report.summary_lines()) if arguments.total else report)
    return 0
