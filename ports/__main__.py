"""The `lockstep` command. Exit status: 0 all certified; 1 something disagreed; 2 bad usage or input."""

import argparse
import importlib
import sys

COMMANDS = ("compare", "run", "show", "plot", "drift", "check", "traps", "bounds", "bench", "doctor")

DESCRIPTION = """\
The softmax classifier and the two-layer net of CS231n's minimal neural network, in NumPy,
PyTorch and JAX, certified at every step: differences are held against derived rounding bounds.
Without a command: compare every port here on the document's runs.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    args = _parser().parse_args(arguments or ["compare"])
    try:
        return int(args.run(args))
    except KeyboardInterrupt:
        print("lockstep: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader (head, less) has closed the pipe
        sys.stderr.close()
        return 0
    except Exception as error:
        from ports.port import Absent

        if not isinstance(error, ValueError | OSError | Absent):
            raise
        print(f"lockstep: {error}", file=sys.stderr)
        return 2


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
