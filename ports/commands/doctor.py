"""`lockstep doctor`: what is here, and what to do about what is not."""

import argparse

HELP = """say which frameworks, devices, versions and precision settings are here

For each absence: what to do about it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare no options."""


def run(args: argparse.Namespace) -> int:
    """Print the facts; always 0."""
    from ports import PORTS
    from ports.contract import missing_packages
    from ports.in_numpy import host as numpy_host

    _print_facts("numpy", numpy_host.settings())
    for framework in ("torch", "jax"):
        absence = missing_packages(framework, (framework,))
        if absence:
            print(f"{framework}: {absence}")
            continue
        host = next(port.host for port in PORTS.values() if port.name.startswith(framework))
        with host.exact_settings():
            _print_facts(framework, host.settings())
        for device in host.devices():
            print(f"  {device}: {', '.join(host.dtypes(device))}")
        print(f"  compiled mode: {host.compiler_absence() or 'yes'}")
    for extra in ("optax", "matplotlib"):
        needed_by = {"optax": "the jax_library port", "matplotlib": "lockstep plot"}[extra]
        print(f"{extra}: {missing_packages(needed_by, (extra,)) or 'here'}")
    print("ports:")
    for port in PORTS.values():
        print(f"  {port.name:<15}{port.absence() or 'runs'}")
    return 0


def _print_facts(framework: str, facts: dict[str, str]) -> None:
    print(f"{framework}:")
    for name, fact in facts.items():
        print(f"  {name}: {fact or 'not set'}")
