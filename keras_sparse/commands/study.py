"""`keras-sparse study`: a table and a figure of a paper, found anew."""

import inspect

from keras_sparse import checks
from keras_sparse.commands import add_command
from keras_sparse.studies import SCALES, STUDIES, list_studies, run_study


def add(commands):
    command = add_command(
        commands,
        "study",
        run,
        "Find a table or a figure of the papers anew; stopped at any moment, the same command goes on.",
        (
            "keras-sparse study --list",
            "keras-sparse study complexity",
            "keras-sparse study snn_topologies --scale cpu --data-dir DIR --output runs/snn",
            "keras-sparse study connectivity --scale cpu --rows-from runs/snn --output runs/connectivity",
        ),
    )
    command.add_argument("study", nargs="?", metavar="NAME", help=f"one of {', '.join(list_studies())}")
    command.add_argument("--list", action="store_true", help="print the studies, and what they look into")
    command.add_argument(
        "--scale",
        choices=SCALES,
        default="smoke",
        help="smoke (the default): embedded data, a minute; cpu: two cores, about an hour; full: as in the paper",
    )
    command.add_argument("--data-dir", metavar="DIR", help="where TFDS prepared the data sets")
    command.add_argument("--output", metavar="DIR", help="folder to write, and to go on in (runs/studies/NAME-SCALE)")
    command.add_argument("--jobs", type=int, metavar="N", help="processes side by side; unless given, one on each core")
    command.add_argument(
        "--rows-from",
        metavar="DIR",
        help="folder of another study of the same networks, not to train them again: snn_topologies, connectivity and "
        "weight_statistics share theirs",
    )
    command.add_argument("--quiet", action="store_true", help="print the report only")


def run(arguments):
    if arguments.list:
        for name in list_studies():
            study = STUDIES.lookup(name, "study")
            print(f"{name}\n    {inspect.getdoc(study).splitlines()[0]}\n    {study.paper}")
        return 0
    if arguments.study is None:
        raise ValueError(
            f"`NAME` must be a study: {', '.join(list_studies())}. Received: none. Look at them by --list."
        )
    STUDIES.lookup(arguments.study, "keras-sparse")
    if arguments.jobs is not None:
        checks.integer("jobs", arguments.jobs, "keras-sparse", minimum=1)
    arguments.output = arguments.output or f"runs/studies/{arguments.study}-{arguments.scale}"
    report = run_study(
        arguments.study,
        arguments.scale,
        arguments.output,
        arguments.data_dir,
        arguments.jobs,
        not arguments.quiet,
        arguments.rows_from,
    )
    print(f"{report}\nWritten to {arguments.output}/")
    return 0
