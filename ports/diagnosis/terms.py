"""Mistakes in a term or a factor: a constant, the regularization, a bias, a stale gradient."""

import itertools
from collections.abc import Iterator

import numpy as np

from ports.diagnosis.case import Case, Suspicion
from reference.agreement.rounded import Rounded
from reference.arrays import Plain

#: Factors on the regularization term, and what each is called.
REGULARIZATIONS = {0.0: "missing", 2.0: "doubled", 0.5: "halved", -1.0: "sign"}
MOMENTA = (0.9, 0.99, 0.95, 0.5)


def factors(case: Case) -> dict[str, float]:
    """Factors that are easily lost or applied twice, by name."""
    N, K = case.y.size, case.start.sizes["K"]
    named = {"N": N, "1/N": 1 / N, "2": 2, "1/2": 0.5, "-1": -1, "K": K, "1/K": 1 / K}
    named |= {"1/ln 2": 1 / np.log(2), "1/ln 10": 1 / np.log(10)}
    named |= {"-step_size": -case.step_size, "step_size": case.step_size}
    names = {float(c): name for name, c in reversed(named.items())}  # equal numbers keep the first name
    return {name: c for c, name in reversed(names.items()) if c != 1}


def constant_factor(case: Case) -> Iterator[Suspicion]:
    """The quantity, its data part or its update is multiplied by a constant."""
    for name, c in factors(case).items():
        said = f"a factor of {name}" if name.lstrip("-").isdigit() else f"a factor of {name} ({c:.4g})"
        yield Suspicion(f"factor {name}", f"{said}{_scaled_part(case)}", scaled(case, c))
        if not case.is_update:
            yield Suspicion(f"factor {name}", said, case.expected * c)


def zero(case: Case) -> Iterator[Suspicion]:
    """Zeros: from a detached graph, an update that is left out, or an array that is never written."""
    what = "no update" if case.is_update else "no gradient arriving: a detached graph"
    if (case.quantity.startswith("d") and case.got.ndim) or case.is_update:
        yield Suspicion("zero", what, scaled(case, 0.0))
    elif case.got.ndim:
        emptied = "zeros throughout: never written, or overwritten after its use"
        yield Suspicion("zero", emptied, scaled(case, 0.0))


def scaled(case: Case, c: float) -> Rounded:
    """c times the quantity, its data part (of a regularized gradient) or its update (of a parameter)."""
    if case.is_update:
        gradient = case.about(f"d{case.parameter}")
        term = (
            case.exact(case.inputs[gradient.quantity])
            if gradient.quantity in case.inputs
            else gradient.expected
        )
        return case.plus((1 - c) * case.step_size, term)
    if case.parameter in case.model.weights:
        regularization = case.exact(case.params[case.parameter]) * case.reg
        return case.recomputed({"reg": 0.0}) * c + regularization
    return case.expected * c


def _scaled_part(case: Case) -> str:
    if case.is_update:
        return " in the update"
    return " in all but the regularization" if case.parameter in case.model.weights else ""


def fitted_factor(case: Case) -> Iterator[Suspicion]:
    """Some other constant factor."""
    if case.got.size < 3:
        return
    base, unit = scaled(case, 0.0), scaled(case, 1.0).value
    direction = unit - base.value
    along = float(np.sum(direction * direction))
    c = float(np.sum((case.got - base.value) * direction)) / along if along else 1.0
    predicted = scaled(case, c)
    predicted = predicted.with_error(predicted.errors() + fit_error(predicted.errors(), direction))
    said = f"a constant factor of {_shown(c)}{_scaled_part(case)}{_of_other_count(c, case.y.size)}"
    yield Suspicion("factor", said, predicted)


def _of_other_count(c: float, N: int) -> str:
    """A remark if c is N/m, as when a number of examples m is written into the code."""
    m = N / c if c else 0.0
    whole = 1 < m <= 1e4 and round(m) != N and abs(m - round(m)) < 1e-4
    return f", as if there were {round(m)} examples, not {N}" if whole else ""


def _shown(c: float) -> str:
    """A factor in digits, or its distance from 1 if the digits would show 1."""
    return f"1 {'+' if c > 1 else '-'} {abs(c - 1):.3g}" if 0 < abs(c - 1) < 1e-4 else f"{c:.6g}"


def fit_error(error: Plain, direction: Plain) -> Plain:
    """How far a least-squares factor may be off, at each element."""
    size = np.abs(direction)
    return np.asarray(size * np.sum(error * size) / np.sum(size * size))


def regularization(case: Case) -> Iterator[Suspicion]:
    """reg*W, or its term in the loss, is missing, doubled, halved, averaged or of the wrong sign."""
    for c, what in {**REGULARIZATIONS, 1 / case.y.size: "divided by N"}.items():
        if case.quantity == "loss":
            predicted = case.recomputed({"reg_loss": c * case.value_of("reg_loss")})
        elif case.parameter in case.model.weights:
            weights = case.params[case.parameter]
            predicted = case.plus(case.per_gradient * (c - 1) * case.reg, weights)
        else:
            return
        yield Suspicion(f"reg {what}", f"the regularization {_said(what)}", predicted)
    if case.is_update and case.step_size != 1:
        added = case.plus((1 + case.step_size) * case.reg, case.params[case.parameter])
        yield Suspicion("reg sign", "the regularization added after the step size, not before", added)


def _said(what: str) -> str:
    return "of the wrong sign" if what == "sign" else what


def regularized_parameters(case: Case) -> Iterator[Suspicion]:
    """One layer's regularization is missing or has another factor, or the biases are regularized."""
    if case.quantity == "reg_loss":
        weights = case.model.weights
        for name in weights:
            W = case.exact(case.params[name])
            term = np.sum(W * W) * (0.5 * case.reg)
            for c, what in REGULARIZATIONS.items():
                if c == 0 or len(weights) > 1:  # with one layer, that is a factor on the whole
                    phrase = f"the regularization of {name} {_said(what)}"
                    yield Suspicion(f"reg {what}", phrase, case.plus(c - 1, term))
        squares = {b: float(np.sum(case.params[b] ** 2)) for b in case.model.biases}
        for size in range(1, len(squares) + 1):
            for chosen in itertools.combinations(squares, size):
                added = case.plus(0.5 * case.reg, sum(squares[b] for b in chosen))
                phrase = f"{' and '.join(chosen)} in the regularization"
                yield Suspicion("reg on biases", phrase, added)
    elif case.parameter in case.model.biases:
        b = case.params[case.parameter]
        yield Suspicion(
            "reg on biases",
            f"regularization of {case.parameter}",
            case.plus(case.per_gradient * case.reg, b),
        )


def missing_bias(case: Case) -> Iterator[Suspicion]:
    """A bias is not added."""
    for name in case.operands:
        if name in case.model.biases and not case.parameter:
            yield Suspicion(
                "bias missing",
                f"{name} left out",
                case.try_recomputed({name: 0 * case.params[name]}),
            )


def last_step(case: Case) -> Iterator[Suspicion]:
    """The gradient of the step before is still in this one: it was not zeroed, or there is momentum."""
    if case.quantity in case.before:
        same = case.exact(case.before[case.quantity])
        yield Suspicion("last step's", "the last step's value", same)
        if not case.is_update and case.quantity.startswith("d") and case.got.ndim:
            stale = "a stale gradient: this step's plus the last one's"
            yield Suspicion("stale gradient", stale, case.plus(1, same))
    gradient = case.gradient_before() if case.is_update else None
    if gradient is not None:
        stale = "a stale gradient: this step's plus the last one's"
        yield Suspicion("stale gradient", stale, case.plus(-case.step_size, gradient))
        for mu in MOMENTA:
            predicted = case.plus(-case.step_size * mu, gradient)
            yield Suspicion("momentum", f"momentum of {mu:g} in the optimizer", predicted)
