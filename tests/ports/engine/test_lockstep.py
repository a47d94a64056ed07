"""The engine and its results: what is counted, what is kept, and what a run that ends early tells."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ports.contract import LoadedPort
from ports.engine import lockstep
from ports.engine.lockstep import (
    certify_spiral,
    chosen_steps,
    prepare,
    reference_at,
    run_lockstep,
    run_step_at,
)
from ports.engine.results import Cell
from ports.in_numpy import reference as numpy_reference
from ports.registry import FRAMEWORKS, PORTS
from ports.report.matrix import failures
from reference.agreement.judge import (
    END_TO_END,
    LOCAL,
    certify_steps,
    compare,
)
from reference.models import MODELS, SOFTMAX
from reference.runs import draw, trajectory
from reference.trace import record

DRAWS = draw(np.random.RandomState(0), 5)
PROBLEM = DRAWS.problem(SOFTMAX)
CELL = Cell("softmax", "numpy", "eager", "cpu", "float64")


# Steps


@pytest.mark.parametrize(
    ("count", "steps"),
    [
        (None, range(10)),
        (10, range(10)),
        (99, range(10)),
        (3, {0, 4, 9}),
        (4, {0, 3, 6, 9}),
        (2, {0, 9}),
        (1, {0}),
    ],
)
def test_chosen_steps_are_spread_over_the_run(count, steps):
    """All steps are chosen, or that many, with the first and the last among them."""
    assert chosen_steps(10, count) == steps


def test_reference_at_is_the_trajectorys():
    """The parameters at the start of a step are those that the reference's own run has there."""
    for i, start, _ in trajectory(PROBLEM, 4):
        params = reference_at(PROBLEM, i).params
        assert all(np.array_equal(start.params[name], at) for name, at in params.items())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("model", MODELS)
def test_one_step_is_held_against_its_own_recordings(model, dtype):
    """The trace of one step lies within its bounds, and has the port's dtype."""
    start = reference_at(DRAWS.problem(MODELS[model]), 3)
    cell = replace(CELL, model=model, dtype=dtype)
    trace, expected, problems = run_step_at(PORTS["numpy"], cell, start, 3)
    assert not problems
    assert list(trace) == list(expected) == list(MODELS[model].quantities)
    for name, got in trace.items():
        assert got.dtype == dtype
        assert compare(name, LOCAL, got, expected[name].at((0, 0))).agrees


def test_one_step_is_not_held_against_what_has_a_wrong_form():
    """What has the right form is used for what follows, even if it is wrong; the rest is reported."""

    def wrong_in_two_ways(params, X, y, reg, step_size):
        trace = numpy_reference.softmax_step(params, X, y, reg, step_size)
        dW = 2 * trace["dW"]
        W_next = params["W"] - step_size * dW
        return trace | {"dW": dW, "W_next": W_next, "db": trace["db"][0]}

    port = numpy_port(wrong_in_two_ways)
    trace, expected, problems = run_step_at(port, CELL, PROBLEM, 0)
    assert problems == {"db": "has shape (3,), expected (1, 3)"}
    agreeing = {
        name
        for name, bound in expected.items()
        if name not in problems and compare(name, LOCAL, trace[name], bound.at((0, 0))).agrees
    }
    assert set(SOFTMAX.quantities) - agreeing == {"dW", "db"}


# Runs


def numpy_port(softmax_step=numpy_reference.softmax_step, **parts):
    """A port in NumPy with another softmax step."""
    module = SimpleNamespace(softmax_step=softmax_step, **parts)
    return LoadedPort("odd", "odd", FRAMEWORKS["numpy"], loaded=module)


def run(*ports, steps=range(6), iterations=6, problem=PROBLEM, dtype="float64"):
    """The results of these ports, run together, and the number of calls to `progress`."""
    cell, told = replace(CELL, dtype=dtype), []
    contestants = [prepare(cell, port, problem, steps) for port in ports]
    return run_lockstep(problem, contestants, iterations, lambda: told.append(1)), len(told)


def failing_from(step):
    """A softmax step that raises from a given call on."""
    calls = []

    def softmax_step(*inputs):
        calls.append(1)
        if len(calls) > step:
            raise ZeroDivisionError("no more")
        return numpy_reference.softmax_step(*inputs)

    return softmax_step


def test_port_that_raises_keeps_what_it_has_and_the_others_go_on():
    """Its result says what it raised at which step; its neighbour is judged at every step."""
    (broken, whole), told = run(numpy_port(failing_from(2)), numpy_port())
    assert broken.error == "step 2: the port raised ZeroDivisionError: no more"
    assert (broken.steps, whole.steps) == (2, 6)
    assert all(v.agrees for v in broken.verdicts.values())
    assert whole.agrees
    assert told == 6 + 3


def test_port_makes_its_steps_one_after_the_other():
    """A port makes all steps of one pass in a row, as in a training loop, not in turns with others."""
    turns = []

    def noting(name):
        def softmax_step(*inputs):
            turns.append(name)
            return numpy_reference.softmax_step(*inputs)

        return softmax_step

    results, _ = run(numpy_port(noting("a")), numpy_port(noting("b")))
    assert all(result.agrees and result.steps == 6 for result in results)
    assert "".join(turns) == "aaaaaabbbbbb"


def test_port_may_use_its_memory_again():
    """A port that writes every step's results into the same arrays is judged on each step's numbers."""
    memory = {}

    def reusing(*inputs):
        for name, value in numpy_reference.softmax_step(*inputs).items():
            np.copyto(memory.setdefault(name, np.empty_like(value)), value)
        return memory

    (result,), _ = run(numpy_port(reusing))
    assert result.agrees
    assert result.steps == 6


@pytest.mark.parametrize("first", [0, 1, 3, 5])
def test_ports_that_raise_in_one_pass_leave_the_others_all_their_steps(first):
    """Each keeps the steps that it made, and their errors are reported for the right port and step."""
    calls = []

    def wrong_at_step_5(*inputs):
        calls.append(1)
        trace = numpy_reference.softmax_step(*inputs)
        return trace | {"loss": trace["loss"] * (1 + (len(calls) == 6))}

    ports = (failing_from(first), wrong_at_step_5, failing_from(4))
    (one, wrong, two), told = run(*map(numpy_port, ports))
    assert (one.steps, wrong.steps, two.steps) == (first, 6, 4)
    assert [r.error.partition(":")[0] for r in (one, wrong, two)] == [f"step {first}", "", "step 4"]
    assert [(step, f.quantity) for step, f in wrong.first_failures()] == [(5, "loss")] * 2
    assert told == first + 1 + 6 + 5


def test_nothing_waits_for_contestants_that_have_dropped_out(monkeypatch):
    """Memory does not grow with steps that no contestant makes any more."""
    monkeypatch.setattr(lockstep, "STACK", 1)
    heat = lockstep.Heat(PROBLEM, [prepare(CELL, numpy_port(failing_from(0)), PROBLEM, range(9))])
    for i in range(9):
        heat.start_from(i, PROBLEM.params)
        assert not heat.starts


def test_each_step_is_judged_by_its_own_number():
    """In one pass, the wrong step and the wrong port are told from the others."""
    calls = []

    def wrong_at_step_4(*inputs):
        calls.append(1)
        trace = numpy_reference.softmax_step(*inputs)
        return trace | {"loss": trace["loss"] * (1 + (len(calls) == 5))}

    (right, wrong), _ = run(numpy_port(), numpy_port(wrong_at_step_4))
    assert right.agrees
    assert [(step, f.quantity) for step, f in wrong.first_failures()] == [(4, "loss")] * 2
    assert {v.failures for v in wrong.quantity("loss")} == {1}


@pytest.mark.parametrize(
    ("ports", "stack", "stack_traces", "judged"),
    [
        (1, 4, 100, [4, 2]),
        (2, 4, 100, [2, 2, 2]),
        (2, 5, 100, [3, 3]),
        (1, 100, 4, [4, 2]),
        (2, 100, 4, [2, 2, 2]),
        (1, 100, 100, [6]),
    ],
)
def test_steps_are_judged_when_enough_of_them_wait(ports, stack, stack_traces, judged, monkeypatch):
    """At most a fixed number of port steps or bytes wait, so memory does not grow with the steps."""
    trace, sizes = record(PROBLEM), []

    def counting(starts, *others, **bounds):
        sizes.append(len(starts))
        return certify_steps(starts, *others, **bounds)

    monkeypatch.setattr(lockstep, "certify_steps", counting)
    monkeypatch.setattr(lockstep, "STACK", stack)
    monkeypatch.setattr(lockstep, "STACK_BYTES", stack_traces * sum(t.nbytes for t in trace.values()))
    results, _ = run(*[numpy_port()] * ports)
    assert all(result.agrees and result.steps == 6 for result in results)
    assert sizes == judged


def test_ports_are_judged_at_the_steps_chosen_for_them():
    """Ports have different steps in one run; it ends after the last step that any port wants."""
    few = prepare(CELL, numpy_port(), PROBLEM, (1, 3))
    all_ = prepare(CELL, numpy_port(), PROBLEM, range(9))
    run_lockstep(PROBLEM, [few, all_], 5)
    assert (few.result.steps, all_.result.steps) == (2, 5)
    assert {v.first_step for v in few.result.verdicts.values()} == {-1}


def test_reference_stops_with_the_last_chosen_step():
    """It is no error if a run leaves the number range after the last judged step."""
    wild = PROBLEM.changed(step_size=1e5)
    (result,), _ = run(numpy_port(), steps=(0,), iterations=3, problem=wild)
    assert result.agrees
    (result,), _ = run(numpy_port(), iterations=3, problem=wild)
    assert result.steps == 1
    assert result.error.startswith("step 1: score")
    few, all_ = (prepare(CELL, numpy_port(), wild, steps) for steps in ((0,), range(3)))
    run_lockstep(wild, [few, all_], 3)
    assert few.result.agrees
    assert all_.result.error == result.error


def test_reference_that_overflows_at_once_is_told():
    """The run has one step, whose scores are out of range from the start."""
    beyond = replace(PROBLEM, params=PROBLEM.params | {"b": np.array([[1e3, 0.0, 0.0]])})
    (result,), told = run(numpy_port(), steps=(0,), problem=beyond)
    assert result.error.startswith("step 0: score")
    assert not result.agrees
    assert told == 0


def test_error_of_a_port_comes_before_the_references():
    """A port that had dropped out before the reference overflows keeps its own error."""
    (result,), _ = run(numpy_port(failing_from(0)), problem=PROBLEM.changed(step_size=1e5))
    assert result.error == "step 0: the port raised ZeroDivisionError: no more"
    assert result.steps == 0


@pytest.mark.parametrize("neighbours", [1, 2])
@pytest.mark.parametrize("bad_step", [0, 2, 5])
def test_recording_without_a_bound_ends_its_own_run_alone(bad_step, neighbours):
    """A subnormal probability agrees, but what follows it has no bound: its neighbours are judged on."""
    smallest = float(np.finfo(np.float32).smallest_normal)
    params = {"W": np.zeros((2, 2)), "b": np.log([[1.0, 2.5 * smallest]])}
    rare = PROBLEM.changed(X=np.ones((1, 2)), y=np.array([1]), params=params, step_size=1e-9)
    calls = []

    def subnormal_at_a_step(*inputs):
        calls.append(1)
        trace = numpy_reference.softmax_step(*inputs)
        if len(calls) == bad_step + 1:
            trace["probs"] = np.array([[1.0, 0.5 * smallest]], np.float32)
        return trace

    ports = numpy_port(subnormal_at_a_step), *[numpy_port()] * neighbours
    (bad, *others), _ = run(*ports, problem=rare, dtype="float32")
    assert all(other.agrees and other.steps == 6 for other in others)
    assert bad.steps == bad_step
    assert bad.error.startswith(f"step {bad_step}: log(")
    assert all(verdict.agrees for verdict in bad.verdicts.values())


def test_port_that_raised_is_not_run_again(monkeypatch):
    """It is not asked for a step in later passes either."""
    monkeypatch.setattr(lockstep, "STACK", 3)
    (broken,), told = run(numpy_port(failing_from(1)))
    assert (broken.steps, told) == (1, 2)


def test_step_that_cannot_be_made_costs_its_own_cell():
    """If creating the step raises, the cell's result says so; its neighbour is judged."""

    class SoftmaxStep:
        def __init__(self, compile):
            raise RuntimeError("no luck")

    (broken, whole), _ = run(numpy_port(SoftmaxStep), numpy_port())
    assert broken.error == "step 0: the port raised RuntimeError: no luck"
    assert whole.agrees


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "softmax_step returned None, expected a dict {quantity: tensor}: is there a return?"),
        ([1], "softmax_step returned a list, expected a dict {quantity: tensor}"),
        ({1: np.ones(1)}, "softmax_step returned the key 1, expected names"),
        ({"loss": 1.5}, "loss is a float, expected an array or a tensor: leave out float() or .item()"),
    ],
)
def test_what_is_no_trace_is_told(returned, said):
    """The error has the words of the port's contract."""
    (result,), _ = run(numpy_port(lambda *inputs: returned))
    assert result.error == f"step 0: {said}"


def test_exit_is_an_error_of_the_port():
    """A port that tries to end the process ends only its own cell."""
    (exits, whole), _ = run(numpy_port(lambda *inputs: sys.exit(0)), numpy_port())
    assert exits.error == "step 0: the port raised SystemExit: 0"
    assert whole.agrees


def test_step_without_a_bound_ends_the_run_of_that_dtype():
    """Scores past exp's range in float32 end that run; its earlier steps count, and float64 goes on."""
    growing = PROBLEM.changed(X=np.full((1, 2), 10.0), y=np.array([0]), step_size=-0.1, reg=0.0)
    (single,), _ = run(numpy_port(), problem=growing, dtype="float32", iterations=60, steps=range(60))
    (double,), _ = run(numpy_port(), problem=growing, iterations=60, steps=range(60))
    assert 0 < single.steps < double.steps
    assert single.error.startswith(f"step {single.steps}: ")
    assert "float32" in single.error
    assert all(v.agrees for v in single.verdicts.values())
    last_two = (single.steps - 1, single.steps)
    (two,), _ = run(numpy_port(), problem=growing, dtype="float32", iterations=60, steps=last_two)
    assert (two.steps, two.error) == (1, single.error)


#: Weights that cancel, and double with each step: soon the weights alone do not tell the scores.
CANCELLING = PROBLEM.changed(
    X=np.ones((1, 2)),
    y=np.array([1]),
    params={"W": np.array([[2e5, 0.0], [-2e5, 1.0]]), "b": np.zeros((1, 2))},
    reg=1.0,
    step_size=-1.0,
)


def changing_last(change):
    """A softmax step that changes its trace in the sixth call."""
    calls = []

    def softmax_step(*inputs):
        calls.append(1)
        trace = numpy_reference.softmax_step(*inputs)
        return change(trace) if len(calls) == 6 else trace

    return softmax_step


@pytest.mark.parametrize("ports", [1, 2])
def test_local_certificates_go_on_where_the_bounds_from_the_weights_end(ports):
    """The result says from which step on, and counts what was compared."""
    results, told = run(*[numpy_port()] * ports, problem=CANCELLING, dtype="float32")
    assert told == 6 * ports
    for result in results:
        assert (result.agrees, result.steps, result.error) == (True, 6, "")
        assert 0 < result.steps_followed == result.local_alone.step < 6
        assert result.local_alone.why.startswith(f"step {result.steps_followed}: ")
        counted = {(by, verdict.steps) for (_, by), verdict in result.verdicts.items()}
        assert counted == {(LOCAL, 6), (END_TO_END, result.steps_followed)}
        end_to_end = f"{result.cell}: end to end at {result.steps_followed} of 6 steps, locally at all: "
        assert failures([result]).startswith(end_to_end)
    (double,), _ = run(numpy_port(), problem=CANCELLING)
    assert (double.steps_followed, double.local_alone) == (6, None)


@pytest.mark.parametrize("factor", [1.001, np.nan])
def test_error_is_found_where_the_bounds_from_the_weights_have_ended(factor):
    """Negative control: a wrong gradient at the last step, in one of two ports."""
    wrong = changing_last(lambda trace: trace | {"db": np.float32(factor) * trace["db"]})
    (result, other), _ = run(numpy_port(wrong), numpy_port(), problem=CANCELLING, dtype="float32")
    step, found = result.first_failures()[0]
    assert (step, found.quantity, found.certificate) == (5, "db", LOCAL)
    assert not result.agrees
    assert other.agrees


def test_recording_without_any_bound_still_ends_its_run():
    """Where neither certificate has a bound, the error says so; earlier steps stay counted."""
    tiny = changing_last(lambda trace: trace | {"probs": np.float32([[1.0, 1e-45]])})
    (result, other), _ = run(numpy_port(tiny), numpy_port(), problem=CANCELLING, dtype="float32")
    assert result.steps == 5
    assert result.error.startswith("step 5: ")
    assert (other.steps, other.error) == (6, "")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_wrong_spiral_is_caught(dtype):
    """Points and labels are judged apart; the right ones agree."""

    def judged(change_X, change_y):
        def spiral(noise):
            X, y = numpy_reference.spiral(noise)
            return change_X * X, y + change_y

        cell = replace(CELL, model="spiral", dtype=dtype)
        return certify_spiral(cell, numpy_port(spiral=spiral), DRAWS.noise)

    one = np.ones((), dtype)
    assert judged(one, 0).agrees
    assert {f.quantity for _, f in judged(one * (1 + 1e-4), 0).first_failures()} == {"X"}
    assert [(step, f.quantity) for step, f in judged(one, 1).first_failures()] == [(0, "y")]
    assert judged(one, 0).steps == 1


@pytest.mark.parametrize(
    ("change", "blamed", "said"),
    [
        (lambda X, y: (X[None], y), "X", "has shape (1, 15, 2), expected (15, 2)"),
        (lambda X, y: (X, y[:, None]), "y", "has shape (15, 1), expected (15,)"),
        (lambda X, y: (X, y[:0]), "y", "has shape (0,), expected (15,)"),
        (lambda X, y: (X.astype("float32"), y), "X", "has dtype float32, expected float64"),
        (lambda X, y: (X, y + 1j), "y", "has dtype complex128, expected integers"),
    ],
    ids=["X_shape", "y_shape", "no_labels", "X_dtype", "y_dtype"],
)
def test_misshapen_spiral_is_a_finding(change, blamed, said):
    """Values that cannot be compared, or not without a conversion, are reported as what they are."""
    port = numpy_port(spiral=lambda noise: change(*numpy_reference.spiral(noise)))
    result = certify_spiral(replace(CELL, model="spiral"), port, DRAWS.noise)
    assert [(f.quantity, f.problem) for _, f in result.first_failures()] == [(blamed, said)]
    assert set(result.verdicts) == {("X", END_TO_END), ("y", END_TO_END)}  # the other one is compared


@pytest.mark.parametrize(
    ("spiral", "said"),
    [
        (lambda noise: sys.exit(0), "the port raised SystemExit: 0"),
        (lambda noise: 1 / 0, "the port raised ZeroDivisionError: division by zero"),
        (lambda noise: noise, "spiral returned a ndarray, expected X, y"),
        (lambda noise: None, "spiral returned None, expected X, y"),
        (lambda noise: (noise, [0]), "y is a list, expected an array or a tensor"),
    ],
)
def test_spiral_that_goes_wrong_costs_its_own_cell(spiral, said):
    """Whatever the spiral raises or returns is told in its result."""
    result = certify_spiral(replace(CELL, model="spiral"), numpy_port(spiral=spiral), DRAWS.noise)
    assert result.error == said
    assert not result.agrees


@pytest.mark.parametrize(("mode", "times"), [("eager", 0), ("compiled", 1)])
def test_spiral_is_compiled_in_the_compiled_mode_alone(mode, times, monkeypatch):
    """The framework compiles the port's spiral, and the compiled function is judged."""
    compiled = []
    monkeypatch.setattr(FRAMEWORKS["numpy"].host, "compile", lambda f: compiled.append(f) or f)
    cell = replace(CELL, model="spiral", mode=mode)
    assert certify_spiral(cell, PORTS["numpy"], DRAWS.noise).agrees
    assert compiled == [numpy_reference.spiral] * times
