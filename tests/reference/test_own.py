"""own: a reference of one's own becomes a model, or is refused in a sentence."""

import numpy as np
import pytest

from reference.agreement.arithmetic import FLOAT32
from reference.agreement.bounds import end_to_end
from reference.agreement.rounded import Rounded
from reference.models import MODELS
from reference.own import ITERATIONS, ReferenceError, own_model
from reference.runs import draw, trajectory
from reference.trace import record


def init(rng):
    """Weights, and their momentum."""
    return {"W": rng.standard_normal((4, 3)), "m": np.zeros((4, 3))}


def batch(rng):
    """Points, labels and a number."""
    return {"X": rng.standard_normal((10, 4)), "y": np.arange(10) % 3, "rate": 0.1}


def step(params, batch, tap):
    """Momentum on a squared error: m is state across steps."""
    W, m = params["W"], params["m"]
    out = tap("out", batch["X"] @ W)
    apart = out - 1.0
    tap("loss", 0.5 * np.sum(apart * apart) / 10)
    dW = tap("dW", batch["X"].T @ apart / 10)
    m = tap("m_next", 0.9 * m + dW)
    return {"W": tap("W_next", W - batch["rate"] * m), "m": m}


def model(**changed):
    """The reference as a model, with a part of it changed."""
    given = {"init": init, "batch": batch, "step": step} | changed
    return own_model("mine", "Mine", **given)


def refused(**changed):
    """The sentence with which a reference is refused."""
    with pytest.raises(ReferenceError) as why:
        model(**changed)
    return str(why.value)


# What is accepted


def test_record_says_what_the_step_does():
    """Names, shapes and the run are read off the reference."""
    mine = model()
    assert list(mine.parameters) == ["W", "m"]
    assert list(mine.quantities) == ["out", "loss", "dW", "m_next", "W_next"]
    problem = mine.start(np.random.RandomState(0))
    shapes = {"out": (10, 3), "loss": (), "dW": (4, 3), "m_next": (4, 3), "W_next": (4, 3)}
    assert problem.shapes == shapes
    assert (mine.step_name, mine.iterations) == ("step", ITERATIONS)
    assert problem.labels is None


def test_trajectory_carries_the_state_on():
    """The third step starts from the moments of the second."""
    (_, first, one), (_, second, two) = trajectory(model().start(np.random.RandomState(0)), 2)
    assert not first.params["m"].any()
    assert np.array_equal(second.params["m"], one["m_next"])
    assert np.array_equal(two["m_next"], 0.9 * one["m_next"] + two["dW"])


def test_bounds_cover_float32():
    """The step in float32 stays within the bounds; a wrong one does not."""
    problem = model().start(np.random.RandomState(0)).held_as("float32")
    single = problem.changed(
        {n: v.astype(np.float32) for n, v in problem.params.items()}, X=np.float32(problem.X)
    )
    bounds, trace = end_to_end(problem, FLOAT32), record(single)
    for name, bound in bounds.items():
        assert trace[name].dtype == np.float32
        assert np.all(np.abs(trace[name] - bound.value) <= bound.errors())
        assert np.any(np.abs(trace[name] * 1.001 - bound.value) > bound.errors())


def test_own_network_draws_apart_from_the_notes(monkeypatch):
    """It is drawn from the seed alone: the number of the note's points does not matter."""
    mine = model()
    monkeypatch.setitem(MODELS, "mine", mine)
    few, many = (draw(np.random.RandomState(7), points).problem(mine) for points in (5, 100))
    alone = mine.start(np.random.RandomState(7))
    for name in ("W", "m"):
        assert np.array_equal(few.params[name], many.params[name])
        assert np.array_equal(few.params[name], alone.params[name])


def test_route_widens_the_bound_to_its_own_values():
    """A formula of the quantities before is covered, and only then."""

    def shifted(q):
        return (q["X"] + 4) @ q["W"] - 4 * np.sum(q["W"], axis=0, keepdims=True)

    bounds = [
        end_to_end(model(routes=routes).start(np.random.RandomState(0)), FLOAT32)["out"].errors()
        for routes in (None, {"out": [shifted]})
    ]
    assert np.all(bounds[1] >= bounds[0])
    assert np.median(bounds[1] / bounds[0]) > 2


def test_routes_of_the_project_are_taken_as_they_are():
    """They have two arguments: the computed quantity and those before it."""
    seen = []

    def route(computed, q):
        seen.append(type(computed))
        return computed

    end_to_end(model(routes={"out": [route]}).start(np.random.RandomState(0)), FLOAT32)
    assert seen[-1] is Rounded


# What is refused


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"init": lambda rng: [1.0]}, "init returned list, expected a dict"),
        ({"init": lambda rng: {}}, "init returned no parameter"),
        ({"init": lambda rng: {"W": np.arange(3)}}, "init returned W as an array of int64"),
        ({"init": lambda rng: {"W": np.array([np.nan])}}, "init returned W with NaN or infinity"),
        ({"init": lambda rng: {"a b": np.zeros(3)}}, "init returned the name 'a b'"),
        ({"batch": lambda rng: {"mask": np.ones(3) > 0}}, "write a mask as floats, 0.0 and 1.0"),
        ({"batch": lambda rng: {"on": True}}, "batch returned on as a truth value"),
        ({"batch": lambda rng: {"lr": float("inf")}}, "batch returned lr with NaN or infinity"),
        ({"batch": lambda rng: {"name": "adam"}}, "batch returned name as str"),
        ({"batch": lambda rng: batch(rng) | {"W": 1.0}}, "both init and batch return W"),
        ({"routes": {"nothing": []}}, "routes names nothing, which is not tapped"),
    ],
)
def test_bad_draws_and_routes_are_refused(changed, says):
    """Each in a sentence that says what was expected."""
    assert says in refused(**changed)


def with_line(**lines):
    """The step with a line before its return."""

    def changed(params, batch, tap):
        for line in lines.values():
            line(params, batch, tap)
        return step(params, batch, tap)

    return changed


def returning(change):
    """The step with a change to what it returns."""
    return lambda params, batch, tap: change(step(params, batch, tap), tap)


RNG = np.random.RandomState(0)
COUNTER = [3]


def growing(params, batch, tap):
    """Taps one number more each time."""
    COUNTER[0] += 1
    tap("extra", np.zeros(COUNTER[0]))


def overwritten(params, batch, tap):
    """Writes into what it has tapped."""
    h = tap("h", batch["X"] * 2.0)
    if isinstance(h, np.ndarray):
        h += 1


def other_numbers(params, batch, tap):
    """Asks for the type of its arrays."""
    tap("h", batch["X"] * (2.0 if isinstance(batch["X"], np.ndarray) else 3.0))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (with_line(a=lambda p, b, tap: tap("h", RNG.standard_normal(3))), "it depends on something"),
        (with_line(a=lambda p, b, tap: tap("out", b["X"])), "the name out is tapped twice"),
        (with_line(a=lambda p, b, tap: tap("W", b["X"])), "the name W is that of an input"),
        (with_line(a=lambda p, b, tap: tap("a b", b["X"])), "the tap was given the name 'a b'"),
        (with_line(a=lambda p, b, tap: tap("h", np.argmax(b["X"]))), "h is int64, expected floats"),
        (with_line(a=lambda p, b, tap: tap("h", b["X"] / 0.0)), "h is not finite"),
        (with_line(a=lambda p, b, tap: b["X"].fill(0)), "the step changes its input X in place"),
        (with_line(a=overwritten), "the step changes the tapped h in place"),
        (with_line(a=other_numbers), "h has other numbers when the step is run with error bounds"),
        (lambda params, batch, tap: None, "the step returned NoneType, expected the parameters"),
        (returning(lambda after, tap: {"W": after["W"]}), "the step returned W, expected the param"),
        (returning(lambda after, tap: after | {"m": after["m"] * 2.0}), "the step returned m untapped"),
    ],
)
def test_bad_steps_are_refused(changed, says):
    """What breaks the contract is named."""
    assert says in refused(step=changed)


def test_shapes_that_change_are_refused():
    """Also between two runs from the same inputs."""
    assert "extra" in refused(step=with_line(a=growing))


def test_unknown_functions_and_branches_are_refused():
    """Both pass through, from the reference's own line."""
    with pytest.raises(TypeError, match="fft"):
        model(step=with_line(a=lambda p, b, tap: tap("h", np.real(np.fft.fft(b["X"])))))
    with pytest.raises(TypeError, match=r"truth value|control flow"):
        model(step=with_line(a=lambda p, b, tap: tap("h", b["X"] if np.sum(b["X"]) > 0 else -b["X"])))
