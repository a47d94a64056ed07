"""Networks of one's own: the certificates of each example against naive checks of the same tensors.

The examples are the folders of docs/examples with a reference. An installation does not have them.
"""

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np

from ports.bench.measuring import Effort, Row
from ports.bench.startup import ROOT
from ports.bench.steps import certificate_rows, stacks
from ports.contract import Absent, Port
from ports.user_port import load_port
from ports.user_reference import load_reference, reference

EXAMPLES = ROOT / "docs" / "examples"
NAIVE_GOAL = 1.5
GOALS = {"assert_allclose": NAIVE_GOAL, "torch.testing.assert_close": NAIVE_GOAL}


def models(effort: Effort) -> Iterator[Row]:
    """Each example's ports: one step of one alone, and as the engine certifies them."""
    folders = networks(EXAMPLES)
    if not folders:
        yield Row(
            "models", "the examples", "x", skipped=f"no networks in {EXAMPLES}: run from a checkout"
        )
    for folder in folders:
        yield from network_rows(effort, folder)


def networks(examples: Path) -> list[Path]:
    """The folders that hold a network, by name; none where there is no checkout."""
    return sorted(file.parent for file in examples.glob("*/reference.py"))


def network_rows(effort: Effort, folder: Path) -> Iterator[Row]:
    """One network's rows; a row without a figure if the framework of no port is here."""
    file = folder / "reference.py"
    problem, here = load_reference(file).start(np.random.RandomState(0)), ports_of(folder)
    if not here:
        yield Row("models", folder.name, "x", skipped="the framework of no port is installed")
        return
    with ExitStack() as settings:
        for port in here:
            settings.enter_context(port.host.exact_settings())
        title, (alone, *_, engines) = ("models", folder.name), stacks(here)
        yield from certificate_rows(effort, title, problem, alone, goals={})
        yield from certificate_rows(effort, title, problem, engines, GOALS)


def ports_of(folder: Path) -> list[Port]:
    """The network's ports whose frameworks are installed."""
    here: list[Port] = []
    with reference(str(folder / "reference.py")):
        for file in sorted(folder.glob("in_*.py")):
            with suppress(Absent):
                here.append(load_port(file))
    return here
