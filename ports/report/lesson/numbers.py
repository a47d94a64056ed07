"""The numbers of the page: a few of each tensor, at each shown step, of the reference and each port.

Of a quantity that has a row for each example, the page shows the row of the example that the reader
follows. Of another it shows the elements that use most of their bound. The reference's numbers go into
the page as they are, 8 bytes each. A port's are told by how many float64 numbers they are away from the
reference's, which is one byte where it is not far: so the numbers of all examples fit.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ports.engine.side_by_side import largest
from ports.lesson.digits import Digits
from ports.lesson.run import PortStep, Quantities
from ports.report.lesson.digits import compared, written
from ports.report.lesson.pictures import difference_map, heat_map
from reference.agreement.judge import END_TO_END, LOCAL, Finding
from reference.arrays import Plain

#: How many numbers of a tensor are shown.
SHOWN = 3
#: The example that is followed at first: the middle of an arm.
FOLLOWED = 150


@dataclass(frozen=True)
class PortNumbers:
    """A port's numbers of one quantity at one step, or why there are none.

    Attributes:
        values: in the form of `Numbers.values`.
        shares: the largest share of a bound in the whole tensor, local and end to end.
        map: how far each element is from the reference's, as a picture.
        problem: what a finding has against the tensor. Its numbers are then not shown.
    """

    values: Plain | None = None
    shares: tuple[float, float] = (0.0, 0.0)
    map: str = ""
    problem: str = ""

    def as_json(self, reference: Plain) -> dict[str, Any]:
        """For `lesson.js`, which puts the numbers together again."""
        if self.values is None:
            return {"problem": self.problem}
        away = distances(self.values, reference)
        near = np.abs(away) < 127
        others = {str(i): float(self.values.flat[i]) for i in np.flatnonzero(~near)}
        return {
            "shares": self.shares,
            "map": self.map,
            "away": encoded(np.where(near, away, 127).astype(np.int8)),
            "others": others,
        }


@dataclass(frozen=True)
class Numbers:
    """Numbers of one quantity at one step.

    Attributes:
        indices: which element each column is of: without the example's, if `by_example`.
        values: (N, columns) if `by_example`, else (1, columns): the reference's.
        heat: the whole tensor as a picture.
        ports: each port's numbers.
    """

    by_example: bool
    indices: Sequence[tuple[int, ...]]
    values: Plain
    heat: str
    ports: Mapping[str, PortNumbers]

    def shown(self, port: str = "", example: int = FOLLOWED) -> list[tuple[str, Digits]]:
        """Label and digits of each number of the reference, or of a port beside it."""
        row = example if self.by_example else 0
        expected, got = self.values[row], self.ports[port].values if port else None
        labels = [label(index, example if self.by_example else None) for index in self.indices]
        if got is None:
            return [(name, Digits(written(e))) for name, e in zip(labels, expected, strict=True)]
        return [(name, compared(g, e)) for name, g, e in zip(labels, got[row], expected, strict=True)]

    def as_json(self) -> dict[str, Any]:
        """For `lesson.js`."""
        return {
            "byExample": self.by_example,
            "indices": [list(index) for index in self.indices],
            "values": encoded(self.values),
            "heat": self.heat,
            "ports": {port: numbers.as_json(self.values) for port, numbers in self.ports.items()},
        }


def label(index: Sequence[int], example: int | None = None) -> str:
    """An index as code: [150, 2]; nothing for a scalar."""
    whole = [*([] if example is None else [example]), *index]
    return f"[{', '.join(map(str, whole))}]" if whole else ""


def numbers_of(quantity: str, shapes: Mapping[str, str], steps: Sequence[Quantities]) -> list[Numbers]:
    """The numbers of a quantity at each of some steps; `shapes` spells those of all quantities."""
    columns = columns_of(quantity, shapes, steps) if shapes[quantity].startswith("N") else None
    return [_numbers_at(step, quantity, columns) for step in steps]


def _numbers_at(step: Quantities, quantity: str, columns: Sequence[tuple[int, ...]] | None) -> Numbers:
    tensor = np.asarray(step.reference[quantity])
    by_example = columns is not None
    indices = largest_shares(step, quantity) if columns is None else columns
    ports = {
        name: _port_numbers(made, quantity, tensor, by_example, indices)
        for name, made in step.ports.items()
        if quantity in made.trace or made.failure(quantity) or made.error
    }
    return Numbers(by_example, indices, picked(tensor, by_example, indices), heat_map(tensor), ports)


def _port_numbers(
    made: PortStep,
    quantity: str,
    reference: Plain,
    by_example: bool,
    indices: Sequence[tuple[int, ...]],
) -> PortNumbers:
    failure = made.failure(quantity)
    if made.error or failure:
        return PortNumbers(problem=made.error or sentence_on(failure))
    tensor = made.trace[quantity]
    shares = made.share(quantity, LOCAL), made.share(quantity, END_TO_END)
    picture = difference_map(distances(tensor, reference))
    return PortNumbers(picked(tensor, by_example, indices), shares, picture)


def sentence_on(failure: Finding | None) -> str:
    """What a finding has against a tensor, without a number that is not certified."""
    if failure is None:
        return ""
    where = f" at {label(failure.index)}" if failure.index else ""
    return failure.problem or f"uses {failure.share:.3g} times its bound{where} ({failure.certificate})"


def columns_of(
    quantity: str, shapes: Mapping[str, str], steps: Sequence[Quantities]
) -> list[tuple[int, ...]]:
    """The columns that are shown of each example's row: of many hidden units, the most active ones.

    Quantities of the same shape show the same columns.
    """
    if len(shapes[quantity]) == 1:
        return [()]
    first = next(name for name, shape in shapes.items() if shape == shapes[quantity])
    sizes = sum(np.abs(step.reference[first]).sum(axis=0) for step in steps)
    return sorted((int(column),) for column in np.argsort(-np.asarray(sizes), kind="stable")[:SHOWN])


def largest_shares(step: Quantities, quantity: str) -> list[tuple[int, ...]]:
    """The elements that use most of their bound in any port; the first ones if no port shows it."""
    tensor = np.asarray(step.reference[quantity])
    shown = [made.shares(quantity) for made in step.ports.values() if quantity in made.bounds]
    return sorted(largest(np.max([np.zeros(tensor.shape), *shown], axis=0), SHOWN))


def picked(tensor: Plain, by_example: bool, indices: Sequence[tuple[int, ...]]) -> Plain:
    """The shown numbers of a tensor, (N, columns) or (1, columns)."""
    if by_example:
        rows = tensor.reshape(len(tensor), -1)
        return rows[:, [index[0] if index else 0 for index in indices]]
    return np.array([[tensor[index] for index in indices]])


def distances(got: Plain, expected: Plain) -> Plain:
    """How many float64 numbers lie between two, with the sign of the difference; -0.0 counts as 0."""
    return _ordered(got) - _ordered(expected)


def _ordered(values: Plain) -> Plain:
    """Integers in the order of the float64 numbers (Dawson 2012, Comparing Floating Point Numbers)."""
    bits = np.ascontiguousarray(values, dtype=np.float64).view(np.int64)
    return np.where(bits < 0, np.iinfo(np.int64).min - bits, bits)


def encoded(array: Plain) -> str:
    """The array's bytes, little-endian, in base 64."""
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()
