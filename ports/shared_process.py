"""What a user's code must leave as it found it while it shares the process with the judge.

The judge computes with NumPy, and the other ports under their frameworks' settings. A file that replaces
a function of NumPy for the whole process, as `nnfs.init()` does with np.dot, would move them all.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import is_
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ports.contract import ProcessSetting
from ports.messages import both
from ports.registry import FRAMEWORKS
from ports.user_code import UserCodeError

#: The modules whose public names stay what they are when this module is imported.
MODULES: tuple[ModuleType, ...] = (np, np.linalg, np.random, np.fft)
_NAMES = [(m, {n: value for n, value in vars(m).items() if n[0] != "_"}) for m in MODULES]
#: How many changes a message lists.
LISTED = 5


@contextmanager
def left_alone(file: Path, what: str) -> Iterator[None]:
    """Undo what a file's code changes for the whole process, and raise UserCodeError if it does.

    `what` is the part of the file that runs inside.
    """
    before = [(setting, setting.get()) for setting in _settings()]
    try:
        yield
    finally:
        changed = [*_names_put_back(), *_settings_put_back(before)]
    if changed:
        more = [f"{len(changed) - LISTED} more"] if len(changed) > LISTED else []
        raise UserCodeError(
            f"{file.name}: {what} changes {both([*changed[:LISTED], *more])} for the whole process, "
            "which would move the judge and the other ports: leave that out, or use lockstep check, "
            "which runs the file in a process of its own"
        )


def _settings() -> Iterator[ProcessSetting]:
    """The settings of the frameworks that are loaded."""
    for framework in FRAMEWORKS.values():
        if all(package in sys.modules for package in framework.packages):
            yield from framework.host.process_settings


def _names_put_back() -> Iterator[str]:
    """Put back each name of NumPy that has another value now; yields them."""
    for module, names in _NAMES:
        now = vars(module)
        if not all(map(is_, map(now.get, names), names.values())):
            for name, value in names.items():
                if now.get(name) is not value:
                    setattr(module, name, value)
                    yield f"{module.__name__}.{name}"


def _settings_put_back(before: Iterable[tuple[ProcessSetting, Any]]) -> Iterator[str]:
    """Put back each setting that has another value now; yields their names."""
    for setting, value in before:
        if setting.get() != value:
            setting.set(value)
            yield setting.name
