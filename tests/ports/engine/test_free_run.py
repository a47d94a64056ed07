"""Free runs: every port stays within reach of the noise floor, and planted bugs do not."""

from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from ports.contract import LoadedPort
from ports.engine.free_run import Drift, Flip, run_free
from ports.engine.noise_floor import distance
from ports.engine.results import Cell
from ports.in_numpy import reference as numpy_reference
from ports.registry import FRAMEWORKS, PORTS
from ports.report.drift import table, verdict
from reference.agreement.arithmetic import ARITHMETICS
from reference.agreement.bounds import end_to_end
from reference.models import MODELS
from reference.runs import draw, trajectory
from reference.trace import record

DTYPES = ("float64", "float32")
#: How many updates the runs of every port make; float32 runs have all flipped long before 300.
STEPS = {"softmax": 200, "two_layer": 300}
#: Ports that also train for all 10,000 steps, one per framework.
FULL = ("torch_manual", "jax_manual")

each_model = pytest.mark.parametrize("model", STEPS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def problem_of(model: str, points: int = 100):
    """The note's problem."""
    return draw(np.random.RandomState(0), points).problem(MODELS[model])


def in_dtype(problem, dtype: str):
    """The same problem, in arrays of that dtype."""
    params = {name: value.astype(dtype) for name, value in problem.params.items()}
    return problem.changed(X=problem.X.astype(dtype), params=params)


def train(model: str, ports, dtype: str = "float64", steps: int = 20, points: int = 100, **options):
    """Free runs of ports in their natural modes, with one floor member of each kind."""
    with ExitStack() as settings:
        for port in ports:
            settings.enter_context(port.host.exact_settings())
        cells = [(Cell(model, p.name, p.host.natural_mode, "cpu", dtype), p) for p in ports]
        return run_free(problem_of(model, points), cells, steps, members=1, **options)


@cache
def everyone(model: str, dtype: str) -> dict[str, Drift]:
    """All ports that are here and compute in one dtype, with one floor."""
    here = [port for port in PORTS.values() if not port.absence() and not port.mixed]
    return {d.cell.port: d for d in train(model, here, dtype, STEPS[model])}


@cache
def full_run() -> dict[str, Drift]:
    """The note's 10,000 steps, of a few ports."""
    here = [PORTS[name] for name in FULL if not PORTS[name].absence()]
    return {d.cell.port: d for d in train("two_layer", here, steps=10_000)}


def skip_if_absent(name: str) -> None:
    """Skip, with the reason, if the port's framework is not installed, or if it has no floor."""
    if PORTS[name].absence():
        pytest.skip(PORTS[name].absence())
    if PORTS[name].mixed:
        pytest.skip(f"{name} is in mixed precision: no noise floor is its own")


@each_dtype
@pytest.mark.parametrize("name", PORTS)
@each_model
def test_port_drifts_no_farther_than_noise_may(model, name, dtype):
    """A port that trains by itself stays within headroom times the noise floor at every step."""
    skip_if_absent(name)
    drift = everyone(model, dtype)[name]
    assert drift.agrees, verdict(drift)
    assert np.isfinite(drift.losses).all()
    assert drift.horizon == STEPS[model] or dtype == "float32"
    assert drift.horizon >= 100


@pytest.mark.parametrize("name", FULL)
def test_full_two_layer_run_drifts_no_farther_than_noise_may(name):
    """So it does over all 10,000 steps, through chaos, flips and saturation."""
    skip_if_absent(name)
    drift = full_run()[name]
    assert drift.agrees, verdict(drift)
    assert drift.horizon > 3000
    assert drift.first_flip.step > 1000
    assert drift.floor.first_flip > 1000
    assert drift.distances[-1] > 1e-6  # the floor allows for chaos


def test_port_in_mixed_precision_is_refused_in_a_sentence():
    """Its noise is neither that of float32 nor that of its narrower format."""
    sentence = (
        "p computes in bfloat16 with float32 parameters, and the noise floor of a free run is that"
    )
    module = ModuleType("p")
    module.quantity_dtypes = {"scores": "bfloat16"}
    port = LoadedPort("p", "p", PORTS["numpy"].framework, loaded=module)
    with pytest.raises(ValueError, match=f"^{sentence} of one dtype: lockstep compare certifies it"):
        train("softmax", [port], "float32")


@each_model
def test_reference_does_not_drift_from_itself(model):
    """In float64 the reference, run as a port, is equal bit for bit, losses too, and flips nothing."""
    drift = everyone(model, "float64")["numpy"]
    assert not drift.distances.any()
    assert np.array_equal(drift.losses, drift.floor.losses)
    assert drift.first_flip is None


def planted(*changes):
    """The NumPy port with its step changed, as `make_wrong` says."""
    module = ModuleType("planted")
    for model in STEPS:
        step = getattr(numpy_reference, f"{model}_step")
        setattr(module, f"{model}_step", make_wrong(step, *changes))
    return LoadedPort("planted", "planted", FRAMEWORKS["numpy"], loaded=module)


def make_wrong(
    step, before=lambda settings: settings, after=lambda trace, given, state, settings: trace
):
    """Make a step whose settings (reg, step_size) are changed before it, or its trace after it."""

    class Wrong:
        def __init__(self, compile):
            self.state = {"steps": 0}

        def __call__(self, params, X, y, *settings):
            trace = step(params, X, y, *before(settings))
            trace = after(trace, params, self.state, settings)
            self.state["steps"] += 1
            return trace

    return Wrong


def biases_decay(trace, given, state, settings):
    """Weight decay on the biases too."""
    reg, step_size = settings
    for name in given:
        if name.startswith("b"):
            trace[f"{name}_next"] = trace[f"{name}_next"] - step_size * reg * given[name]
    return trace


def with_momentum(trace, given, state, settings):
    """Momentum left on, at 1e-3."""
    for name in given:
        trace[f"{name}_next"] = trace[f"{name}_next"] + 1e-3 * state.get(name, 0.0)
    state |= {name: trace[f"{name}_next"] - given[name] for name in given}
    return trace


def same_settings(settings):
    """No change."""
    return settings


#: What is wrong, and the step at which it shows. At first the biases and the momentum are 0.
BUGS = {
    "biases_decay": ((same_settings, biases_decay), 2),
    "step_size_off_by_1e-6": ((lambda s: (s[0], s[1] * (1 + 1e-6)),), 1),
    "momentum_left_on": ((same_settings, with_momentum), 2),
    "reg_off_by_1e-6": ((lambda s: (s[0] * (1 + 1e-6), s[1]),), 1),
}


@pytest.mark.parametrize("bug", BUGS)
@each_model
def test_planted_bug_is_caught(model, bug):
    """Negative control: small errors of an update show at once, and the step is named."""
    changes, step = BUGS[bug]
    (drift,) = train(model, [planted(*changes)])
    assert not drift.agrees
    assert drift.first_excess == step
    assert verdict(drift).strip() == f"FAILS at step {step}"


@pytest.mark.parametrize("name", FULL)
def test_planted_bug_is_caught_in_a_framework(name):
    """Negative control: the same engine sees it in tensors of other frameworks."""
    skip_if_absent(name)
    honest = PORTS[name]
    module = ModuleType("planted")
    module.two_layer_step = make_wrong(honest.module.two_layer_step, after=biases_decay)
    wrong = LoadedPort("planted", "planted", honest.framework, honest.packages, loaded=module)
    (drift,) = train("two_layer", [wrong])
    assert drift.first_excess == 2


def test_bug_that_comes_late_is_caught():
    """Negative control: after 500 good steps, one update with 1% of its step missing."""

    def late(trace, given, state, settings):
        if state["steps"] == 500:
            for name in given:
                trace[f"{name}_next"] = 0.99 * trace[f"{name}_next"] + 0.01 * given[name]
        return trace

    (drift,) = train("two_layer", [planted(same_settings, late)], steps=520)
    assert drift.first_excess == 501


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@each_model
def test_numbers_out_of_range_agree_with_nothing(model, poison):
    """Negative control: NaN or infinity in one parameter fails at the step at which it appears."""

    def spoil(trace, given, state, settings):
        if state["steps"] == 7:
            trace["b_next"] = trace["b_next"].copy()
            trace["b_next"][0, 1] = poison
        return trace

    (drift,) = train(model, [planted(same_settings, spoil)])
    assert not drift.agrees
    assert drift.first_excess == 8


def drops_bias(trace, given, state, settings):
    """A trace without its new bias."""
    del trace["b_next"]
    return trace


def flattens_bias(trace, given, state, settings):
    """A bias of another shape, which would broadcast."""
    return trace | {"b_next": trace["b_next"][0]}


def narrows_bias(trace, given, state, settings):
    """A bias of another dtype."""
    return trace | {"b_next": trace["b_next"].astype("float32")}


def lists_bias(trace, given, state, settings):
    """A bias that is no tensor."""
    return trace | {"b_next": trace["b_next"].tolist()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drops_bias, "step 0: b_next is missing from the port's trace"),
        (flattens_bias, "step 0: b_next is float64 (3,), expected float64 (1, 3)"),
        (narrows_bias, "step 0: b_next is float32 (1, 3), expected float64 (1, 3)"),
        (lists_bias, "step 0: b_next is a list, expected an array or a tensor"),
    ],
)
def test_trace_that_cannot_be_fed_back_is_named(change, message):
    """A missing, reshaped or retyped parameter ends the port's run, and the others go on."""
    wrong, honest = train("softmax", [planted(same_settings, change), PORTS["numpy"]])
    assert not wrong.agrees
    assert wrong.error == message
    assert message in verdict(wrong)
    assert honest.agrees


def test_nothing_told_from_noise_does_not_agree():
    """If even the first step allows a distance of 1, nothing was tested."""
    floor = SimpleNamespace(distances=np.array([0.1, 0.1]))
    within = Drift(Cell("softmax", "p", "eager", "cpu", "float32"), floor, *np.full((3, 2), 10.0))
    within.distances[:] = 0.0
    assert within.first_excess is None
    assert not within.agrees
    assert "no step can be told from noise" in verdict(within)


def test_first_flip_is_the_first():
    """In float32 a ReLU flips. In a plain replay no mask differs before, and this entry does."""
    flip = everyone("two_layer", "float32")["numpy"].first_flip
    problem = problem_of("two_layer")
    held = problem.held_as("float32")
    low = in_dtype(problem, "float32")
    for i, there, trace in trajectory(held, flip.step + 1):
        mine = record(low)
        differ = (mine["hidden_layer"] > 0) != (trace["hidden_layer"] > 0)
        if i < flip.step:
            assert not differ.any()
        here, theirs, low = low, there, low.starting_from(low.model.next_params(mine))
    assert differ[flip.example, flip.unit]
    assert differ.sum() == flip.count
    for start, seen in ((theirs, flip.reference), (here, flip.port)):
        W, b = (start.params[name].astype(float)[:, flip.unit] for name in ("W", "b"))
        assert seen == pytest.approx(float(held.X[flip.example] @ W + b[0]), rel=1e-12)
    assert flip.reference * flip.port < 0


def test_parameters_go_back_as_they_came():
    """A port gets the very tensors that it returned: nothing is copied, moved or retyped in between."""
    given, returned = [], []

    def watch(trace, params, state, settings):
        given.append(params["W"])
        returned.append(trace["W_next"])
        return trace

    train("softmax", [planted(same_settings, watch)], "float32", steps=5)
    assert all(W is W_next for W, W_next in zip(given[1:], returned[:-1], strict=True))
    assert given[0].dtype == np.float32


def test_progress_is_told_each_step():
    """The callable gets every step once."""
    seen = []
    train("softmax", [PORTS["numpy"]], steps=5, progress=seen.append)
    assert seen == [0, 1, 2, 3, 4]


def test_runs_are_reproducible():
    """The same seed gives the same floor, another seed another floor."""
    a, b, c = (train("softmax", [PORTS["numpy"]], seed=seed)[0].floor for seed in (0, 0, 1))
    assert np.array_equal(a.distances, b.distances)
    assert not np.array_equal(a.distances, c.distances)


def test_cells_of_two_dtypes_share_no_floor():
    """A floor belongs to one model and one dtype."""
    cells = [(Cell("softmax", "numpy", "eager", "cpu", dtype), PORTS["numpy"]) for dtype in DTYPES]
    with pytest.raises(ValueError, match="share a noise floor: give cells of softmax and of one dtype"):
        run_free(problem_of("softmax"), cells, 1)


@each_dtype
@each_model
def test_headroom_is_certified_over_observed(model, dtype):
    """At the first step headroom is the certified bound over the permuted member's distance, by hand."""
    floor = everyone(model, dtype)["numpy"].floor
    (headroom,) = floor.headroom.values()
    start, network, order = floor.problem, MODELS[model], floor.permuted[0].order
    after = network.next_params(record(start))
    bounds = network.next_params(end_to_end(start, ARITHMETICS[dtype]))
    permuted = in_dtype(start.changed(X=start.X[order], y=start.y[order]), dtype)
    member = network.next_params(record(permuted))
    certified = distance(network, {name: after[name] + bounds[name].error for name in after}, after)
    assert headroom[0] == pytest.approx(certified / distance(network, member, after))


@each_dtype
@each_model
def test_what_is_allowed_only_grows(model, dtype):
    """Floor and headroom are running maxima, and start above zero."""
    drift = everyone(model, dtype)["numpy"]
    for curve in (drift.floor.distances, drift.headroom):
        assert curve[0] > 0
        assert (np.diff(curve) >= 0).all()


def test_single_example_has_a_floor():
    """One example has no other order: half an ulp stands in for what its member injects."""
    problem = problem_of("softmax")
    one = problem.changed(X=problem.X[5:6], y=problem.y[5:6])
    cell = Cell("softmax", "numpy", "eager", "cpu", "float64")
    (drift,) = run_free(one, [(cell, PORTS["numpy"])], 20, members=1)
    assert drift.agrees
    assert np.isfinite(drift.allowed).all()
    assert drift.allowed[0] > 0


def test_table_names_port_steps_verdict_and_flip():
    """The printed table has distances by decade, the verdict, the flip and how far it can tell."""
    drift = everyone("two_layer", "float32")["numpy"]
    lines = list(table([drift], 100))
    assert lines[0] == "two_layer, float32, 300 points: distance from the reference"
    assert lines[1].split()[:6] == ["after", "updates", "1", "10", "100", "300"]
    (row,) = [line for line in lines if line.startswith("numpy ") and line.endswith("agrees")]
    assert f"{drift.distances[99]:.1e}" in row
    flip = drift.first_flip
    assert any(f"step {flip.step}, unit {flip.unit}, example {flip.example}" in line for line in lines)
    assert lines[-1].startswith(f"A bug could be told from noise for {drift.horizon} of the 300 steps")


def test_failure_after_a_flip_says_so():
    """A failure after the port's own first flip proves nothing, so the verdict names the flip."""
    honest = everyone("two_layer", "float64")["numpy"]
    far = np.where(np.arange(STEPS["two_layer"]) < 100, 0.0, 1.0)
    flip = Flip(step=60, example=1, unit=2, count=1, reference=-1e-9, port=1e-9)
    late = replace(honest, distances=far, first_flip=flip)
    assert verdict(late).strip() == "FAILS at step 101, after its first ReLU flip at step 60"
    early = replace(late, first_flip=replace(flip, step=200))
    assert verdict(early).strip() == "FAILS at step 101"


def test_flip_count_is_told():
    """If several ReLUs flip at one step, the table says how many more."""
    drift = replace(everyone("two_layer", "float64")["numpy"], first_flip=Flip(3, 4, 5, 6, -1e-9, 2e-9))
    assert any(
        line.endswith("-1e-09 in the reference, 2e-09 here (and 5 more)") for line in table([drift], 100)
    )


def test_host_settings_do_not_matter_to_numpy():
    """The NumPy port needs no framework: free runs work where nothing else is installed."""
    (drift,) = train("softmax", [PORTS["numpy"]], "float32", points=5)
    assert drift.agrees
    assert drift.cell.mode == FRAMEWORKS["numpy"].host.natural_mode
