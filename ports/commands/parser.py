"""The parser of the command line. Its errors are one sentence each."""

import argparse
from typing import NoReturn


class BadArgument(Exception):
    """An argument cannot be used; the message says why.

    It is not a ValueError: argparse would replace its sentence by its own.
    """


class Parser(argparse.ArgumentParser):
    """A parser that raises BadArgument, and prints no usage."""

    def error(self, message: str) -> NoReturn:
        """Raise BadArgument."""
        raise BadArgument(message)
