"""The case: one wrong quantity, and all that the port recorded in that step and the one before."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from reference.agreement.arithmetic import Arithmetic, Unbounded
from reference.agreement.bounds import local
from reference.agreement.judge import LOCAL, compare, structural_problems
from reference.agreement.rounded import Rounded
from reference.arrays import Params, Plain
from reference.models import Model, Problem

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Suspicion:
    """A mistake, and the quantity that it would give.

    Attributes:
        cause: a short key. `phrase` completes "the quantity is consistent with ...".
        predicted: what the port would have computed.
        fitted: whether something in it was chosen to suit the port's tensor.
        code: the change as lines of code, if it is an edit of the note's.
    """

    cause: str
    phrase: str
    predicted: Rounded
    fitted: bool = False
    code: "Change | None" = None


@dataclass(frozen=True)
class Change:
    """The note's lines, and the lines that would give the port's numbers.

    They explain `explained` of the tensor's `elements`; the others are right.
    """

    document: tuple[str, ...]
    yours: tuple[str, ...]
    explained: int
    elements: int


def holds(quantity: str, predicted: Rounded | None, got: Plain) -> bool:
    """Whether a prediction holds for every element of a tensor, within its bound."""
    if predicted is None or predicted.value.shape != got.shape:
        return False
    with np.errstate(all="ignore"):
        return bool(compare(quantity, LOCAL, got, predicted).agrees)


Observation = Callable[["Case"], Iterator[Suspicion]]


@dataclass(frozen=True)
class Case:
    """One wrong quantity, with all that the port recorded in that step and the one before.

    `start` is what the step was given. `before` holds the trace and the parameters of the step
    before, as far as they are known.
    """

    start: Problem
    trace: Mapping[str, Plain]
    arithmetic: Arithmetic
    quantity: str
    before: Mapping[str, Plain]

    @property
    def model(self) -> Model:
        """The network."""
        return self.start.model

    @property
    def params(self) -> Params:
        """The parameters that the step was given."""
        return self.start.params

    @property
    def y(self) -> Plain:
        """The labels of the rows; none for a network of one's own."""
        labels = self.start.labels
        return np.zeros(0, dtype=np.int64) if labels is None else labels

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers of the batch by name: the regularization strength, the step size."""
        arrays = np.ndarray, Rounded
        return {name: x for name, x in self.start.batch.items() if not isinstance(x, arrays)}

    def about(self, quantity: str) -> "Case":
        """The case of another quantity in the same step."""
        return replace(self, quantity=quantity)

    @cached_property
    def got(self) -> Plain:
        """What the port recorded."""
        return np.asarray(self.trace[self.quantity], dtype=np.float64)

    @cached_property
    def problems(self) -> dict[str, str]:
        """What is wrong with the form of each recorded tensor."""
        found = structural_problems(self.start, self.trace, self.arithmetic)
        return {finding.quantity: finding.problem for finding in found}

    def structural_problem(self) -> str:
        """What is wrong with the quantity's form, or an empty string."""
        return self.problems.get(self.quantity, "")

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """Everything that the quantity may depend on, with the numbers that the port had."""
        names = list(self.model.quantities)
        earlier = names[: names.index(self.quantity)]
        recorded = {n: self.trace[n] for n in earlier if n in self.trace and n not in self.problems}
        return {**self.start.batch, **self.params, **recorded}

    def value_of(self, name: str) -> Plain:
        """An earlier quantity as recorded, or as it should be if the port does not show it."""
        value = self.inputs.get(name)
        return self.about(name).expected.value if value is None else np.asarray(value)

    def recomputed(
        self, changes: Mapping[str, Any] = NOTHING, arithmetic: Arithmetic | None = None
    ) -> Rounded | None:
        """The quantity as the reference computes it from the port's inputs, with `changes` to them.

        Returns None if there is no finite bound.
        """
        try:
            return self._recomputed(self.inputs | dict(changes), arithmetic or self.arithmetic)
        except Unbounded:
            return None

    def _recomputed(self, q: Mapping[str, Any], arithmetic: Arithmetic) -> Rounded:
        params = {name: q[name] for name in self.params}
        start = Problem(self.model, params, {name: q[name] for name in self.start.batch})
        trace = {n: np.asarray(q[n]) for n in self.model.quantities if n in q}
        return local(start, trace, arithmetic)[self.quantity]

    @cached_property
    def expected(self) -> Rounded:
        """The quantity from the port's own inputs, as it should be. Raises Unbounded."""
        return self._recomputed(self.inputs, self.arithmetic)

    def explained_by(self, predicted: Rounded | None, got: Plain | None = None) -> bool:
        """Whether a prediction holds for every element, within its bound."""
        return holds(self.quantity, predicted, self.got if got is None else got)

    def bears_out(self, predicted: Rounded | None) -> bool:
        """Whether a prediction explains the error: it holds, and the right value breaks its bound."""
        return self.explained_by(predicted) and not self.explained_by(predicted, self.expected.value)

    def exact(self, value: Any) -> Rounded:
        """The port's own number or array, which has no error."""
        return Rounded.exact(np.asarray(value, dtype=np.float64), self.arithmetic)

    @cached_property
    def parameter(self) -> str:
        """The parameter whose gradient or next value the quantity is, or an empty string."""
        name = self.quantity.removesuffix("_next")
        return next((p for p in self.params if name in (p, f"d{p}")), "")

    def gradient_before(self) -> Rounded | None:
        """The parameter's gradient in the step before, recomputed if the port's library hides it."""
        name = f"d{self.parameter}"
        if name in self.before:
            return self.exact(self.before[name])
        if not all(p in self.before for p in self.params):
            return None
        start = self.start.starting_from({p: self.before[p] for p in self.params})
        last = Case(start, self.before, self.arithmetic, name, NOTHING)
        return last.recomputed()
