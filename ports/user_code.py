"""Report what a user's code raises, in one sentence with the user's own line."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ports.contract import PortError
from ports.messages import brief


class UserCodeError(PortError):
    """A user's file cannot be used, or its code went wrong; the message says where, in their lines."""


@contextmanager
def users_code(file: Path, what: str) -> Iterator[None]:
    """Turn anything that the user's code raises, sys.exit included, into a UserCodeError."""
    try:
        yield
    except (KeyboardInterrupt, UserCodeError):
        raise
    except BaseException as error:
        raise UserCodeError(told(error, file, what)) from error


def told(error: BaseException, file: Path, what: str) -> str:
    """One sentence on what the user's code raised, and in which of the user's lines."""
    where = users_line(error, file) or f"{file.name}, in {what}"
    if isinstance(error, SystemExit):
        return f"{where}: {what} called sys.exit({error.code!r})"
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return f"{where}: {error.name} is not installed here: pip install {package}"
    return f"{where}: {what} raised {type(error).__name__}: {brief(error)}"


def users_line(error: BaseException, file: Path) -> str:
    """The innermost line of the file that an error was raised from; an empty string if there is none."""
    lines = [f for f in traceback.extract_tb(error.__traceback__) if is_in(f.filename, file)]
    return at_line(lines[-1], file) if lines else ""


def at_line(frame: traceback.FrameSummary, file: Path) -> str:
    """The file's name and line number, followed by the line itself if it is known."""
    return (
        f"{file.name}:{frame.lineno} (`{frame.line}`)" if frame.line else f"{file.name}:{frame.lineno}"
    )


def is_in(filename: str, file: Path) -> bool:
    """Whether a frame is one of that file's."""
    return filename == str(file.resolve())
