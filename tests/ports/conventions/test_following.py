"""A convention's step is the gradient of its own loss, and is judged as strictly as the note's."""

import re
from dataclasses import replace

import numpy as np
import pytest
from by_convention import changed, written
from outside import forgotten_afterwards, load
from planting import plant

from ports.check.results import Options, odd_sizes, runs_of
from ports.conventions.following import following, given, returned, times_examples
from ports.conventions.known import BY_WORD, CONVENTIONS, Convention, convention, together
from ports.conventions.recognition import Recorded, wrong_in
from ports.user_port import load_port
from reference.agreement.arithmetic import ARITHMETICS, FLOAT32, FLOAT64
from reference.agreement.bounds import end_to_end
from reference.line import line_of
from reference.models import MODELS, SOFTMAX, TWO_LAYER
from reference.trace import record

NAMES = ["softmax", "two_layer", "three_layer"]
EDITED = [word for word, convention in BY_WORD.items() if convention.edits]


@pytest.fixture(autouse=True)
def _three_layer(monkeypatch):
    """The model from outside is registered while a test runs."""
    with forgotten_afterwards():
        load(monkeypatch, "three_layer_net")
        yield


@pytest.fixture
def loaded(tmp_path):
    """Load a file with this source."""

    def loaded(source):
        path = tmp_path / "my_port.py"
        path.write_text(source)
        return load_port(path)

    return loaded


def steps_of(port, model, conventions, dtype="float64"):
    """The first step of each run, made by a port that is given what the conventions say."""
    letters = {name: parameter.shape for name, parameter in MODELS[model].parameters.items()}
    for run in runs_of(MODELS[model], Options(points=5)):
        start = run.problem.held_as(dtype)
        held = {name: p.astype(dtype) for name, p in start.params.items()}
        X = given(conventions, {"X": start.X.astype(dtype)}, {"X": "ND"})["X"]
        step = port.make_step(start.model, "eager")
        found = step(given(conventions, held, letters), X, start.y, start.reg, start.step_size)
        trace = {name: np.asarray(tensor) for name, tensor in found.items()}
        trace = returned(conventions, trace, start.model.quantities)
        yield Recorded(start, trace, ARITHMETICS[dtype])


# The record


def test_each_name_and_value_is_one_convention():
    """No two records are written alike, and each says what it is and what to do."""
    assert len(BY_WORD) == len(CONVENTIONS)
    assert all(c.says and c.instead and (c.edits or c.layout) for c in CONVENTIONS)


def test_unknown_convention_is_named():
    """One sentence, with the known ones."""
    with pytest.raises(
        ValueError, match=r"unknown convention 'reg=ful': did you mean reg=full\? .*=sum"
    ):
        convention("reg=ful")


def test_two_values_of_a_name_exclude_each_other():
    """A step follows one of them."""
    with pytest.raises(ValueError, match="cannot follow both reg=full and reg=none"):
        together([BY_WORD["reg=none"], BY_WORD["mean=sum"], BY_WORD["reg=full"]])


# The step


def loss_by(convention, model, params, problem):
    """The loss that the convention's parameters descend."""
    trace = record(replace(problem.starting_from(params), model=model))
    weights = sum(np.sum(params[name] ** 2) for name in problem.model.weights)
    return trace["loss"] + 0.5 * problem.reg * weights * (convention == "reg=optimizer")


def differs_from_gradient(convention, model):
    """How far the updates are from the numerical gradient of the loss, relative to it."""
    problem = odd_sizes(model)
    problem = problem.changed(X=problem.X / 8, reg=0.1)
    trace = record(replace(problem, model=model))
    worst = 0.0
    for name, value in problem.params.items():
        moved = (value - trace[f"{name}_next"]) / problem.step_size
        at = np.unravel_index(np.argmax(np.abs(moved)), value.shape)
        change = np.zeros_like(value)
        change[at] = 1e-6
        up, down = (
            loss_by(convention, model, {**problem.params, name: value + sign * change}, problem)
            for sign in (1, -1)
        )
        worst = max(worst, abs((up - down) / 2e-6 / moved[at] - 1))
    return worst


@pytest.mark.parametrize("word", EDITED)
@pytest.mark.parametrize("name", NAMES)
def test_update_is_the_gradient_of_the_loss(name, word):
    """A convention is a loss and its own gradient, by numerical differentiation."""
    model = following(MODELS[name], (BY_WORD[word],))
    assert differs_from_gradient(word, model) < 1e-5


@pytest.mark.parametrize("edit", ["0.5 * reg -> reg", "_q /= num_examples -> pass"])
def test_half_a_convention_is_not_the_gradient(edit):
    """Negative control: the value without its gradient, and the other way round."""
    half = Convention("half", "way", "half a convention", "do all of it", edits=(edit,))
    assert differs_from_gradient("half=way", following(TWO_LAYER, (half,))) > 1e-2


def test_step_can_be_read():
    """The lines of an edited step are shown as the note's are."""
    full, late = BY_WORD["reg=full"], BY_WORD["mean=late"]
    both = following(SOFTMAX, together([full, late]))
    assert line_of(both.step, "dW").shown() == ["dW = np.dot(X.T, dscores) / num_examples + 2 * reg * W"]
    assert line_of(both.step, "scores").shown() == line_of(SOFTMAX.step, "scores").shown()


def test_no_convention_is_the_model_itself():
    """Layouts do not edit the step."""
    assert following(TWO_LAYER, ()) is TWO_LAYER
    assert following(TWO_LAYER, (BY_WORD["bias=flat"],)) is TWO_LAYER


def test_convention_without_its_lines_is_refused():
    """A model that lacks the line is not judged by a convention that has no meaning for it."""
    other = Convention("reg", "cubed", "", "", edits=("reg * np.cbrt(_w) -> reg",))
    with pytest.raises(ValueError, match=r"reg=cubed does not apply to softmax: .* reg \* np.cbrt"):
        following(SOFTMAX, (other,))


# The bounds


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("word", BY_WORD)
@pytest.mark.parametrize("name", NAMES)
def test_file_that_follows_is_right(name, word, dtype, loaded):
    """Under both certificates, on the note's points, at ties and at other sizes."""
    conventions = (BY_WORD[word],)
    steps = list(steps_of(loaded(written(name, word)), name, conventions, dtype))
    assert wrong_in(steps, conventions) == set()


@pytest.mark.parametrize("word", EDITED)
@pytest.mark.parametrize("name", NAMES)
def test_file_that_follows_the_note_is_wrong(name, word, loaded):
    """Negative control: by a convention that it does not follow."""
    assert wrong_in(steps_of(loaded(written(name)), name, ()), (BY_WORD[word],))


@pytest.mark.parametrize("word", EDITED)
@pytest.mark.parametrize(("name", "quantity"), [(m, q) for m in MODELS for q in MODELS[m].quantities])
def test_planted_error_is_blamed(name, quantity, word, loaded):
    """A relative error of 1e-9 in any quantity is found there, and nowhere else."""
    conventions = (BY_WORD[word],)
    steps = list(steps_of(plant(loaded(written(name, word)), name, quantity, 1e-9), name, conventions))
    is_zero = all(not np.any(step.trace[quantity]) for step in steps)
    assert wrong_in(steps, conventions) == (set() if is_zero else {quantity})


@pytest.mark.parametrize("word", [word for word in EDITED if BY_WORD[word].gradient])
def test_planted_error_of_three_layers_is_blamed(word, loaded):
    """Three terms have several orders, whose route knows the regularization strength."""
    planted = plant(loaded(written("three_layer", word)), "three_layer", "reg_loss", 1e-9)
    steps = steps_of(planted, "three_layer", (BY_WORD[word],))
    assert wrong_in(steps, (BY_WORD[word],)) == {"reg_loss", "loss"}  # the file adds up term by term


#: Other ways to write lines of a right file, where it has them.
OTHER_WAYS = {
    "shifted": [(r"np\.exp\(scores\)", "np.exp(scores - np.max(scores, axis=1, keepdims=True))")],
    "log_softmax": [
        (
            r"    probs = .*",
            "    s = scores - np.max(scores, axis=1, keepdims=True); "
            "probs = np.exp(s - np.log(np.sum(np.exp(s), axis=1, keepdims=True)))",
        )
    ],
    "chain_rule": [
        (
            r"\(probs - np\.eye\(probs\.shape\[1\], dtype=X\.dtype\)\[y\]\)",
            "(np.exp(scores) * (1 / np.sum(np.exp(scores), axis=1, keepdims=True) "
            "- np.eye(probs.shape[1], dtype=X.dtype)[y] / np.exp(scores)))",
        )
    ],
    "two_means": [
        (
            r"data_loss = np\.(mean|sum)\(correct_logprobs\)",
            r"right = scores[np.arange(N), y]; "
            r"data_loss = np.\1(np.log(np.sum(np.exp(scores), axis=1))) - np.\1(right)",
        )
    ],
    "norms": [(r"np\.sum\((W\d?) \* \1\)", r"np.linalg.norm(\1) ** 2")],
    "two_halves": [(r"\+ (2 \* )?reg \* ([Wb]2?)\b(?!\))", r"+ \1reg * \2 / 2 + \1reg * \2 / 2")],
    "divided_late": [
        (r"(\w+\.T) @ (d\w+) \+", r"\1 @ (\2 * N) / N +"),
    ],
    "decayed_apart": [
        (
            r"([Wb]2?) - step_size \* \((d[Wb]2?) \+ reg \* \1\)",
            r"\1 * (1 - step_size * reg) - step_size * \2",
        )
    ],
}


@pytest.mark.parametrize(
    ("name", "word", "way"),
    [
        (name, word, way)
        for name in ("softmax", "two_layer")
        for word in EDITED
        for way, changes in OTHER_WAYS.items()
        if all(re.search(pattern, written(name, word)) for pattern, _ in changes)
    ],
)
def test_other_ways_are_right_too(name, word, way, loaded):
    """The routes to a quantity lead to the convention's as well, in the dtype where they differ most."""
    source = changed(written(name, word), *OTHER_WAYS[way])
    conventions = (BY_WORD[word],)
    assert wrong_in(steps_of(loaded(source), name, conventions, "float32"), conventions) == set()


@pytest.mark.parametrize("arithmetic", [FLOAT32, FLOAT64], ids=lambda a: a.name)
def test_bounds_of_multiples_are_multiples(arithmetic):
    """N times a quantity may stray N times as far, and not more: the bounds stay tight."""
    problem = odd_sizes(TWO_LAYER).held_as(arithmetic.name)
    N = len(problem.y)
    once = end_to_end(problem, arithmetic)
    summed = end_to_end(replace(problem, model=following(TWO_LAYER, (BY_WORD["mean=sum"],))), arithmetic)
    for name in ("data_loss", "dscores", "dhidden", "db", "db2"):
        ratio = summed[name].errors().max() / (N * once[name].errors().max())
        assert 0.5 < ratio < 1.05, name


def test_route_to_a_multiple():
    """A route that doubles the bound does so for N times the quantity."""
    start = end_to_end(odd_sizes(SOFTMAX), FLOAT64)["data_loss"]
    doubled = times_examples(lambda computed, q: computed.with_error(2 * computed.errors()))
    found = doubled(start, {"num_examples": 7})
    assert found.value == pytest.approx(start.value, rel=1e-15, abs=0)
    assert found.errors() == pytest.approx(2 * start.errors(), rel=1e-15, abs=0)


# The shapes


@pytest.mark.parametrize("word", ["bias=flat", "layout=columns"])
def test_layouts_lead_there_and_back(word):
    """What has the layout's shape comes back as it was; what has the note's gets another one."""
    layout = (BY_WORD[word],)
    letters = {"db": "1K", "dW": "DK", "loss": ""}
    arrays = {"db": np.ones((1, 3)), "dW": np.ones((2, 3)), "loss": np.ones(())}
    there = given(layout, arrays, letters)
    assert there["db"].shape == {"bias=flat": (3,), "layout=columns": (3, 1)}[word]
    back = returned(layout, there, letters)
    assert {name: array.shape for name, array in back.items()} == {
        name: array.shape for name, array in arrays.items()
    }
    assert returned(layout, arrays, letters)["db"].shape != (1, 3)
