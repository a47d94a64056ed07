"""The tests divided among machines, for `pytest --shard`: what shares a run stays together.

Every machine computes the same division from the tests' ids and the plan.
"""

from collections.abc import Iterable, Sequence

from cells import pieces, run_of, scopes

from ports.engine.matrix import iterations_of
from ports.engine.selection import Planned
from ports.engine.shards import Load, Shard

#: Seconds a test, by file: measured on two cores, both busy. Only the ratios count.
SECONDS = {
    "tests/reference/test_published.py": 8.0,
    "tests/ports/report/lesson/test_page.py": 3.4,
    "tests/reference/test_document.py": 2.6,
    "tests/ports/recordings/test_fuzz.py": 2.6,
    "tests/ports/check/test_examples.py": 2.0,
    "tests/ports/engine/test_free_run.py": 1.4,
    "tests/ports/recordings/test_programs.py": 1.4,
    "tests/ports/lesson/test_breaks.py": 1.2,
    "tests/ports/lesson/test_rounding.py": 1.1,
    "tests/test_readme.py": 1.2,
    "tests/ports/test_pytest_plugin.py": 1.2,
    "tests/test_certified_page.py": 1.2,
    "tests/ports/commands/test_command.py": 0.8,
    "tests/ports/lesson/test_exercise.py": 0.8,
    "tests/ports/conventions/test_recognition.py": 0.8,
    "tests/ports/diagnosis/test_search.py": 0.7,
    "tests/ports/report/test_plots.py": 0.4,
    "tests/docs/test_limits.py": 0.5,
    "tests/ports/bench/test_largest.py": 0.5,
    "tests/ports/bench/test_models.py": 0.5,
    "tests/ports/recordings/test_certify.py": 0.3,
    "tests/ports/report/lesson/test_rounding.py": 0.3,
    "tests/ports/bench/test_bench.py": 0.3,
    "tests/test_extension.py": 0.3,
    "tests/test_json.py": 0.4,
}
OTHERWISE = 0.1


def own_tests(shard: Shard, nodeids: Iterable[str], planned: Sequence[Planned]) -> set[str]:
    """The ids of a shard's tests: the dearest scope first, each to the shard that has least."""
    by_scope: dict[str, list[str]] = {}
    scope_of = scopes(planned)
    for nodeid in nodeids:
        by_scope.setdefault(scope_of(nodeid), []).append(nodeid)
    runs = seconds_of_runs(planned)
    costs = {scope: seconds(scope, tests, runs) for scope, tests in by_scope.items()}
    loads, own = [0.0] * shard.of, [set() for _ in range(shard.of)]
    for scope in sorted(costs, key=lambda scope: (-costs[scope], scope)):
        least = loads.index(min(loads))
        loads[least] += costs[scope]
        own[least] |= {*by_scope[scope]}
    return own[shard.number - 1]


def seconds(scope: str, tests: Sequence[str], runs: dict[str, float]) -> float:
    """What the tests of a scope take: each by its file, and the run that they share."""
    path, _, run = scope.partition(" ")
    each = SECONDS.get(path.partition("::")[0], OTHERWISE)
    return len(tests) * each + runs.get(run, 0.0)


def seconds_of_runs(planned: Sequence[Planned]) -> dict[str, float]:
    """What each run of test_lockstep.py takes, as `compare --shard` reckons it."""
    return {
        run_of(piece): Load(piece.part.cells).seconds
        * len(piece.part.steps)
        / iterations_of(piece.planned.cell.model)
        for piece in pieces(planned)
    }
