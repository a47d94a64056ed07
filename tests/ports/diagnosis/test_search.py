"""The search: it finds edits that were made, shows them as code, and never misleads with certainty."""

import numpy as np

from ports.diagnosis import diagnose
from ports.diagnosis.bench import bench_of
from ports.diagnosis.case import Case
from ports.diagnosis.edits import edits_of
from ports.diagnosis.grammar import RULES
from ports.diagnosis.search import _same, other_numbers
from ports.traps.fixtures import FIXTURES
from reference.agreement.arithmetic import ARITHMETICS
from reference.models import MODELS
from reference.trace import record

#: How many random edits the floor is measured with. docs/check.md states a larger run.
DRAWN = 24
#: At least this share of errors made by one or two edits is explained.
EXPLAINED = 0.8


def case_of(model, quantity):
    """A correct step of the note's 15 points, and the case of one quantity in it."""
    start = FIXTURES["kink" if MODELS[model].relus else "document"](MODELS[model])
    trace = dict(record(start))
    return start, trace, Case(start, trace, ARITHMETICS["float64"], quantity, {})


def drawn_edits(rng, count):
    """Yield (start, trace, quantity, bench, line): a note's line with one or two random edits."""
    quantities = [(m, q) for m in ("softmax", "two_layer") for q in MODELS[m].quantities]
    while count:
        model, quantity = quantities[rng.randint(len(quantities))]
        start, trace, case = case_of(model, quantity)
        bench = bench_of(case)
        line = bench.line
        for _ in range(rng.randint(1, 3)):
            edits = [e for e in edits_of(line, RULES, bench.names) if not e.is_free]
            if edits:
                line = edits[rng.randint(len(edits))].line
        value = bench.value_of(line.compiled())
        if (
            value is not None
            and np.all(np.isfinite(value))
            and not case.explained_by(case.expected, value)
        ):
            count -= 1
            yield start, trace | {quantity: value}, quantity, bench, line


def same_line(bench, document, yours, line):
    """Whether lines of code compute what an edited line does, on tensors other than the recorded ones."""
    other = other_numbers(bench.plain)
    scope = dict(other) | {"num_examples": bench.plain["N"]}
    with np.errstate(all="ignore"):
        exec("\n".join(yours), scope)
        return _same(scope[line.target], line.run(other))


def judged(count, seed=0):
    """How many of the drawn errors are explained, and those explained wrongly with certainty."""
    explained, misled = 0, []
    for start, trace, quantity, bench, line in drawn_edits(np.random.RandomState(seed), count):
        found = diagnose(start, trace, ARITHMETICS["float64"], quantity)
        explained += bool(found.changes)
        if found.certain and not (
            found.changes and same_line(bench, found.changes[0].document, found.changes[0].yours, line)
        ):
            misled.append((quantity, line.shown(), found.sentence))
    return explained, misled


def test_random_edits_never_mislead_with_certainty():
    """What is called certain is the edit that was made: it gives the same on other tensors too."""
    explained, misled = judged(DRAWN)
    assert not misled
    assert explained >= EXPLAINED * DRAWN
