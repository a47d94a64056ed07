"""What `lockstep doctor` says: one fact per line."""

from collections.abc import Iterator

from ports.engine.inventory import FrameworkFacts, Inventory
from ports.report.table import Column, Table

PORTS = Column("", "<", 15), Column("", "<", before="")


def lines(found: Inventory) -> Iterator[str]:
    """What is here, and what to do about what is not."""
    for framework in found.frameworks:
        yield from _framework(framework)
    for package, absence in found.packages.items():
        yield f"{package}: {absence or 'here'}"
    yield "ports:"
    rows = [[name, absence or "runs"] for name, absence in found.ports.items()]
    yield from map(Table(PORTS, rows).line, rows)


def _framework(facts: FrameworkFacts) -> Iterator[str]:
    """Its versions and settings, devices and compiler."""
    if facts.absence:
        yield f"{facts.name}: {facts.absence}"
        return
    yield f"{facts.name}:"
    for name, fact in facts.settings.items():
        yield f"  {name}: {fact or 'not set'}"
    for device, dtypes in facts.devices.items():
        yield f"  {device}: {', '.join(dtypes)}"
    if facts.devices:
        yield f"  compiled mode: {facts.compiler or 'yes'}"
