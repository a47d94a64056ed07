"""Register things from outside the project, for as long as a test runs."""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

from ports import extensions
from ports.contract import load_host
from ports.registry import FRAMEWORKS, PORTS
from ports.traps import GALLERY
from reference.agreement.arithmetic import ARITHMETICS, DTYPES
from reference.models import MODELS

ROOT = Path(__file__).parents[2]
#: The folders of the modules that the tests register and that CONTRIBUTING shows.
FOLDERS = (ROOT / "docs" / "examples", ROOT / "tests" / "data" / "extension")
REGISTRIES = (MODELS, FRAMEWORKS, PORTS, ARITHMETICS, GALLERY)


@contextmanager
def forgotten_afterwards():
    """Leave the registries and the modules of the extensions as they were before."""
    before, dtypes = [registry.copy() for registry in REGISTRIES], DTYPES.copy()
    try:
        yield
    finally:
        for registry, content in zip(REGISTRIES, before, strict=True):
            registry.clear()
            registry.update(content)
        DTYPES[:] = dtypes
        load_host.cache_clear()
        for name in {path.stem for folder in FOLDERS for path in folder.glob("*.py")}:
            sys.modules.pop(name, None)


def load(monkeypatch, *modules):
    """Load modules of these folders as extensions, here and in the processes that are started."""
    for folder in FOLDERS:
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, FOLDERS)))
    monkeypatch.setenv(extensions.VARIABLE, ",".join(modules))
    extensions.load_extensions()
