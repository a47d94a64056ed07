"""The search: it finds edits that were made, shows them as code, and never misleads with certainty."""

from dataclasses import replace

import numpy as np
import pytest

from ports.diagnosis import UNEXPLAINED, diagnose
from ports.diagnosis.bench import bench_of, bench_of_spiral
from ports.diagnosis.case import Case
from ports.diagnosis.edits import edits_of
from ports.diagnosis.grammar import RULES, SPIRAL_RULES, Rule
from ports.diagnosis.search import Search, other_numbers
from ports.traps.fixtures import FIXTURES
from reference.agreement.arithmetic import ARITHMETICS
from reference.models import MODELS
from reference.trace import record

#: How many random errors of one and of two edits are drawn. docs/check.md states a larger run.
DRAWN = {1: 20, 2: 12}
#: At least this share of them is explained as code. Most pairs of edits are nonsense that nobody writes.
EXPLAINED = {1: 1.0, 2: 0.5}


def case_of(model, quantity):
    """A correct step of the note's 15 points, and the case of one quantity in it."""
    start = FIXTURES["kink" if MODELS[model].relus else "document"](MODELS[model])
    trace = dict(record(start))
    return start, trace, Case(start, trace, ARITHMETICS["float64"], quantity, {})


def drawn_errors(rng, edits, count):
    """Yield (start, trace, quantity, bench, line): a note's line with so many random edits."""
    quantities = [(m, q) for m in ("softmax", "two_layer") for q in MODELS[m].quantities]
    while count:
        model, quantity = quantities[rng.randint(len(quantities))]
        start, trace, case = case_of(model, quantity)
        bench = bench_of(case)
        line = bench.line
        for _ in range(edits):
            choice = [e for e in edits_of(line, RULES, bench.names) if not e.is_free]
            edited = choice[rng.randint(len(choice))].line if choice else line
            values = [bench.value_of(x.compiled()) for x in (line, edited)]
            seen = all(value is not None for value in values)
            if seen and not np.allclose(*values, rtol=1e-9, atol=0):  # others change nothing here
                line = edited
        value = bench.value_of(line.compiled())
        if value is None or not np.all(np.isfinite(value)):
            continue
        if not case.explained_by(case.expected, value):
            count -= 1
            yield start, trace | {quantity: value}, quantity, bench, line


def is_same(bench, yours, line):
    """Whether code computes what an edited line does, on tensors other than the recorded ones."""
    other = other_numbers(bench.plain) | {"num_examples": bench.plain["N"]}
    scope = dict(other)
    with np.errstate(all="ignore"):
        exec("\n".join(yours), scope)
        return bool(np.allclose(scope[line.target], line.run(other), rtol=1e-9, atol=0, equal_nan=True))


def outcome(edits, count, seed=0):
    """How many of the drawn errors are explained as code, and those explained wrongly with certainty."""
    explained, misled = 0, []
    for start, trace, quantity, bench, line in drawn_errors(np.random.RandomState(seed), edits, count):
        found = diagnose(start, trace, ARITHMETICS["float64"], quantity)
        explained += bool(found.changes)
        right = any(is_same(bench, change.yours, line) for change in found.changes)
        if found.certain and not right:
            misled.append((quantity, line.shown(), found.sentence))
    return explained, misled


@pytest.mark.parametrize("edits", DRAWN)
def test_random_edits_never_mislead_with_certainty(edits):
    """What is called certain is the edit that was made: it gives the same on other tensors too."""
    explained, misled = outcome(edits, DRAWN[edits])
    assert not misled
    assert explained >= EXPLAINED[edits] * DRAWN[edits]


def test_other_code_is_not_the_same():
    """The judge of the test above: another edit of the line is not taken for the one that was made."""
    _, _, case = case_of("softmax", "db")
    bench = bench_of(case)
    assert is_same(bench, bench.line.shown(), bench.line)
    assert not is_same(bench, ["db = np.mean(dscores, axis=0, keepdims=True)"], bench.line)


# The grammar


def test_every_rule_fits_a_line_of_the_note():
    """A row that fits nowhere is never tried: it was misspelt, or the note's line has changed."""
    noise = np.random.RandomState(0).standard_normal((3, 4))
    benches = [bench_of_spiral(q, noise, np.zeros((12, 2)), ARITHMETICS["float64"]) for q in "Xy"]
    for model in ("softmax", "two_layer"):
        benches += [bench_of(with_last_step(model, q)) for q in MODELS[model].quantities]

    def fits(rule):
        edits = (edit for bench in benches for edit in edits_of(bench.line, [rule], bench.names))
        return next(edits, None) is not None

    assert not [rule.change for rule in (*RULES, *SPIRAL_RULES) if not fits(rule)]
    assert not fits(Rule("np.cumsum(_a) -> _a", "none", "none"))


def with_last_step(model, quantity):
    """The case of a quantity in the run's second step."""
    start, trace, case = case_of(model, quantity)
    return replace(case, before={**start.params, **trace})


def test_rules_are_unlike():
    """No two rows make the same change."""
    changes = [(rule.change, rule.fits) for rule in (*RULES, *SPIRAL_RULES)]
    assert len(set(changes)) == len(changes)


def test_a_new_rule_is_one_row():
    """A mistake that the grammar does not know is found, and shown, once a row says it."""
    start, trace, case = case_of("softmax", "reg_loss")
    trace["reg_loss"] = 0.5 * start.reg * np.sum(np.abs(start.params["W"]) ** 3)
    bench = bench_of(replace(case, trace=trace))
    assert not Search(bench, RULES).one_edit()
    cube = Rule("np.sum(_w * _w) -> np.sum(np.abs(_w) * _w * _w)", "cube", "a cube of {_w}")
    (found,) = Search(bench, (*RULES, cube)).one_edit()
    assert (found.edit.cause, found.edit.says, found.is_certain) == ("cube", "a cube of W", True)
    assert found.change(bench).yours == ("reg_loss = 0.5 * reg * np.sum(np.abs(W) * W * W)",)


# What is shown


def explained(model, quantity, wrong, before=None):
    """The diagnosis of a quantity whose numbers are `wrong(trace, start)`."""
    start, trace, _ = case_of(model, quantity)
    trace[quantity] = np.asarray(wrong(trace, start))
    return diagnose(start, trace, ARITHMETICS["float64"], quantity, before)


def test_the_line_is_shown_as_code():
    """The note's line and the student's, with how much it explains."""
    start, trace, _ = case_of("two_layer", "hidden_layer")
    params = {**start.params, "b": np.linspace(-1, 1, 100).reshape(1, -1)}
    start = start.starting_from(params)
    trace = dict(record(start))
    trace["hidden_layer"] = np.maximum(0, start.X @ params["W"]) + params["b"]
    found = diagnose(start, trace, ARITHMETICS["float64"], "hidden_layer")
    (change,) = found.changes
    assert change.document == ("hidden_layer = np.maximum(0, np.dot(X, W) + b)",)
    assert change.yours == ("hidden_layer = np.maximum(0, np.dot(X, W)) + b",)
    assert (change.explained, change.elements, found.certain) == (1500, 1500, True)


def test_part_of_a_tensor():
    """An edit that holds in some rows alone names them, and is not certain."""

    def first_class_alone(trace, start):
        exp_scores = np.exp(trace["scores"])
        exp_scores[:5] /= exp_scores[:5].sum(axis=1, keepdims=True)
        return exp_scores

    found = explained("two_layer", "probs", first_class_alone)
    assert (found.cause, found.certain) == ("not normalized", False)
    assert "in the rows of classes 1, 2 alone" in found.sentence
    assert (found.changes[0].explained, found.changes[0].elements) == (30, 45)


def test_a_damaged_element_is_not_float32():
    """One wrong number is placed; its size says nothing about a number format."""

    def damaged(trace, start):
        value = trace["scores"].copy()
        value[3, 1] += 1e-9
        return value

    found = explained("two_layer", "scores", damaged)
    assert found.cause == UNEXPLAINED
    assert "in row 3 of 15 and in column 1 of 3 only" in found.sentence


def test_class_weights():
    """A factor for each class is seen, and its numbers are said."""
    weights = np.array([0.5, 1.0, 2.0])
    found = explained("softmax", "correct_logprobs", lambda t, s: t["correct_logprobs"] * weights[s.y])
    assert (found.cause, found.certain) == ("class weights", False)
    assert "0.5, 1, 2" in found.sentence


OPTIMIZERS = {
    "momentum": (lambda t, s, g: s.params["W"] - (t["dW"] + 0.9 * g), "momentum"),
    "nesterov": (lambda t, s, g: s.params["W"] - (t["dW"] + 0.9 * (t["dW"] + 0.9 * g)), "nesterov"),
    "adam": (lambda t, s, g: s.params["W"] - t["dW"] / (np.abs(t["dW"]) + 1e-8), "adam"),
    "decay": (lambda t, s, g: s.params["W"] - t["dW"] - 1e-2 * s.params["W"], "weight decay"),
    "by_norm": (
        lambda t, s, g: s.params["W"] - t["dW"] * 0.05 / np.linalg.norm(t["dW"]),
        "clipped gradient",
    ),
    "by_value": (lambda t, s, g: s.params["W"] - np.clip(t["dW"], -0.01, 0.01), "clipped gradient"),
    "rate": (lambda t, s, g: s.params["W"] - 0.95 * t["dW"], "step size"),
}


@pytest.mark.parametrize(("wrong", "cause"), OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizers(wrong, cause):
    """Other optimizers than plain descent, from the gradients of two consecutive steps."""
    gradient = np.random.RandomState(1).standard_normal((2, 3)) / 10
    start, trace, _ = case_of("softmax", "W_next")
    before = {**start.params, **trace, "dW": gradient, "W_next": start.params["W"] - gradient}
    found = explained("softmax", "W_next", lambda t, s: wrong(t, s, gradient), before)
    assert found.cause == cause, found.sentence
