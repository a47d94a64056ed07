"""Tasks in worker processes, each of which computes with one thread and counts what it has done."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

Result = TypeVar("Result")
#: A function of `progress`, which it calls after each unit of work. It and its result can be pickled.
Task: TypeAlias = Callable[[Callable[[], None]], Result]

THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
#: The processes already run in parallel, so each computes with one thread. They also share a GPU, and
#: JAX in the first of them would otherwise take most of its memory.
WORKER_SETTINGS = {
    **dict.fromkeys(THREAD_SETTINGS, "1"),
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
POLL = 0.2  # seconds between two looks at the workers' progress


def in_workers(
    tasks: Sequence[Task[Result]], jobs: int, progress: Callable[[int], None] = lambda done: None
) -> list[Result]:
    """Run tasks in at most `jobs` new processes; returns their results in the order of the tasks.

    `progress` is called now and then with the units of work done since its last call. What a task raises
    is raised here, and the others are stopped.
    """
    spawn = multiprocessing.get_context("spawn")
    counter = spawn.Value("Q")
    with (
        worker_settings(),
        ProcessPoolExecutor(
            min(jobs, len(tasks)), mp_context=spawn, initializer=_count_in, initargs=(counter,)
        ) as pool,
    ):
        futures = [pool.submit(_counted, task) for task in tasks]
        try:
            _follow(futures, counter, progress)
        except BaseException:  # Ctrl-C, SIGTERM: leaving the pool would wait for what is under way
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise
    return [future.result() for future in futures]


def _follow(futures: Sequence[Future[Any]], counter: Any, progress: Callable[[int], None]) -> None:
    """Report progress until all are done; stop the rest when one fails."""
    seen, pending = 0, set(futures)
    while pending:
        done, pending = wait(pending, timeout=POLL)
        count = int(counter.value)
        progress(count - seen)
        seen = count
        if any(future.exception() for future in done):
            for future in pending:
                future.cancel()


_counter: Any = None


def _count_in(counter: Any) -> None:
    global _counter
    _counter = counter
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all: the parent ends its workers


def _counted(task: Task[Result]) -> Result:
    """Run a task in a worker. Its units of work are added to the shared counter now and then."""
    unreported, reported_at = 0, time.monotonic()

    def report() -> None:
        nonlocal unreported, reported_at
        with _counter.get_lock():
            _counter.value += unreported
        unreported, reported_at = 0, time.monotonic()

    def progress() -> None:
        nonlocal unreported
        unreported += 1
        if time.monotonic() - reported_at > POLL:
            report()

    result = task(progress)
    report()
    return result


@contextmanager
def worker_settings() -> Iterator[None]:
    """Set the environment that processes started meanwhile inherit; what the user has set stays."""
    before = {name: os.environ.get(name) for name in WORKER_SETTINGS}
    os.environ.update({name: before[name] or value for name, value in WORKER_SETTINGS.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
