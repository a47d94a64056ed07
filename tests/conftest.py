"""The options, the header, and the matrix over which the tests are parametrized."""

import os
from pathlib import Path

# What JAX compiles (each operation of the eager mode, for each shape) is kept, for all processes and for
# the next session. PyTorch's compiler does so by itself.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "d" / "jax")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers run in parallel, with one thread each
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(threads, "1")

import pytest
from cells import LONGEST, parametrize, pieces, scopes
from sharding import own_tests
from shared import SharedWay

from ports.commands.arguments import select, shard
from ports.contract import Absent
from ports.engine.matrix import exact_settings_of
from ports.engine.memory import keep_freed_memory
from ports.engine.provenance import provenance
from ports.engine.results import certificates_of, quantities_of
from ports.engine.selection import plan
from ports.engine.shards import WHOLE
from ports.extensions import load_extensions

OPTIONS = {
    "model": "spiral, or a model such as softmax",
    "port": "a port's name, or a path to a .py file",
    "mode": "eager or compiled",
    "device": "cpu, cuda, ...",
    "dtype": "float64 or float32",
    "require": "a port or device that must run: an error, not a skip, if it is absent",
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
    group.addoption(
        "--precision",
        metavar="NAME",
        default="highest",
        help="of float32 products in test_lockstep.py: highest, high or medium (default: highest)",
    )
    group.addoption(
        "--shard",
        metavar="I/N",
        default="1/1",
        help="run only share I of N of the tests; all machines together run every test once",
    )
    group.addoption(
        "--formulations",
        type=int,
        default=20,
        metavar="N",
        help="how many right programs test_formulations.py draws (default: 20)",
    )
    group.addoption(
        "--recordings",
        type=int,
        default=300,
        metavar="N",
        help="how many fuzzed recordings test_fuzz.py reads (default: 300)",
    )
    group.addoption(
        "--expressions",
        type=int,
        default=100,
        metavar="N",
        help="how many random expressions test_expressions.py draws (default: 100)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Lay out the matrix."""
    options = {f"{name}s" if name != "require" else name: config.getoption(name) for name in OPTIONS}
    try:
        load_extensions()
        steps, precision = config.getoption("steps"), config.getoption("precision")
        selection = select(**options, steps=steps, precision=precision)
        config.lockstep_planned, config.lockstep_skipped = plan(selection)
        config.lockstep_shard = shard(config.getoption("shard"))
    except (ValueError, OSError, Absent) as why:
        raise pytest.UsageError(str(why)) from None


def pytest_report_header(config):
    """Versions, devices and precision settings of the run."""
    ports = {p.port.name: p.port for p in config.lockstep_planned}.values()
    with exact_settings_of(ports):
        return [f"lockstep: {name}: {fact}" for name, fact in provenance(ports).items() if fact]


def pytest_terminal_summary(terminalreporter):
    """How many different right programs were certified (see `test_formulations.py`)."""
    calls = [report for report in terminalreporter.getreports("passed") if report.when == "call"]
    counts = [n for call in calls for what, n in call.user_properties if what == "right programs"]
    if counts:
        terminalreporter.write_line(f"lockstep: {sum(counts)} different right programs were certified")


@pytest.fixture(scope="session", autouse=True)
def _exact_settings(pytestconfig):
    keep_freed_memory()
    with exact_settings_of([p.port for p in pytestconfig.lockstep_planned]):
        yield


@pytest.fixture(scope="session")
def shared_way(tmp_path_factory):
    """The reference's run, made once in the session: all workers have this folder."""
    own = tmp_path_factory.getbasetemp()
    return SharedWay(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)


def pytest_generate_tests(metafunc):
    """Parametrize over pieces of the plan (with quantity and certificate), cells, ports, or skips."""
    planned, skipped = metafunc.config.lockstep_planned, metafunc.config.lockstep_skipped
    if "quantity" in metafunc.fixturenames and "piece" in metafunc.fixturenames:
        cases = [
            pytest.param(piece, name, by, id=f"{piece}-{name}-{by.replace(' ', '_')}")
            for piece in pieces(planned)
            for name in quantities_of(piece.planned.cell.model)
            for by in certificates_of(piece.planned.cell.model)
        ]
        parametrize(metafunc, ("piece", "quantity", "certificate"), cases)
    elif "piece" in metafunc.fixturenames:
        parametrize(metafunc, "piece", [pytest.param(p, id=str(p)) for p in pieces(planned)])
    if "planned" in metafunc.fixturenames:
        parametrize(metafunc, "planned", [pytest.param(p, id=str(p.cell)) for p in planned])
    if "skipped" in metafunc.fixturenames:
        cases = [pytest.param(s, id=s.what.replace(" ", "_")) for s in skipped]
        parametrize(metafunc, "skipped", cases)
    if "port" in metafunc.fixturenames:
        ports = {p.port.name: p.port for p in planned}
        parametrize(metafunc, "port", [pytest.param(p, id=name) for name, p in ports.items()])


def pytest_collection_modifyitems(config, items):
    """The long runs go first, so that no worker is left alone at the end; other shards' tests go."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else 99)
    if config.lockstep_shard != WHOLE:
        own = own_tests(config.lockstep_shard, [item.nodeid for item in items], config.lockstep_planned)
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in own])
        items[:] = [item for item in items if item.nodeid in own]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Under xdist, tests that share a run or compiled shapes stay on one worker."""
    from xdist.scheduler import LoadScopeScheduling

    class ByRun(LoadScopeScheduling):
        _split_scope = staticmethod(scopes(config.lockstep_planned))

    config.option.loadscopereorder = False  # it would sort by the number of tests, not by their length
    return ByRun(config, log)
