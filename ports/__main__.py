"""The `lockstep` command. Exit status: 0 all certified; 1 something disagreed; 2 bad usage or input.

If it was stopped, or its output was no longer read, it is 128 + the signal.
"""

import importlib
import importlib.util
import io
import os
import signal
import sys
from argparse import RawDescriptionHelpFormatter
from contextlib import AbstractContextManager, nullcontext

import ports
from ports.commands import COMMANDS
from ports.commands.parser import BadArgument, Parser
from ports.extensions import load_extensions
from ports.messages import unknown

SIGPIPE = 13  # signal.SIGPIPE, which Windows lacks

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
    try:
        status = _run(arguments)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt as stop:
        print("lockstep: stopped", file=sys.stderr)
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)
    except BrokenPipeError:  # the reader (head, less) has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return 128 + SIGPIPE
    except MemoryError as error:
        return _refuse(f"not enough memory: {error}: try fewer --points or --jobs")
    except (BadArgument, ValueError, OSError) as error:
        return _refuse(str(error))
    except Exception as error:
        from ports.contract import Absent  # it imports NumPy, which would delay --help

        if not isinstance(error, Absent):
            raise
        return _refuse(str(error))


def _refuse(sentence: str) -> int:
    print(f"lockstep: {sentence}", file=sys.stderr)
    return 2


def _run(arguments: list[str]) -> int:
    """Parse and run. Raises ValueError, OSError, Absent or BadArgument for bad usage or input."""
    _refuse_two_roots()
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments = ["compare", *arguments]
    if not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        raise ValueError(unknown("command", arguments[0], COMMANDS))
    load_extensions()
    with reference_of(arguments):  # first: the other words may name its network and its quantities
        args = _parser(arguments[0]).parse_args(arguments)
        return int(args.run(args))


def reference_of(arguments: list[str]) -> AbstractContextManager[None]:
    """The context in which the network that --reference names takes the place of the note's."""
    if not any(word.startswith("--reference") for word in arguments):
        return nullcontext()
    from ports.user_reference import reference  # it imports NumPy, which would delay --help

    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--reference")
    return reference(parser.parse_known_args(arguments)[0].reference)


def _parser(chosen: str) -> Parser:
    """The parser of all commands. Only the chosen one is imported, and has its options."""
    parser = Parser("lockstep", description=DESCRIPTION, formatter_class=RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(metavar="command", required=True)
    for name, (line, module_name) in COMMANDS.items():
        command = commands.add_parser(name, help=line, formatter_class=RawDescriptionHelpFormatter)
        if name == chosen:
            module = importlib.import_module(module_name)
            command.description = f"{line}\n\n{module.DETAILS}"
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


def _refuse_two_roots() -> None:
    """Raise ValueError if `reference` is not the one beside `ports`: two checkouts would be mixed."""
    own = _root(ports.__file__)
    found = importlib.util.find_spec("reference")
    if found is None or found.origin is None:
        raise ValueError(
            f"`ports` is here ({own}) but no `reference`: run in a checkout, or install one"
        )
    other = _root(found.origin)
    if other != own:
        raise ValueError(
            f"`reference` comes from {other} and `ports` from {own}: run in one checkout, or install one"
        )


def _own_the_process() -> None:
    """Print as escapes what the terminal cannot encode; on SIGTERM stop as on Ctrl-C, workers too."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None, if it was closed
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _stop)


def _stop(number: int, frame: object) -> None:
    raise KeyboardInterrupt(number)


def _root(package: str) -> str:
    """The folder that holds a package, by the path of its `__init__`."""
    return os.path.dirname(os.path.dirname(os.path.realpath(package)))


if __name__ == "__main__":
    sys.exit(main())
