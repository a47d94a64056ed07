"""Options, header and the matrix that the tests are parametrized over."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # the workers are the parallelism: one thread each
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(threads, "1")

import pytest
from cells import group_of

from ports.commands.arguments import select
from ports.contract import Absent
from ports.engine.matrix import exact_settings_of
from ports.engine.memory import keep_freed_memory
from ports.engine.provenance import provenance
from ports.engine.results import certificates_of, quantities_of
from ports.engine.selection import plan
from ports.extensions import load_extensions

OPTIONS = {
    "model": "spiral, or a model such as softmax",
    "port": "a port's name, or a path to a .py file",
    "mode": "eager or compiled",
    "device": "cpu, cuda, ...",
    "dtype": "float64 or float32",
    "require": "a port or device that must run: absent is an error, not a skip",
}


def pytest_addoption(parser):
    """The options that choose cells, as for `lockstep compare`."""
    group = parser.getgroup("lockstep", "which cells run (repeat for several; default: everything here)")
    for option, what in OPTIONS.items():
        group.addoption(f"--{option}", action="append", default=[], metavar="NAME", help=what)
    group.addoption(
        "--steps",
        metavar="N|all",
        help="steps per cell, spread over the run (default: all for float64 in a framework's natural "
        "mode, 20 elsewhere)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Lay out the matrix."""
    options = {f"{name}s" if name != "require" else name: config.getoption(name) for name in OPTIONS}
    try:
        load_extensions()
        selection = select(**options, steps=config.getoption("steps"))
        config.lockstep_planned, config.lockstep_skipped = plan(selection)
    except (ValueError, OSError, Absent) as why:
        raise pytest.UsageError(str(why)) from None


def pytest_report_header(config):
    """Versions, devices and precision settings of the run."""
    ports = {p.port.name: p.port for p in config.lockstep_planned}.values()
    with exact_settings_of(ports):
        return [f"lockstep: {name}: {fact}" for name, fact in provenance(ports).items() if fact]


@pytest.fixture(scope="session", autouse=True)
def _exact_settings(pytestconfig):
    keep_freed_memory()
    with exact_settings_of([p.port for p in pytestconfig.lockstep_planned]):
        yield


def pytest_generate_tests(metafunc):
    """Parametrize over cells: (cell, quantity, certificate), cells alone, ports, or skips."""
    planned, skipped = metafunc.config.lockstep_planned, metafunc.config.lockstep_skipped
    if "quantity" in metafunc.fixturenames and "planned" in metafunc.fixturenames:
        metafunc.parametrize(
            ("planned", "quantity", "certificate"),
            [
                pytest.param(p, name, certificate, id=f"{p.cell}-{name}-{certificate.replace(' ', '_')}")
                for p in planned
                for name in quantities_of(p.cell.model)
                for certificate in certificates_of(p.cell.model)
            ],
        )
    elif "planned" in metafunc.fixturenames:
        metafunc.parametrize(
            "planned",
            [pytest.param(p, id=str(p.cell)) for p in planned],
        )
    if "skipped" in metafunc.fixturenames:
        metafunc.parametrize("skipped", [pytest.param(s, id=s.what.replace(" ", "_")) for s in skipped])
    if "port" in metafunc.fixturenames:
        ports = {p.port.name: p.port for p in planned}
        metafunc.parametrize("port", [pytest.param(p, id=name) for name, p in ports.items()])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Under xdist, cells that share a run stay on one worker, and the long runs go first."""
    from xdist.scheduler import LoadScopeScheduling

    groups = {str(planned.cell): group_of(planned) for planned in config.lockstep_planned}

    class ByRun(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            if "test_free_run.py" in nodeid:  # its fixtures share the runs too
                return "free_run"
            cell = "-".join(nodeid.rpartition("[")[2].rstrip("]").split("-")[:5])
            return groups.get(cell, nodeid)

    return ByRun(config, log)
