"""Extensions: modules from outside the project that register a model, a framework or a dtype.

The environment variable LOCKSTEP_EXTENSIONS names them as `import` does, separated by commas. The
command imports them when it starts, and so does the process in which `lockstep check` runs a file: it
inherits the variable. Nothing is imported that is not named.
"""

import importlib
import os

from ports.messages import brief

VARIABLE = "LOCKSTEP_EXTENSIONS"


def load_extensions() -> None:
    """Import each module that the variable names. Raises ValueError for one that fails."""
    for name in filter(None, map(str.strip, os.environ.get(VARIABLE, "").split(","))):
        try:
            importlib.import_module(name)
        except Exception as why:
            raise ValueError(
                f"the extension {name} (from {VARIABLE}) cannot be imported: "
                f"{type(why).__name__}: {brief(why)}"
            ) from why
