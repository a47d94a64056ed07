"""A command line's parser, whose errors are one sentence."""

import argparse
from typing import NoReturn


class BadArgument(Exception):
    """An argument cannot be used; the message says why.

    It is no ValueError, whose sentence argparse would replace by its own.
    """


class Parser(argparse.ArgumentParser):
    """A parser that raises BadArgument, and prints no usage."""

    def error(self, message: str) -> NoReturn:
        """Raise BadArgument."""
        raise BadArgument(message)
