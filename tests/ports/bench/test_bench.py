"""`lockstep bench`: the machinery of the measurements. No test here depends on how fast anything is."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from ports.__main__ import main
from ports.bench import growth, one_call, runs, startup, steps
from ports.bench.listing import LISTINGS
from ports.bench.machine import processor
from ports.bench.measuring import (
    MET,
    MISSED,
    NO_GOAL,
    QUICK,
    SKIPPED,
    Row,
    exponent,
    interleaved,
    quartiles,
    ratio_row,
    row,
)
from ports.commands.bench import BENCHMARKS
from ports.engine.lockstep import natural_cell, reference_at
from ports.engine.matrix import Part
from ports.engine.selection import Planned
from ports.registry import PORTS
from ports.report import as_json, benchmarks
from reference.models import SOFTMAX
from reference.runs import trajectory

NUMPY = PORTS["numpy"]


def test_contestants_take_turns():
    """A B A B, after the call that warms each up."""
    called = []
    seconds = interleaved({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, rounds=3)
    assert "".join(called) == "ab" + "ababab"
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}


def test_short_calls_are_repeated():
    """A sample lasts long enough to be timed; its figure is per call."""
    seconds = interleaved({"sleep": lambda: time.sleep(0.001)}, rounds=1, sample=0.01)
    assert seconds["sleep"][0] >= 0.001


def test_a_slow_contestant_misses_its_goal():
    """Negative control: a contestant that is really forty times slower is not within 1.1."""
    seconds = interleaved(
        {"slow": lambda: time.sleep(0.02), "fast": lambda: time.sleep(0.0005)}, rounds=3
    )
    assert ratio_row("test", "slow / fast", 1.1, seconds, "slow", "fast").verdict == MISSED
    assert ratio_row("test", "fast / slow", 1.1, seconds, "fast", "slow").verdict == MET


def test_one_call_compares_on_both_sides():
    """The row is a ratio without a goal; both contestants find what is wrong."""
    x = np.random.default_rng(0).standard_normal((3, 4), dtype=np.float32)
    found = one_call.row_of(replace(QUICK, rounds=2, sample=0), "softmax", one_call.softmax, x)
    assert (found.bench, found.rounds, found.verdict) == ("call", 2, NO_GOAL)
    drifting = iter(range(9))
    wrong = one_call.contestants(lambda x: x + next(drifting), (x,))
    for compare in wrong.values():
        with pytest.raises(AssertionError):
            compare()


@pytest.mark.parametrize(
    ("goal", "figure", "verdict"),
    [
        (1.1, 1.1, MET),
        (1.1, 1.1000001, MISSED),
        (1.1, float("nan"), MISSED),
        (1.1, float("inf"), MISSED),
        (None, 3.0, NO_GOAL),
        (1.1, None, SKIPPED),
    ],
)
def test_verdict(goal, figure, verdict):
    """A figure equal to the goal meets it, and NaN does not."""
    assert Row("test", "what", "x", goal, figure).verdict == verdict


def test_ratio_is_taken_round_by_round():
    """A round in which the whole machine was slow does not count twice."""
    found = ratio_row("test", "a / b", 2.0, {"a": [1.0, 30.0, 3.0], "b": [1.0, 10.0, 2.0]}, "a", "b")
    assert found.figure == 1.5
    assert (found.low, found.high, found.rounds) == (1.25, 2.25, 3)


def test_quartiles_of_one_figure():
    """A single figure is its own spread."""
    assert quartiles([2.5]) == (2.5, 2.5, 2.5)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_exponent_of_a_power(power):
    """The fit finds the power that made the times."""
    sizes = [100, 1_000, 10_000]
    assert exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power, abs=1e-12)


@pytest.mark.parametrize("model", LISTINGS, ids=lambda model: model.name)
def test_listing_is_the_reference(model):
    """The listing, against which the reference is timed, computes the same parameters bit for bit."""
    problem = steps.document_problem(model, points=5)
    params = {name: value.copy() for name, value in problem.params.items()}
    for _, start, _ in trajectory(problem, 30):
        for name, value in start.params.items():
            np.testing.assert_array_equal(params[name], value, strict=True)
        LISTINGS[model](params, problem.X, problem.y, problem.reg, problem.step_size)


@pytest.mark.parametrize("model", LISTINGS, ids=lambda model: model.name)
def test_both_training_loops_run(model):
    """The traced and the untraced loop leave the problem's parameters as they were."""
    problem = steps.document_problem(model, points=5)
    before = {name: value.copy() for name, value in problem.params.items()}
    for call in steps.reference_contestants(problem, steps=3).values():
        call()
    for name, value in before.items():
        np.testing.assert_array_equal(problem.params[name], value)


def test_certificate_contestants_check_the_same_tensors():
    """The naive check fails on a tensor that was changed, so it does look at the tensors."""
    problem = steps.document_problem(SOFTMAX, points=5)
    ran = steps.run_steps(problem, [NUMPY], 2)
    contestants = steps.certificate_contestants([NUMPY], ran)
    for call in contestants.values():
        call()
    ran[1][2][0]["dscores"][3, 1] += 1
    with pytest.raises(AssertionError):
        contestants["assert_allclose"]()


def test_stacks_end_with_the_engines_own():
    """One port alone, all ports at one step, and as many steps as the engine judges at once."""
    (_, alone, one), (_, every, also_one), (_, group, several) = steps.stacks(list(PORTS.values()))
    assert (len(alone), one, also_one) == (1, 1, 1)
    assert len(every) == len(group) == len(PORTS)
    assert len(group) * (several - 1) < steps.STACK <= len(group) * several


@pytest.mark.parametrize(("jobs", "two_layer"), [(1, [range(100)]), (2, [range(50), range(50, 100)])])
def test_parts_are_the_default_runs(jobs, two_layer):
    """Every port runs both models; a long run is cut as the command cuts it, and comes first."""
    here = steps.ports_here()
    parts = runs.shortened_run(here, scale=0.01, jobs=jobs)
    assert all([p.port for p in part.cells] == here for part in parts)
    assert [(part.cells[0].cell.model, part.steps) for part in parts] == [
        *(("two_layer", steps) for steps in two_layer),
        ("softmax", range(2)),
    ]


def numpy_part(model):
    """Two steps of NumPy's port, not from the start."""
    return Part((Planned(natural_cell(model.name, NUMPY), NUMPY, None),), range(1, 3))


def test_a_crew_certifies_checks_and_trains():
    """Workers in their own processes run every part, in each of the three ways."""
    with runs.crew([numpy_part(SOFTMAX)], jobs=1, one_thread=True) as crew:
        for kind in ("certified", "naive", "bare"):
            crew.run(kind)


def test_naive_run_looks_at_every_step():
    """Negative control: the naive run compares what the port returned, at the part's steps alone."""
    seen = []

    def wrong_at_2(params, X, y, reg, step_size):
        seen.append(params["W"][0, 0])
        trace = NUMPY.module.softmax_step(params, X, y, reg, step_size)
        return trace if len(seen) < 2 else trace | {"db": trace["db"] + 1}

    loops = runs.Loops(numpy_part(SOFTMAX))
    loops.contestants[0].step = wrong_at_2
    with pytest.raises(AssertionError):
        loops.naive()
    assert len(seen) == 2
    assert seen[0] != reference_at(loops.problem, 0).params["W"][0, 0]


def test_a_crew_tells_what_went_wrong():
    """A worker's failure reaches the caller as a sentence."""
    with (
        pytest.raises(ValueError, match="KeyError: 'no_such_model'"),
        runs.crew([numpy_part(replace(SOFTMAX, name="no_such_model"))], jobs=1, one_thread=True),
    ):
        pass


@pytest.mark.parametrize("sizes", [{}, {"examples": 600}, {"hidden": 20}, {"classes": 300}])
def test_growth_certifies_what_it_times(sizes):
    """Any size is certified, even with more classes than a byte can number."""
    growth.certified(growth.sized_problem(**sizes), 1)()


def test_growth_refuses_what_is_not_certified(monkeypatch):
    """Negative control: a run that disagrees gives an error and no figure."""
    port = NUMPY.module
    right = port.two_layer_step

    def wrong(*inputs):
        trace = right(*inputs)
        return dict(trace) | {"db2": trace["db2"] * 1.001}

    monkeypatch.setattr(port, "two_layer_step", wrong)
    with pytest.raises(ValueError, match="not certified"):
        growth.certified(growth.sized_problem(examples=12, hidden=4), 1)()


def test_peak_memory_sees_arrays():
    """The peak counts what is freed before the end, and not what was there before."""
    held = np.ones(10**6)
    peak = growth.peak_memory(lambda: np.ones(10**5).sum() + held[0])
    assert 8e5 <= peak < 1e6


def test_time_rows_are_of_the_sizes_beyond_the_small_ones(monkeypatch):
    """There is a row for the certified step, with a goal, and one for the port's own, without."""

    def clock(contestants, *effort):
        """A clock: a certified step takes the square of its size, and the port's own step its size."""
        for run in contestants.values():
            run()
        sizes = {name: int(name.rpartition(" ")[2]) for name in contestants}
        return {name: [float(n**2 if "certified" in name else n)] for name, n in sizes.items()}

    monkeypatch.setattr(growth, "interleaved", clock)
    problems = {n: growth.sized_problem(examples=n) for n in (6, 60, 120)}
    certified, own = growth.time_rows(QUICK, "examples", problems, beyond=60)
    assert (certified.goal, own.goal, own.verdict) == (growth.EXPONENT_GOAL, None, NO_GOAL)
    for found in (certified, own):
        assert "60 to 120" in found.what
        assert set(found.detail["median seconds"]) == {"6", "60", "120"}
    assert certified.detail["median seconds"]["120"] > own.detail["median seconds"]["120"]
    assert (certified.figure, own.figure) == pytest.approx((2, 1))


def test_memory_row_has_a_share_for_both_ends():
    """The figure is the largest size's."""
    found = growth.memory_row("examples", {n: growth.sized_problem(examples=n) for n in (30, 60)})
    assert found.figure == found.detail["share"]["60"]
    assert set(found.detail["share"]) == {"30", "60"}
    assert found.goal is None


@pytest.mark.parametrize(("name", "largest"), [("examples", 20_000), ("classes", 1_000)])
def test_memory_of_a_large_problem_meets_its_goal(name, largest):
    """Memory counts at the sizes at which steps are no longer stacked."""
    found = growth.memory_row(name, {n: growth.sized_problem(**{name: n}) for n in (30, largest)})
    assert found.goal == growth.MEMORY_GOALS[name]
    assert found.verdict == MET


def test_clone_is_skipped_with_a_reason(tmp_path):
    """Without a checkout there is nothing to clone, and the row says so."""
    found = startup.clone_row(tmp_path)
    assert (found.verdict, found.skipped) == (SKIPPED, "not a git checkout")
    assert "not a git checkout" in benchmarks.line(found)


def test_a_failing_command_is_no_figure(tmp_path):
    """A command that fails quickly does not count as fast."""
    with pytest.raises(OSError, match="ended with"):
        startup.call([*startup.PYTHON, "no-such-command"], startup.ROOT)


def test_command_prints_and_writes_rows(tmp_path, capsys, monkeypatch):
    """Table and JSON hold the same rows and the machine; a missed goal still is exit 0."""
    slow = row("reference", "a slow contestant", "x", 1.1, [4.0, 5.0, 6.0])
    monkeypatch.setitem(BENCHMARKS, "reference", lambda effort: iter([slow] if effort == QUICK else []))
    path = tmp_path / "bench.json"
    assert main(["bench", "--quick", "--only", "reference", "--json", str(path)]) == 0
    (last,) = capsys.readouterr().out.splitlines()[-1:]
    assert " ".join(last.split()) == "reference a slow contestant 5x 4.5 to 5.5 <= 1.1 MISSED"
    written = json.loads(path.read_text())
    assert written["schema"] == as_json.BENCH
    assert {"processor", "cores", "numpy", "thread settings"} <= written["machine"].keys()
    (entry,) = written["rows"]
    assert (entry["figure"], entry["low"], entry["high"]) == (5.0, 4.5, 5.5)
    assert (entry["goal"], entry["verdict"], entry["rounds"]) == (1.1, MISSED, 3)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--only", "growht"], "did you mean growth"),
        (["--json", "no/such/folder/out.json"], "no/such/folder"),
    ],
)
def test_bad_input_is_status_2(arguments, named, capsys):
    """The error is one sentence, before anything is measured."""
    assert main(["bench", *arguments]) == 2
    assert named in capsys.readouterr().err


def test_processor_without_cpuinfo(tmp_path):
    """On systems other than Linux, the platform module names the machine."""
    assert processor(tmp_path / "none")
