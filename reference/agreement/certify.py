"""Certify: a reference step and a port's trace of it -> findings.

Two certificates for every quantity:

*end to end*: from identical weights and points, the port's value is within the bound
propagated through the whole step.

*local*: the reference recomputes each quantity from the port's **own** recorded inputs.
This bound does not accumulate, and it blames exactly the operation that is wrong:
everything downstream of a bug stays green.

Nothing here asserts or prints.
"""

from typing import NamedTuple

import numpy as np

from reference.agreement.rounded import SLACK, Rounded
from reference.agreement.routes import cover
from reference.trace import PARAMETERS, QUANTITIES, STEPS, overflow_message
from reference.agreement.arithmetic import Unbounded

END_TO_END, LOCAL = "end to end", "local"
CERTIFICATES = (LOCAL, END_TO_END)


class Finding(NamedTuple):
    """One quantity of one step under one certificate.

    `share` is the largest |got - expected| / allowed over the elements: at most 1 agrees, NaN
    never does. `index`, `got`, `expected`, `allowed` are of that element. `problem` says what
    is wrong with a tensor that could not be compared by value at all.
    """

    quantity: str
    certificate: str
    share: float
    index: tuple = ()
    got: float = float("nan")
    expected: float = float("nan")
    allowed: float = float("nan")
    elements: int = 0
    problem: str = ""

    @property
    def agrees(self):
        return self.share <= 1 and not self.problem


def end_to_end(model, params, X, y, reg, step_size, arithmetic, at="this step"):
    """Run the reference step on `Rounded` inputs: every quantity with its propagated bound.

    All arrays are float64 holding numbers of the port's dtype; they count as exact.
    Raises Unbounded, naming the step, where no bound exists.
    """
    q = _inputs(params, X, y, reg, arithmetic)

    def tap(name, computed):
        q[name] = cover(name, computed, q)
        return q[name]

    return _run(model, params, q, step_size, tap, at)


def local(model, params, X, y, reg, step_size, trace, arithmetic, at="this step"):
    """Recompute every quantity from the port's own recorded ones, with the bound of that one operation.

    `trace` maps names to arrays; a quantity missing from it is recomputed from those before it.
    """
    q = _inputs(params, X, y, reg, arithmetic)
    expected = {}

    def tap(name, computed):
        expected[name] = cover(name, computed, q)
        q[name] = _as_recorded(trace[name], computed) if name in trace else expected[name]
        return q[name]

    _run(model, params, q, step_size, tap, at)
    return expected


def _inputs(params, X, y, reg, arithmetic):
    inputs = {name: Rounded.exact(value, arithmetic) for name, value in params.items()}
    return inputs | {"X": Rounded.exact(X, arithmetic), "y": y, "reg": reg}


def _run(model, params, q, step_size, tap, at):
    weights = {name: q[name] for name in params}
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            STEPS[model](weights, q["X"], q["y"], q["reg"], step_size, tap)
    except Unbounded as why:
        raise Unbounded(f"{at}: {why}") from None
    except FloatingPointError:
        values = {n: q[n].value for n in QUANTITIES[model] if n in q}
        raise Unbounded(overflow_message(values, at, q["y"])) from None
    return {name: q[name] for name in QUANTITIES[model] if name in q}


def _as_recorded(recorded, computed):
    """The port's own tensor, as the operation after it sees it.

    That is the recorded number itself (a subnormal one may be read as 0), except for a product: a compiler may contract it into
    the addition that follows (a fused multiply-add), which then sees the product unrounded.
    """
    if computed.product != 1:
        return Rounded.exact(recorded, computed.arithmetic)
    value = recorded.astype(np.float64)
    flushed = np.where(computed.error > 0, computed.arithmetic.smallest_normal, 0.0)
    error = computed.arithmetic.unit * np.abs(value) + flushed
    return Rounded(value, error, computed.arithmetic, product=1)


def compare(quantity, certificate, got, expected):
    """Hold one recorded tensor against its bound."""
    share, worst = largest_share(got, expected)
    index = tuple(int(i) for i in np.unravel_index(worst, got.shape))
    return Finding(
        quantity,
        certificate,
        share,
        index,
        float(got[index]),
        float(expected.value[index]),
        float(np.broadcast_to(expected.error, got.shape)[index]),
        got.size,
    )


def largest_share(got, expected):
    """The largest share of the bound that any element uses, and its flat index.

    0/0 (both exact, and equal) is 0; anything over an exact bound is infinite; NaN stays NaN.
    """
    allowed = np.multiply(expected.error, SLACK)
    allowed += np.finfo(np.float64).smallest_subnormal
    share = np.abs(np.subtract(got, expected.value, dtype=np.float64))
    share /= allowed
    worst = int(np.argmax(share))  # the first NaN, where there is one
    return float(share.flat[worst]), worst


def structural_problems(model, trace, sizes, dtype, hidden=()):
    """Findings on what cannot be compared by value: missing, renamed, misshapen, wrong dtype.

    `sizes` maps the letters N, D, H, K to numbers; `hidden` names quantities that the port declares
    its library does not show.
    """
    findings = []
    for name, letters in QUANTITIES[model].items():
        if name not in trace:
            if name not in hidden:
                findings.append(_problem(name, "is missing from the port's trace"))
            continue
        shape = tuple(1 if letter == "1" else sizes[letter] for letter in letters)
        got = trace[name]
        if got.shape != shape:
            findings.append(_problem(name, f"has shape {got.shape}, expected {shape}"))
        elif got.dtype != dtype:
            findings.append(_problem(name, f"has dtype {got.dtype}, expected {dtype}"))
    for name in trace:
        if name not in QUANTITIES[model]:
            findings.append(_problem(name, f"is not a quantity of {model}; {_nearest(name, model)}"))
    return findings


def _problem(name, problem):
    return Finding(name, LOCAL, float("nan"), problem=problem)


def _nearest(name, model):
    import difflib

    near = difflib.get_close_matches(name, QUANTITIES[model], n=1)
    return f"did you mean {near[0]}?" if near else f"expected {', '.join(QUANTITIES[model])}"


def sizes_of(model, params, X):
    """The letters of the shape table for one problem."""
    sizes = {"N": X.shape[0]}
    for name, letters in PARAMETERS[model].items():
        sizes |= dict(zip(letters, params[name].shape, strict=True))
    return sizes


def certify(
    model, params, X, y, reg, step_size, trace, arithmetic, bounds=None, hidden=(), at="this step"
):
    """Judge one port's trace of one step. Returns every `Finding`, structural ones first.

    `bounds` is the step's `end_to_end` result, shared by all ports that start from the same numbers.
    """
    dtype = np.dtype(arithmetic.name)
    findings = structural_problems(model, trace, sizes_of(model, params, X), dtype, hidden)
    broken = {f.quantity for f in findings}
    usable = {name: got for name, got in trace.items() if name not in broken}
    problem = (model, params, X, y, reg, step_size)
    bounds = bounds or end_to_end(*problem, arithmetic, at)
    with np.errstate(all="ignore"):
        findings_of = {n: compare(n, END_TO_END, got, bounds[n]) for n, got in usable.items()}
        sound = {n: got for n, got in usable.items() if findings_of[n].agrees}
    try:
        expected = local(*problem, usable, arithmetic, at)
    except Unbounded:  # a recorded NaN, infinity or probability 0: go on without it
        expected = local(*problem, sound, arithmetic, at)
    with np.errstate(all="ignore"):
        for name, got in usable.items():
            findings += [compare(name, LOCAL, got, expected[name]), findings_of[name]]
    return findings
