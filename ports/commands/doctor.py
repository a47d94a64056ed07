"""`lockstep doctor`: what is here, and what to do about what is not."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ports.contract import Framework

HELP = """say which frameworks, devices, versions and precision settings are here

For each absence: what to do about it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare no options."""


def run(args: argparse.Namespace) -> int:
    """Print the facts; always 0."""
    from ports.messages import missing_packages
    from ports.registry import FRAMEWORKS, PORTS

    for framework in FRAMEWORKS.values():
        absence = framework.absence()
        if absence:
            print(f"{framework.name}: {absence}")
        else:
            _print_framework(framework)
    for port in PORTS.values():
        for package in port.packages:
            print(f"{package}: {missing_packages(f'the {port.name} port', (package,)) or 'here'}")
    print(f"matplotlib: {missing_packages('lockstep plot', ('matplotlib',)) or 'here'}")
    print("ports:")
    for port in PORTS.values():
        print(f"  {port.name:<15}{port.absence() or 'runs'}")
    return 0


def _print_framework(framework: "Framework") -> None:
    """Its versions and settings, devices and compiler."""
    host = framework.host
    with host.exact_settings():
        facts = host.settings()
    print(f"{framework.name}:")
    for name, fact in facts.items():
        print(f"  {name}: {fact or 'not set'}")
    if not framework.packages:  # NumPy: nothing to choose
        return
    for device in host.devices():
        print(f"  {device}: {', '.join(host.dtypes(device))}")
    print(f"  compiled mode: {host.compiler_absence() or 'yes'}")
