"""Tasks in worker processes: results in order, work counted, the first error raised."""

import os
from functools import partial

import pytest

from ports.engine.workers import WORKER_SETTINGS, in_workers, worker_settings


def counted(units, progress):
    """A task: report some units of work, and return their number with the threads it may use."""
    for _ in range(units):
        progress()
    return units, os.environ["OMP_NUM_THREADS"]


def failing(progress):
    """A task that does one unit of work and fails."""
    progress()
    raise ValueError("this task cannot be done")


def test_results_are_in_order_and_all_work_is_counted(monkeypatch):
    """Each task's result stands at its place, in one thread, and no unit of work is lost."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    done = []
    assert in_workers([partial(counted, 3), partial(counted, 5)], 2, done.append) == [(3, "1"), (5, "1")]
    assert sum(done) == 8


def test_what_a_task_raises_is_raised():
    """A failing task fails the whole, with its own error."""
    with pytest.raises(ValueError, match="this task cannot be done"):
        in_workers([failing, partial(counted, 1)], 1)


def test_worker_settings_are_taken_back(monkeypatch):
    """The settings for workers leave the environment afterwards, and the user's own settings stay."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    for name in set(WORKER_SETTINGS) - {"OMP_NUM_THREADS"}:
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    with worker_settings():
        assert os.environ["OMP_NUM_THREADS"] == "3"
        assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
        assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert dict(os.environ) == before
