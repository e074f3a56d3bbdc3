"""Options of the commands that leave the folder of a run, and the errors that belong to them."""

import time
from pathlib import Path


def add_run_options(command, folder, quiet):
    """Options that say where a run reads and writes.

    Args:
        command: Parser.
        folder: String, help on what is written.
        quiet: String, help on what is printed nevertheless.
    """
    group = command.add_argument_group("run")
    group.add_argument("--data-dir", metavar="DIR", help="where TFDS prepared the data set")
    group.add_argument("--output", metavar="DIR", help=f"{folder} (runs/DATE-TIME)")
    group.add_argument("--resume", action="store_true", help="go on with what was begun in --output")
    group.add_argument("--quiet", action="store_true", help=quiet)


def output_folder(arguments):
    """The folder of the run, which `arguments` knows from then on, too."""
    if arguments.resume and arguments.output is None:
        raise ValueError("`--resume` needs the folder of the run. Pass it by --output DIR.")
    arguments.output = arguments.output or time.strftime("runs/%Y%m%d-%H%M%S")
    return Path(arguments.output)


def nothing_to_resume(output):
    return ValueError(
        f"`--output` must be a folder in which a run was begun, to resume it. Received: {output}. Check the name, or "
        "begin the run by the command without --resume."
    )


def not_empty(output):
    return ValueError(
        f"`--output` must be a folder without completed epochs. Received: {output}. Go on with that run by --resume, "
        "or choose another folder."
    )


def another_run(output, differences):
    return ValueError(
        f"`--resume` goes on with the runs as they were begun. Received: options for another run than that in "
        f"{output}. They differ in: {', '.join(differences) or 'the models'}. Leave the options out, or choose another "
        "folder."
    )
