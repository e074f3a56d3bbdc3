"""The `keras-sparse` command.

keras-sparse train                                    # SparseNet beside DenseNet, under two minutes
keras-sparse prune runs/first/best.keras --to 0.9
keras-sparse export runs/first/best.keras --output exported
keras-sparse search --trials 20 --max-parameters 200k # networks that are worth their size, under three minutes
keras-sparse profile --model resnet --depth 56
keras-sparse study --list                             # tables and figures of the papers
keras-sparse report runs/first runs/found             # one page about all of them
keras-sparse models
keras-sparse topologies --fan-in 784 --fan-out 300
keras-sparse kernels                                  # how sparse products are computed here
"""

import argparse
import os
import sys

from keras_sparse import __version__
from keras_sparse._quiet_start import interrupt_as_usual
from keras_sparse.commands import export, kernels, models, profile, prune, report, search, study, topologies, train
from keras_sparse.commands.error_words import in_command_words
from keras_sparse.distribution import LostProcessError
from keras_sparse.kernels.native.not_built import NotBuilt


def main(argv=None):
    """Runs the command; returns its exit code: 0, or 2 with one message for what cannot be done."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    interrupt_as_usual()
    try:
        return arguments.run(arguments)
    except BrokenPipeError:
        # The reader of the output, such as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except LostProcessError as error:
        print(f"keras-sparse {arguments.command}: error: {error}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(2)  # an orderly end would wait for the process that is gone
    except (ValueError, OSError, NotBuilt) as error:
        if os.environ.get("KERAS_SPARSE_TRACEBACK"):
            raise
        message = in_command_words(str(error), arguments)
        print(f"keras-sparse {arguments.command}: error: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        hint = ""
        if arguments.command in ("train", "prune", "search"):
            hint = f" Go on with --resume --output {arguments.output}"
        elif arguments.command == "study":
            hint = " Go on with the same command."
        print(f"\nkeras-sparse {arguments.command}: interrupted.{hint}", file=sys.stderr)
        return 130


def build_parser():
    parser = argparse.ArgumentParser(
        prog="keras-sparse",
        description="Sparse networks for Keras 3: build them sparse, train them sparse, run them sparse.",
        epilog="example: keras-sparse train --model sparsenet --depth 40 --growth-rate 12 --bottleneck",
    )
    parser.add_argument("--version", action="version", version=f"keras-sparse {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in (train, prune, export, search, profile, study, report, models, topologies, kernels):
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
