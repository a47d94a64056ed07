"""The `lockstep` command. Exit status: 0 all certified; 1 something disagreed; 2 bad usage or input.

128 + the signal where it was stopped, or nobody read what it printed.
"""

import argparse
import importlib
import io
import os
import signal
import sys

from ports.extensions import load_extensions

SIGPIPE = 13  # signal.SIGPIPE, which Windows lacks

COMMANDS = ("compare", "run", "show", "plot", "drift", "check", "traps", "bounds", "bench", "doctor")

DESCRIPTION = """\
The softmax classifier and the two-layer net of CS231n's minimal neural network, in NumPy,
PyTorch and JAX, certified at every step: differences are held against derived rounding bounds.
Without a command: compare, by default every port here on the document's runs.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    if arguments is None:
        _own_the_process()
        arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments = ["compare", *arguments]
    try:
        load_extensions()
        args = _parser().parse_args(arguments)
        status = int(args.run(args))
        sys.stdout.flush()
        return status
    except KeyboardInterrupt as stop:
        print("lockstep: stopped", file=sys.stderr)
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)
    except BrokenPipeError:  # the reader (head, less) has closed the pipe: nobody has the verdict
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return 128 + SIGPIPE
    except MemoryError as error:
        print(f"lockstep: not enough memory: {error}: try fewer --points or --jobs", file=sys.stderr)
        return 2
    except Exception as error:
        from ports.contract import Absent

        if not isinstance(error, ValueError | OSError | Absent):
            raise
        print(f"lockstep: {error}", file=sys.stderr)
        return 2


def _own_the_process() -> None:
    """Print what the terminal cannot encode as escapes; on SIGTERM end like Ctrl-C, workers included."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # none at all, where it was closed
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _stop)


def _stop(number: int, frame: object) -> None:
    raise KeyboardInterrupt(number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lockstep", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(metavar="command", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"ports.commands.{name}")
        command = commands.add_parser(
            name,
            help=module.HELP.split("\n")[0],
            description=module.HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
