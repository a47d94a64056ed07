"""The plan as the tests run it: in the engine's own parts, whose cells share the reference's work."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pytest

from ports.engine.matrix import Part, parts_of
from ports.engine.selection import Planned
from reference.models import MODELS

#: Long runs are cut in two, for any number of processes, so that tests have the same names everywhere.
JOBS = 2
#: The files with the longest runs, the longest first.
LONGEST = ("test_lockstep.py", "test_free_run.py", "test_published.py", "test_document.py")
#: Files in which most tests need what another one has computed.
SHARING = (
    "test_traps.py",
    "test_free_run.py",
    "test_json.py",
    "lesson/test_page.py",
    "lesson/test_breaks.py",
    "lesson/test_rounding.py",
    "test_pytest_plugin.py",
)


def parametrize(metafunc: pytest.Metafunc, names: str | tuple[str, ...], cases: Iterable[Any]) -> None:
    """Parametrize over cells that are here; if there are none, one skipped test says so.

    An empty set of parameters is an error everywhere else (see pyproject.toml).
    """
    count = 1 if isinstance(names, str) else len(names)
    none = pytest.param(*[None] * count, marks=pytest.mark.skip("nothing here to run it for"), id="none")
    metafunc.parametrize(names, list(cases) or [none])


class Piece(NamedTuple):
    """What one cell does in one part of the plan."""

    planned: Planned
    part: Part

    def __str__(self) -> str:
        """The cell's name, with the steps if its run is cut."""
        steps, model = self.part.steps, MODELS.get(self.planned.cell.model)
        cut = model is not None and len(steps) < model.iterations
        return f"{self.planned.cell}" + (f"-steps_{steps.start}_to_{steps.stop - 1}" if cut else "")


def pieces(planned: Sequence[Planned]) -> list[Piece]:
    """Every cell of every part, the longest part first."""
    return [Piece(p, part) for part in parts_of(planned, JOBS) for p in part.cells]


def run_of(piece: Piece) -> str:
    """A name for the run that a piece shares with the other cells of its part."""
    return f"{piece.part.cells[0].cell} from {piece.part.steps.start}"


def scopes(planned: Sequence[Planned]) -> Callable[[str], str]:
    """A function from a test's id to its scope: tests of one scope should stay on one worker."""
    together = {f"{piece}-": run_of(piece) for piece in pieces(planned)}
    alike = {f"{p.cell}-": compiled_together(p) for p in planned}

    def scope_of(nodeid: str) -> str:
        """What the test shares: a file, a run or compiled shapes; if nothing, the test itself."""
        path, _, test = nodeid.partition("::")
        known = together if path.endswith("tests/test_lockstep.py") else alike
        case = test.partition("[")[2].replace("]", "-")
        shared = next((scope for cell, scope in known.items() if case.startswith(cell)), None)
        return path if path.endswith(SHARING) else f"{path} {shared}" if shared else nodeid

    return scope_of


def compiled_together(planned: Planned) -> str:
    """Cells of one model, framework and dtype compile the same shapes."""
    cell, framework = planned.cell, planned.port.framework.name
    return f"{cell.model}-{framework}-{cell.device}-{cell.dtype}"
