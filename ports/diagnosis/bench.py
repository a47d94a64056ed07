"""The bench on which edited lines are run: the right line, and the tensors that the port recorded."""

import ast
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ports.diagnosis.case import Case, holds
from ports.diagnosis.edits import FREE, Names
from ports.diagnosis.vocabulary import NAMES
from reference.agreement.arithmetic import Arithmetic, Unbounded
from reference.agreement.rounded import Rounded, linspace
from reference.agreement.rules import SLACK
from reference.arrays import Plain, is_floats, is_integers
from reference.line import Line, line_of, names_in, variables_of
from reference.spiral import spiral

Run = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Bench:
    """One wrong quantity, and the names on which its edited lines are run.

    Attributes:
        quantity: its name. `got` is the port's tensor as float64, `expected` the right one.
        line: the right line.
        names: what the grammar's special names stand for.
        plain: the port's recorded tensors in float64, by the line's names.
        bounded: the same as `Rounded` arrays.
        step: the function that the line is from; `earlier` are the quantities before this one.
    """

    quantity: str
    got: Plain
    expected: Rounded
    line: Line
    names: Names
    plain: Mapping[str, Any]
    bounded: Mapping[str, Any]
    step: Callable[..., Any]
    earlier: tuple[str, ...] = ()

    @cached_property
    def lines_before(self) -> list[Line]:
        """The line with more and more of the quantities before computed anew."""
        anew = [self.earlier[i:] for i in reversed(range(len(self.earlier)))]
        return [line_of(self.step, self.quantity, names) for names in anew]

    @property
    def arithmetic(self) -> Arithmetic:
        """The port's."""
        return self.expected.arithmetic

    @cached_property
    def wrong(self) -> Plain:
        """Which elements are wrong."""
        with np.errstate(all="ignore"):
            return np.asarray(~self._within(self.expected))

    def value_of(self, run: Run, number: float | None = None) -> Plain | None:
        """What a line gives in float64, or None if it cannot be run or has not the port's shape."""
        names = self.plain if number is None else {**self.plain, FREE: number}
        try:
            value = np.asarray(run(names), dtype=np.float64)
        except Exception:  # an edit may be any nonsense: shapes that do not fit, a missing name
            return None
        return value if value.shape == self.got.shape else None

    def near(self, value: Plain | None) -> Any:
        """Which of these numbers are close enough to the port's to be worth an error analysis."""
        if value is None:
            return np.False_
        reach = np.sqrt(self.arithmetic.of_products.roundoff) * np.max(np.abs(self.got), initial=0)
        return np.abs(value - self.got) <= reach

    def predicted(self, line: Line) -> Rounded | None:
        """What a line gives, with its error and that of the other routes to the right line.

        The routes' errors are those of the right quantity, in proportion to its size.
        """
        run = line.compiled()
        value = self.value_of(run)
        if value is None:
            return None
        try:
            bounded = run(self.bounded)
        except Exception:  # no rule for one of its operations, or no finite bound
            bounded = None
        own = bounded.errors() if isinstance(bounded, Rounded) else 0.0
        if value.shape != self.expected.value.shape:
            return Rounded(value, np.broadcast_to(own, value.shape), self.arithmetic)
        size, right = (np.max(np.abs(x), initial=0) for x in (value, self.expected.value))
        scale = max(1.0, size / right) if right else 1.0
        return Rounded(value, own + scale * self.expected.errors(), self.arithmetic)

    def explains(self, predicted: Rounded | None) -> bool:
        """Whether a prediction holds for every element, and the right value does not."""
        right = self.expected.value
        return holds(self.quantity, predicted, self.got) and not holds(self.quantity, predicted, right)

    @cached_property
    def wrong_parts(self) -> list[Plain]:
        """The rows that have wrong elements, and the columns, as masks; not if those are all."""
        if self.got.ndim not in (1, 2) or self.got.shape != self.expected.value.shape:
            return []
        axes = range(self.got.ndim)
        parts = [np.broadcast_to(self.wrong.any(axis=a, keepdims=True), self.got.shape) for a in axes]
        parts = [self.wrong] if self.got.ndim == 1 else parts[::-1]
        return [part for part in parts if not part.all()]

    def refutes(self, line: Line) -> bool:
        """Whether a line gives other numbers than the port's here. One that cannot be run does not."""
        predicted = self.predicted(line)
        return predicted is not None and not holds(self.quantity, predicted, self.got)

    def explains_part(self, predicted: Rounded, part: Plain) -> bool:
        """Whether a prediction holds for every element of a part that has all the wrong ones."""
        return bool(self._within(predicted)[part].all())

    def _within(self, predicted: Rounded) -> Any:
        return np.abs(self.got - predicted.value) <= predicted.errors() * SLACK


def bench_of(case: Case) -> Bench:
    """The bench of a step's quantity."""
    step, order = case.model.step, list(case.model.quantities)
    earlier = order[: order.index(case.quantity)]
    floats = {name: x for name, x in case.start.batch.items() if is_floats(x)}
    given = {**floats, **case.params} | {name: case.value_of(name) for name in earlier}
    later = {n: case.trace[n] for n in order if n in case.trace and n != case.quantity}
    before = {f"last_{name}": tensor for name, tensor in case.before.items()}
    gradient = case.gradient_before() if case.parameter else None
    if gradient is not None:
        before[f"last_d{case.parameter}"] = gradient.value
    tensors = {name: _frozen(tensor) for name, tensor in {**before, **later, **given}.items()}
    numbers = case.numbers
    labels = {n: x.astype(np.int64) for n, x in case.start.batch.items() if is_integers(x)}
    names = Names(
        {*given, *numbers, "num_examples"},
        {"WEIGHTS": case.model.weights, "BIAS": case.model.biases},
        {
            "last": {n.removeprefix("last_"): n for n in tensors if n.startswith("last_")},
            "after": _after(case, tensors),
            "before": pre_activations(case),
        },
        case.parameter,
    )
    sizes = {letter: size for letter, size in case.start.sizes.items() if letter.isalpha()}
    shared = {**NAMES, **sizes, **numbers, **labels, "global_norm": _global_norm(case)}
    bounded = {name: case.exact(tensor) for name, tensor in tensors.items()}
    return Bench(
        case.quantity,
        case.got,
        case.expected,
        line_of(step, case.quantity),
        names,
        _names(case, shared, tensors),
        _names(case, shared, bounded),
        step,
        tuple(earlier),
    )


def _names(case: Case, shared: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
    """What an edited line can name: arrays, what it shares with other lines, and a step's arguments."""
    names = {**shared, **arrays}
    params, batch = ({name: names[name] for name in x} for x in (case.params, case.start.batch))
    return {**names, "params": params, "batch": batch, "tap": names.get}


def _global_norm(case: Case) -> float:
    """The norm of all gradients of the step together; NaN if one is hidden."""
    gradients = [case.trace.get(f"d{name}") for name in case.params]
    if any(gradient is None for gradient in gradients):
        return float("nan")
    return float(
        np.sqrt(sum(np.sum(np.square(g, dtype=np.float64)) for g in gradients if g is not None))
    )


def bench_of_spiral(quantity: str, noise: Plain, got: Plain, arithmetic: Arithmetic) -> Bench:
    """The bench of the generator's points X, or of its labels y."""
    exact = Rounded.exact(noise, arithmetic)
    X, y = spiral(exact, linspace(arithmetic))
    expected = X if quantity == "X" else Rounded.exact(y, arithmetic)
    shared = {**NAMES, "K": noise.shape[0], "N": noise.shape[1]}
    return Bench(
        quantity,
        np.asarray(got, dtype=np.float64),
        expected,
        line_of(spiral, quantity),
        Names({"t", "r"}, {}, {}),
        {**shared, "noise": _frozen(noise), "linspace": np.linspace},
        {**shared, "noise": exact, "linspace": linspace(arithmetic)},
        spiral,
    )


def benches_of(quantity: str, cases: Sequence[Case]) -> list[Bench]:
    """The benches of a quantity in other steps, where it has the right form and a bound."""
    found = []
    for case in cases:
        about = case.about(quantity)
        with suppress(Unbounded):
            if quantity in case.trace and not about.structural_problem():
                found.append(bench_of(about))
    return found


def _frozen(tensor: Any) -> Plain:
    """A float64 copy that an edited line cannot write into."""
    array = np.array(tensor, dtype=np.float64)
    array.flags.writeable = False
    return array


def _after(case: Case, tensors: Collection[str]) -> dict[str, str]:
    """Each parameter after the update, in this step and in the one before."""
    names = [*case.params, *(f"last_{n}" for n in case.params)]
    known = {name: f"{name}_next" for name in names}
    return {n: after for n, after in known.items() if after in tensors or f"last_{after}" in tensors}


def pre_activations(case: Case) -> dict[str, str]:
    """The code of what each ReLU is given, by the variable that holds its result."""
    found, variables = {}, variables_of(case.model.step)
    for name in case.model.relus:
        match line_of(case.model.step, name).statements[-1]:
            case ast.Assign(value=ast.Call(args=[ast.Constant(0), argument])):
                found[variables[name]] = ast.unparse(argument)
    return found


def parts_of_lines_before(bench: Bench) -> dict[str, Plain]:
    """Arrays that the lines before compute on the way, by their code: a ReLU's pre-activation, say."""
    found = dict[str, Plain]()
    statements = bench.lines_before[-1] if bench.lines_before else bench.line
    for _, node in statements.nodes():
        if isinstance(node, ast.BinOp | ast.Call) and names_in(node) <= bench.plain.keys():
            code = ast.unparse(node)
            try:
                with np.errstate(all="ignore"):
                    value = eval(code, dict(bench.plain))
            except Exception:  # a part that is a list or a range, or has no meaning by itself
                continue
            if isinstance(value, np.ndarray) and value.ndim:
                found[code] = value
    return found
