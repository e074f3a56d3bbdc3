"""`keras-sparse report`: one page about runs, jobs, searches and studies."""

from keras_sparse.commands import add_command


def add(commands):
    command = add_command(
        commands,
        "report",
        run,
        "Write one HTML page, readable anywhere, about training runs, jobs, searches and studies.",
        (
            "keras-sparse report runs/first",
            "keras-sparse report runs/cifar runs/pruned runs/found --output report.html",
            "keras-sparse report runs/studies --output studies.html",
        ),
    )
    command.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="folder of train, prune, search or study, or one with such folders in it; several runs are compared",
    )
    command.add_argument(
        "--output", metavar="FILE.html", default="report.html", help="file to write, or to replace (report.html)"
    )


def run(arguments):
    from keras_sparse.reports import write_report

    print(write_report(arguments.runs, arguments.output))
    return 0
