"""The checker is checked: an error is caught, and blamed on the quantity that is wrong."""

import math
import weakref

import numpy as np
import pytest
from formats import FLOAT16

from reference.agreement import judge
from reference.agreement.arithmetic import ARITHMETICS, FLOAT32, FLOAT64, Unbounded
from reference.agreement.blocks import LARGE
from reference.agreement.bounds import (
    Recorded,
    end_to_end,
    local,
    local_of_all,
    recorded_by,
    stacked,
)
from reference.agreement.judge import (
    CERTIFICATES,
    END_TO_END,
    LOCAL,
    Compared,
    certify,
    certify_steps,
    compare,
    hold,
)
from reference.agreement.rounded import Rounded
from reference.agreement.rules import SLACK
from reference.models import MODELS, SOFTMAX
from reference.runs import draw, trajectory

STEPS_CHECKED = (0, 100, 1000)
#: Size of the planted error beside the numbers that the quantity is made of.
PLANTED = {"float64": 1e-11, "float32": 1e-2}
EVERY_QUANTITY = [(name, quantity) for name, model in MODELS.items() for quantity in model.quantities]


def quantities(*models):
    """One test for each quantity of each model."""
    return pytest.mark.parametrize(
        ("model", "name"), [q for q in EVERY_QUANTITY if not models or q[0] in models]
    )


class Step:
    """One step of the note's run in a dtype: the reference as a port of itself."""

    def __init__(self, start, dtype):
        self.model, self.dtype, self.arithmetic = start.model, dtype, ARITHMETICS[dtype]
        self.start = start.held_as(dtype)

    def trace(self, change=lambda name, value, q: value):
        """The step's quantities as the port computes them, each passed through `change` on the way."""
        X = self.start.X.astype(self.dtype)
        params = {name: value.astype(self.dtype) for name, value in self.start.params.items()}
        q = params | {"X": X, "y": self.start.y}
        trace = {}

        def tap(name, value):
            trace[name] = q[name] = np.asarray(change(name, value, q), dtype=self.dtype)
            return q[name]

        self.start.changed(X=X, params=params).step(tap)
        return trace

    def judge(self, trace, **options):
        """All findings on a trace."""
        return certify(self.start, trace, self.arithmetic, **options)

    def blamed(self, trace, certificate=LOCAL):
        """Which quantities disagree under a certificate."""
        return [f.quantity for f in self.judge(trace) if f.certificate == certificate and not f.agrees]


@pytest.fixture(scope="module")
def steps():
    """{(model, step, dtype): Step} of the note's runs with 300 points."""
    drawn = draw(np.random.RandomState(0), 100)
    return {
        (name, i, dtype): Step(start, dtype)
        for name, model in MODELS.items()
        for i, start, _ in trajectory(drawn.problem(model), max(STEPS_CHECKED) + 1)
        if i in STEPS_CHECKED
        for dtype in PLANTED
    }


@pytest.fixture(scope="module", params=["softmax", "two_layer"])
def step(request, steps):
    """Each model at step 100, in float64."""
    return steps[request.param, 100, "float64"]


# Planted errors


def size(name, value, q):
    """The size of the numbers that a quantity is made of: that of its terms, if they cancel.

    Gradients of the weights are sums that go to 0 as training converges. An error that is
    small beside such a sum may be smaller than the rounding of its terms, which no certificate sees.
    """
    inputs = {"dW2": "hidden_layer", "db2": None, "dW": "X", "db": None}
    if name not in inputs:
        return np.abs(value)
    errors = "dscores" if name.endswith("2") or "dhidden" not in q else "dhidden"
    terms = np.abs(q[errors])
    return (
        np.sum(terms, axis=0, keepdims=True)
        if inputs[name] is None
        else np.dot(np.abs(q[inputs[name]]).T, terms)
    )


def planting(name, relative):
    """A change that adds an error to one quantity."""
    return lambda n, value, q: value + relative * size(n, value, q) if n == name else value


@pytest.mark.parametrize("dtype", PLANTED)
@pytest.mark.parametrize("i", STEPS_CHECKED)
@pytest.mark.parametrize("model", MODELS)
def test_reference_agrees_with_itself(steps, model, i, dtype):
    """The reference, run as a port in float64 and float32, passes both certificates."""
    step = steps[model, i, dtype]
    findings = step.judge(step.trace())
    assert [f for f in findings if not f.agrees] == []
    assert {(f.quantity, f.certificate) for f in findings} == {
        (name, c) for name in MODELS[model].quantities for c in CERTIFICATES
    }


@pytest.mark.parametrize("dtype", PLANTED)
@pytest.mark.parametrize("i", STEPS_CHECKED)
@quantities()
def test_planted_error_is_blamed_on_its_quantity_alone(steps, model, name, i, dtype):
    """An error in one quantity, with which the port goes on, is caught there and nowhere else."""
    step = steps[model, i, dtype]
    assert step.blamed(step.trace(planting(name, PLANTED[dtype]))) == [name]


@pytest.mark.parametrize("dtype", PLANTED)
@quantities()
def test_one_wrong_element_is_found(steps, model, name, dtype):
    """The finding points to the one element that is wrong."""
    step = steps[model, 100, dtype]
    trace = step.trace()
    index = np.unravel_index(np.argmax(np.abs(trace[name])), trace[name].shape)
    trace[name] = trace[name].copy()
    trace[name][index] *= 1.1
    finding = next(f for f in step.judge(trace) if f.quantity == name and f.certificate == LOCAL)
    assert not finding.agrees
    assert finding.index == index
    assert finding.got == trace[name][index]
    assert finding.elements == trace[name].size


def test_wrong_formula_is_caught_end_to_end_too(step):
    """Ten percent more loss fails both certificates of the loss; nothing else fails."""
    trace = step.trace(lambda name, value, q: value * 1.1 if name == "loss" else value)
    assert step.blamed(trace, LOCAL) == step.blamed(trace, END_TO_END) == ["loss"]


# NaN and infinity


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@quantities("two_layer")
def test_not_finite_never_passes(steps, model, name, bad):
    """One NaN or infinity in what is recorded fails both certificates of its quantity, and no other."""
    step = steps[model, 100, "float64"]
    trace = step.trace()
    trace[name] = trace[name].copy()
    trace[name].flat[-1] = bad
    failed = {(f.quantity, f.certificate) for f in step.judge(trace) if not f.agrees}
    assert failed == {(name, LOCAL), (name, END_TO_END)}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@quantities()
def test_what_follows_from_nan_is_not_blamed(steps, model, name, bad):
    """A port that goes on with a NaN or infinity makes more of them: the first alone is at fault."""

    def spoilt(n, value, q):
        if n == name:
            value = np.array(value)
            value.flat[-1] = bad
        return value

    step = steps[model, 100, "float64"]
    with np.errstate(all="ignore"):
        trace = step.trace(spoilt)
    assert step.blamed(trace) == [name]


@quantities()
def test_what_does_not_follow_from_nan_is_judged(steps, model, name):
    """A NaN in the last column of the update's gradient reaches that update alone."""
    first = {"softmax": "db", "two_layer": "db2"}[model]

    def spoilt(n, value, q):
        value = np.array(planting(name, 1e-2)(n, value, q))
        if n == first:
            value[0, -1] = np.nan
        return value

    step = steps[model, 100, "float64"]
    assert set(step.blamed(step.trace(spoilt))) == {first, name}


@pytest.mark.parametrize(("name", "meant"), [("dw", "dW"), ("PROBS", "probs"), ("dscore", "dscores")])
def test_nearest_name_is_offered(step, name, meant):
    """The nearest name is found in any case, and with a letter missing."""
    found = [f.problem for f in step.judge(step.trace() | {name: np.zeros(1)}) if f.quantity == name]
    assert found == [f"is not a quantity of {step.model.name}; did you mean {meant}?"]


@pytest.mark.parametrize(("own_mask", "blamed"), [(0, ["dscores", "dhidden"]), (1, ["dscores"])])
def test_nan_stops_at_the_ports_own_mask(steps, own_mask, blamed):
    """Where the port's ReLU is off, NaN from behind it does not reach the gradient before it."""
    step = steps["two_layer", 100, "float64"]
    i, j = np.argwhere(step.trace()["hidden_layer"] > 0)[0]

    def spoilt(n, value, q):
        value = np.array(value)
        if n == "hidden_layer":
            value[i, j] *= own_mask
        elif n == "dscores":
            value[i] = np.nan
        elif n == "dhidden":
            value[i, j] = 1.0
        return value

    assert [name for name in step.blamed(step.trace(spoilt)) if name != "hidden_layer"] == blamed


def test_nan_everywhere_never_passes(step):
    """If everything is NaN, everything fails; the quantities that follow from no other are at fault."""
    trace = {name: np.full_like(value, np.nan) for name, value in step.trace().items()}
    assert step.blamed(trace, END_TO_END) == list(trace)
    assert step.blamed(trace) == [next(iter(trace)), "reg_loss"]


def test_probability_zero_is_a_finding(step):
    """A port that loses a probability is told so; its log has no bound, which stops nothing."""
    trace = step.trace()
    trace["probs"] = np.zeros_like(trace["probs"])
    assert "probs" in step.blamed(trace)


def test_probability_zero_beside_a_right_port_is_its_own(step):
    """What a port loses is not used for its own later quantities, though a neighbour's is right."""
    right = step.trace()
    lost = right | {"probs": np.zeros_like(right["probs"])}
    judgement = certify_steps([step.start], [[right, lost]], step.arithmetic)
    assert all(finding.agrees for finding in findings_of(judgement, 0))
    assert "probs" in {finding.quantity for finding in findings_of(judgement, 1) if not finding.agrees}


def test_probability_that_is_lost_just_beyond_its_bound_is_not_used():
    """2.5 smallest normal numbers, recorded as 0: more than a bound away, and less than two."""
    b = np.log([[1.0, 2.5 * FLOAT32.smallest_normal]]).astype(np.float32).astype(np.float64)
    params = {"W": np.zeros((1, 2)), "b": b}
    start = SOFTMAX.problem(np.ones((1, 1)), np.array([1]), params, step_size=1e-9)
    trace = Step(start, "float32").trace()
    trace["probs"] = np.array([[1.0, 0.0]], np.float32)
    found = {f.quantity: f for f in certify(start, trace, FLOAT32) if f.certificate == END_TO_END}
    assert 1 < found["probs"].share < 2


def held(got, value, error):
    """A comparison of one pair of arrays."""
    return compare("loss", LOCAL, np.array(got), Rounded(np.array(value), error, FLOAT64))


@pytest.mark.parametrize("nan", [{"got": [1, math.nan]}, {"value": [1, math.nan]}, {"error": math.nan}])
def test_nan_on_any_side_has_nan_share(nan):
    """NaN in what was got, in what was expected or in the bound never agrees."""
    sides = {"got": [1.0, 2.0], "value": [1.0, 2.0], "error": 1.0} | nan
    finding = held(**sides | {"error": np.full(2, sides["error"])})
    assert math.isnan(finding.share)
    assert not finding.agrees
    assert finding.elements == 2


def test_nan_is_pointed_to():
    """The element reported is the NaN, not the largest number."""
    finding = held([9.0, 1.0, math.nan], [0.0, 1.0, 5.0], np.ones(3))
    assert finding.index == (2,)
    assert math.isnan(finding.got)
    assert finding.expected == 5


# Shares


def test_share_is_difference_over_bound():
    """By hand: of differences 1, 2, 3, 0 over bounds 4, 4, 12, 0 the second uses most, one half."""
    finding = held(
        [[1.0, 2.0], [3.0, 7.0]], [[0.0, 0.0], [0.0, 7.0]], np.array([[4.0, 4.0], [12.0, 0.0]])
    )
    assert finding[:2] == ("loss", LOCAL)
    assert finding.share == pytest.approx(0.5, rel=2e-6)
    assert (finding.index, finding.got, finding.expected, finding.allowed) == ((0, 1), 2, 0, 4)
    assert finding.elements == 4
    assert finding.agrees


@pytest.mark.parametrize(("difference", "agrees"), [(1.0, True), (SLACK, True), (1.00001, False)])
def test_bound_is_inclusive_up_to_slack(difference, agrees):
    """A difference of just the bound agrees; a little more does not."""
    assert held([difference], [0.0], np.ones(1)).agrees is agrees


@pytest.mark.parametrize("error", [None, np.zeros(2)], ids=["none", "array"])
def test_exact_bound_passes_equality_alone(error):
    """Over an exact bound the share is 0 for equal numbers; any normal difference exceeds it."""
    assert held([1.0, 0.0], [1.0, -0.0], error).share == 0
    assert held([np.nextafter(1.0, 2), 0.0], [1.0, 0.0], error).share == math.inf
    assert held([1.0, 3e-308], [1.0, 0.0], error).share == math.inf


def test_share_beyond_a_bound_is_finite():
    """Twice the bound is 2, not infinity."""
    assert held([2.0], [0.0], np.ones(1)).share == pytest.approx(2, rel=1e-5)


def test_scalar_quantity():
    """A 0-d tensor has the index ()."""
    finding = held(3.0, 1.0, np.float64(4.0))
    assert (finding.share, finding.index, finding.elements) == (pytest.approx(0.5), (), 1)


def test_worst_element_is_of_its_own_port_and_step():
    """Whether the bound is of each port or of all of them, it is of the step."""
    value, error = np.arange(4.0).reshape(2, 2, 1), np.ones((2, 2, 1))
    recorded = Recorded([0, 1], [0, 1], value + 0.5)
    own = hold(recorded, Rounded(value, error, FLOAT64, stacked=2))
    common = hold(recorded, Rounded(value[0], error[0], FLOAT64, stacked=1))
    for i, j in np.ndindex(2, 2):
        assert own.worst(i, j).got == common.worst(i, j).got == value[i, j, 0] + 0.5
        assert own.worst(i, j).expected == value[i, j, 0]
        assert common.worst(i, j).expected == value[0, j, 0]
        assert Compared("loss", LOCAL, own).finding(i, j).expected == value[i, j, 0]


# Structure, before values


def test_wrong_shape_is_reported_before_values(step):
    """A transposed tensor is a structural problem, listed first, and is not compared by value."""
    trace = step.trace()
    trace["dscores"] = trace["dscores"].T
    finding, *others = step.judge(trace)
    assert (finding.quantity, finding.agrees) == ("dscores", False)
    assert finding.problem == "has shape (3, 300), expected (300, 3)"
    assert all(f.agrees and f.quantity != "dscores" for f in others)


def test_flat_bias_is_reported(step):
    """(K,) for (1, K) is a wrong shape, though it would broadcast."""
    trace = step.trace()
    name = f"d{step.model.biases[-1]}"
    trace[name] = trace[name][0]
    assert step.judge(trace)[0].problem == "has shape (3,), expected (1, 3)"


def test_wrong_dtype_is_reported(step):
    """float32 under a float64 promise is a structural problem, not a large share."""
    trace = step.trace()
    trace["loss"] = trace["loss"].astype(np.float32)
    assert step.judge(trace)[0].problem == "has dtype float32, expected float64"


def test_missing_quantity_is_reported(step):
    """A quantity that is absent without a declaration fails; nothing is compared under its name."""
    trace = step.trace()
    del trace["dscores"]
    finding, *others = step.judge(trace)
    assert (finding.quantity, finding.problem) == ("dscores", "is missing from the port's trace")
    assert not finding.agrees
    assert finding.elements == 0
    assert all(f.agrees and f.quantity != "dscores" for f in others)


def test_renamed_quantity_is_reported_twice(step):
    """A misspelt name is one missing quantity and one unknown, which is told the name that was meant."""
    trace = step.trace()
    trace["dscore"] = trace.pop("dscores")
    missing, unknown = step.judge(trace)[:2]
    assert missing.quantity == "dscores"
    assert unknown.problem == f"is not a quantity of {step.model.name}; did you mean dscores?"


def test_declared_absence_is_accepted(step):
    """A declared quantity may be absent; what follows is certified from what precedes it."""
    trace = step.trace()
    del trace["dW"]
    findings = step.judge(trace, hidden={"dW": "inside the optimizer"})
    assert all(f.agrees for f in findings)
    assert {f.quantity for f in findings} == set(step.model.quantities) - {"dW"}


def test_error_beyond_a_hidden_quantity_is_caught(step):
    """Hiding dW hides no error of W_next."""
    trace = step.trace(planting("W_next", 1e-9))
    del trace["dW"]
    failed = {f.quantity for f in step.judge(trace, hidden={"dW": ""}) if not f.agrees}
    assert failed == {"W_next"}


def test_empty_trace_fails_everywhere(step):
    """Of an empty trace every quantity is missing, and none agrees."""
    findings = step.judge({})
    assert [f.quantity for f in findings] == list(step.model.quantities)
    assert not any(f.agrees for f in findings)


def test_float32_promise_accepts_what_float64_refuses(steps):
    """The same float32 numbers pass under their own promise and fail under that of float64."""
    step = steps["two_layer", 100, "float32"]
    trace = step.trace()
    as_float64 = {name: value.astype(np.float64) for name, value in trace.items()}
    assert all(f.agrees for f in certify(step.start, trace, FLOAT32))
    assert not all(f.agrees for f in certify(step.start, as_float64, FLOAT64))


# Several ports in one pass


def findings_of(judgement, port, step=0):
    """All findings on one port and step, in the order in which `certify` gives them."""
    return judgement.problems[step][port] + [
        compared.finding(compared.held.ports.index(port), compared.held.steps.index(step))
        for compared in judgement.compared
        if port in compared.held.ports and step in compared.held.steps
    ]


def altered(step):
    """Traces of six ports: right, wrong in three ways, hiding a quantity, broken down."""
    right = step.trace()
    nan = {name: np.full_like(value, np.nan) for name, value in right.items()}
    hiding = {name: value for name, value in right.items() if name not in ("dscores", "dW")}
    misshapen = right | {"dscores": right["dscores"].T}
    wrong = [step.trace(planting(name, 1e-9)) for name in ("scores", "probs")]
    return [right, *wrong, hiding, misshapen, nan]


@pytest.mark.parametrize("dtype", PLANTED)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("chosen", [[0, 1, 2], [3, 0], [0, 3, 4], [0, 1, 2, 3, 4, 5]], ids=str)
def test_ports_certified_together_are_judged_as_alone(steps, model, dtype, chosen):
    """The findings are the same in one pass and one by one, whatever the other ports did wrong."""
    step = steps[model, 100, dtype]
    traces, hidden = altered(step), [(), (), (), ("dscores", "dW"), (), ()]
    together = certify_steps(
        [step.start],
        [[traces[i] for i in chosen]],
        step.arithmetic,
        hidden=[hidden[i] for i in chosen],
    )
    for port, i in enumerate(chosen):
        alone_too = step.judge(traces[i], hidden=hidden[i])
        for ours, alone in zip(findings_of(together, port), alone_too, strict=True):
            assert ours[:2] == alone[:2]
            assert ours.agrees == alone.agrees
            assert ours.share == pytest.approx(alone.share, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("model", MODELS)
def test_what_follows_from_the_inputs_alone_has_one_bound(steps, model):
    """Two quantities have one bound for both certificates, with one verdict; no other quantity does."""
    step = steps[model, 100, "float64"]
    first = next(iter(step.model.quantities))
    right, wrong = step.trace(), step.trace(planting(first, 1e-9))
    start = stacked([step.start], step.arithmetic)
    own = {}
    local_of_all(start, recorded_by([0], [0], [[right]]), [0], "", own.__setitem__)
    assert [n for n in own if own[n].stacked < 2] == [first, "reg_loss"]
    found = {f.certificate: f for f in step.judge(wrong) if f.quantity == first}
    assert set(found) == set(CERTIFICATES)
    assert not any(f.agrees for f in found.values())
    assert found[LOCAL][2:] == found[END_TO_END][2:]


@pytest.mark.parametrize("dscores", ["shown", "missing", "misshapen"])
@pytest.mark.parametrize("model", MODELS)
def test_steps_certified_together_are_judged_as_alone(steps, model, dscores):
    """Two steps of two ports in one pass, one of which may show less at the second step."""
    checked = [steps[model, i, "float32"] for i in (100, 1000)]
    traces = [[step.trace(), step.trace(planting("dW", 1e-2))] for step in checked]
    last = traces[1][0].pop("dscores")
    if dscores != "missing":
        traces[1][0]["dscores"] = last if dscores == "shown" else last.T
    together = certify_steps([step.start for step in checked], traces, checked[0].arithmetic)
    for j, (step, of_ports) in enumerate(zip(checked, traces, strict=True)):
        for i, trace in enumerate(of_ports):
            alone, ours = step.judge(trace), findings_of(together, i, j)
            assert [f[:2] for f in ours] == [f[:2] for f in alone]
            shares = [f.share for f in ours]
            assert shares == pytest.approx([f.share for f in alone], rel=1e-6, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(("wrong", "passes"), [(1e3, 1), (math.nan, 2), (math.inf, 2)])
def test_wrong_number_over_an_exact_bound_is_judged_in_one_pass(steps, monkeypatch, wrong, passes):
    """Its share is beyond all numbers, but it is one. What is none is looked at port by port."""
    step, counted = steps["two_layer", 100, "float64"], []

    def counting(*inputs):
        counted.append(inputs)
        return local_of_all(*inputs)

    monkeypatch.setattr(judge, "local_of_all", counting)
    trace = step.trace()
    trace["hidden_layer"] = trace["hidden_layer"].copy()
    trace["hidden_layer"][0] = wrong  # the first point is the origin: all its zeros are exact
    judged = certify_steps([step.start], [[trace, step.trace()]], step.arithmetic)
    first = findings_of(judged, 0)[0]
    assert (first.quantity, first.agrees) == ("hidden_layer", False)
    assert not np.isfinite(first.share)
    assert len(counted) == passes


@pytest.mark.parametrize("wrong", [2.0, float("nan")])
def test_large_tensor_is_spelled_out_at_once(wrong):
    """The same finding as when it is looked up later, and no bound is kept for it."""
    got = np.zeros((2, 3, LARGE + 1))
    got[..., -1] = wrong
    for port, step in np.ndindex(2, 3):
        got[port, step, 3 * port + step] = wrong
    bound = Rounded(np.zeros(LARGE + 1), np.full(LARGE + 1, 0.5), FLOAT64)
    small_bound = Rounded(np.zeros(9), np.full(9, 0.5), FLOAT64)
    kept = weakref.ref(bound.error)
    of_large = hold(Recorded([0, 1], range(3), got), bound)
    of_small = hold(Recorded([0, 1], range(3), got[..., :9]), small_bound)
    del bound
    assert (of_large.elements, of_small.elements) == (LARGE + 1, 9)
    for place in np.ndindex(2, 3):
        large, small = of_large.worst(*place), of_small.worst(*place)
        assert large.index == small.index == (3 * place[0] + place[1],)
        assert large == small or np.isnan(wrong)
        assert not large.share <= 1
        assert np.array_equal(large.share, of_large.shares[place], equal_nan=True)
    assert kept() is None


def test_wrong_record_of_a_right_tensor_is_blamed_with_what_follows(step):
    """The scores are recorded wrong, but the port goes on with right ones: probs do not follow."""
    trace = step.trace()
    trace["scores"] = trace["scores"] * (1 + 1e-9)
    assert step.blamed(trace) == ["scores", "probs"]


def test_unbounded_names_its_step():
    """The exponentials of the scores are out of range, and each entry point names the step."""
    params = {"W": np.full((1, 2), 1e3), "b": np.zeros((1, 2))}
    start = SOFTMAX.problem(np.ones((1, 1)), np.array([0]), params)
    calls = (
        lambda at: end_to_end(start, FLOAT32, at),
        lambda at: local(start, {}, FLOAT32, at),
        lambda at: certify(start, {}, FLOAT32, at=at),
        lambda at: certify_steps([start] * 2, [[{}]] * 2, FLOAT32, at=at),
    )
    for call in calls:
        with pytest.raises(Unbounded, match=r"^step 7: "):
            call("step 7")


def test_unbounded_by_a_recording_that_agrees_names_its_step():
    """2.5 smallest normal numbers of probability may be recorded as a subnormal, and that read as 0."""
    rare = float(np.float16(np.log(2.5 * FLOAT16.smallest_normal)))
    params = {"W": np.zeros((1, 2)), "b": np.array([[0.0, rare]])}
    problem = SOFTMAX.problem(np.ones((1, 1)), np.array([1]), params)
    bounds = end_to_end(problem, FLOAT16)
    trace = {name: np.asarray(bound.value, np.float16) for name, bound in bounds.items()}
    trace["probs"] = np.array([[1.0, 0.5 * FLOAT16.smallest_normal]], np.float16)
    assert compare("probs", END_TO_END, trace["probs"], bounds["probs"]).agrees
    with pytest.raises(Unbounded, match=r"^step 7: "):
        certify(problem, trace, FLOAT16, at="step 7")


def test_what_follows_from_a_wrong_quantity_is_blamed_beside_a_breakdown(steps):
    """If a recording leaves what follows without a bound, only quantities right end to end are used.

    dscores are off by one and a half times what they may be there; dhidden follows from them.
    """
    step = steps["two_layer", 100, "float64"]
    bound = end_to_end(step.start, step.arithmetic)["dscores"]
    trace = step.trace(lambda name, value, q: value + 1.5 * bound.error if name == "dscores" else value)
    assert step.blamed(trace) == ["dscores"]
    trace["probs"] = np.zeros_like(trace["probs"])
    assert {"probs", "dscores", "dhidden"} <= set(step.blamed(trace))
