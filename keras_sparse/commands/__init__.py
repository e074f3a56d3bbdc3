"""The commands of `keras-sparse`, one file each: `add(commands)` makes the parser, `run(arguments)` does the work."""

import argparse


def add_command(commands, name, run, summary, examples):
    """A subcommand whose `--help` ends in examples."""
    command = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command
