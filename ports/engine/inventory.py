"""The inventory: frameworks with devices and settings, packages and ports, and what is missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ports.contract import Framework
from ports.messages import missing_packages
from ports.registry import FRAMEWORKS, PORTS


@dataclass(frozen=True)
class FrameworkFacts:
    """One framework as found.

    Attributes:
        absence: why it cannot be used, or None; the rest is then empty.
        settings: versions and precision settings in force while ports run.
        devices: which dtypes each device computes in; empty where there is nothing to choose (NumPy).
        compiler: why it cannot compile, or None.
    """

    name: str
    absence: str | None
    settings: Mapping[str, str] = field(default_factory=dict)
    devices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    compiler: str | None = None


@dataclass(frozen=True)
class Inventory:
    """All frameworks; and for each package and port, why it cannot be used, or None."""

    frameworks: list[FrameworkFacts]
    packages: dict[str, str | None]
    ports: dict[str, str | None]


def inventory() -> Inventory:
    """Look for everything that is registered, and for what draws the pictures."""
    packages = {
        package: missing_packages(f"the {port.name} port", (package,))
        for port in PORTS.values()
        for package in port.packages
    }
    packages["matplotlib"] = missing_packages("lockstep plot", ("matplotlib",))
    frameworks = [_facts(framework) for framework in FRAMEWORKS.values()]
    return Inventory(frameworks, packages, {name: port.absence() for name, port in PORTS.items()})


def _facts(framework: Framework) -> FrameworkFacts:
    absence = framework.absence()
    if absence:
        return FrameworkFacts(framework.name, absence)
    host = framework.host
    with host.exact_settings():
        settings = host.settings()
    if not framework.packages:  # NumPy: no devices, and no compiler
        return FrameworkFacts(framework.name, None, settings)
    devices = {device: host.dtypes(device) for device in host.devices()}
    return FrameworkFacts(framework.name, None, settings, devices, host.compiler_absence())
