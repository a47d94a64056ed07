"""An assertion whose tolerance is derived: a tensor of any framework against a NumPy function."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from reference.agreement.certified import (
    Expected,
    called,
    evaluated,
    leaves,
    promised,
    vacuous_in,
)
from reference.agreement.judge import Worst, disagreeing, worst_element
from reference.agreement.rounded import Rounded
from reference.arrays import Plain
from reference.tensors import Read, is_tensor, read


class VacuousBound(UserWarning):
    """The bound of every value of a tensor is larger than the value: zeros would pass."""

    __module__ = "reference"  # its public address, which pytest shows


class Agreement(NamedTuple):
    """What was compared.

    Attributes:
        elements: how many numbers.
        share: the largest share of its bound that any of them used; at most 1 agrees.
        where: the tensor (of a dict or tuple) and the index of that number.
        vacuous: how many numbers are smaller than their bound: a zero in their place would pass.
    """

    elements: int
    share: float
    where: str
    vacuous: int


class Disagreement(AssertionError):
    """A tensor is further from what the function computes than rounding explains.

    Attributes:
        agreement: what was compared all the same, with a `share` above 1 or NaN; None if nothing was.
    """

    __module__ = "reference"

    def __init__(self, message: str, agreement: Agreement | None = None) -> None:
        super().__init__(message)
        self.agreement = agreement


class _Held(NamedTuple):
    """One tensor held against its bound."""

    path: str
    got: Plain
    bound: Rounded
    worst: Worst
    vacuous: int

    @property
    def where(self) -> str:
        return self.path + str(list(self.worst.index))


def assert_agrees(
    actual: Any,
    fn: Callable[..., Any],
    *arrays: Any,
    dtype: Any = None,
    device: str | None = None,
    precision: str = "highest",
) -> Agreement:
    """Assert that a program has computed what a NumPy function computes, up to rounding.

    Args:
        actual: what the program returned: a tensor of any framework, on any device, with or without a
            gradient, or a dict, tuple or list of tensors.
        fn: the same in NumPy; it returns an array, or the same dict, tuple or list of arrays.
        arrays: what the program was given (see `certified`).
        dtype: in which the program computes; by default that of `actual`, or of `arrays` if `actual`
            has no floats.
        device: where the program computes; by default where `actual` lies.
        precision: of the program's float32 products (see `certified`).

    Raises:
        Disagreement: an AssertionError. A tensor is missing, has another shape or dtype, has no
            elements, is not finite, or is further off than its bound.
        TypeError, ValueError, Unbounded: there is nothing to compare, or no bound (see `certified`).

    Warns:
        VacuousBound: a tensor has no value that is larger than its bound.
    """
    __tracebackhide__ = True  # pytest shows the caller's line alone
    got = {path: _read(f"actual{path}", tensor) for path, tensor in leaves(actual)}
    arithmetic = promised(
        dtype or _dtype_of(got.values(), arrays), device or _device_of(got.values()), precision
    )
    expected = dict(leaves(evaluated(fn, arrays, arithmetic)))
    problems = _problems(got, expected)
    if problems:
        raise Disagreement("\n".join([f"this is not of the form of {called(fn)}:", *problems]))
    held = [_held(path, got[path].array, bound) for path, bound in expected.items()]
    agreement = _summary(held)
    wrong = [one for one in held if not one.worst.share <= 1]
    if wrong:
        raise Disagreement("\n".join(_told(one, fn, arithmetic.name) for one in wrong), agreement)
    _warn_of_vacuous(held, fn)
    return agreement


def _read(name: str, tensor: Any) -> Read:
    try:
        return read(tensor)
    except TypeError as why:
        hint = ": leave out float() or .item()" if isinstance(tensor, int | float) else ""
        raise TypeError(f"{name} {why}{hint}") from None


def _dtype_of(got: Iterable[Read], arrays: Any) -> str:
    """The dtype that the program computes in."""
    inputs = (read(array) for _, array in leaves(arrays) if is_tensor(array))
    for tensor in chain(got, inputs):
        if tensor.array.dtype.kind not in "biu":
            return tensor.dtype
    raise ValueError("no tensor here has floats: say in which dtype the program computes")


def _device_of(got: Iterable[Read]) -> str:
    return next((tensor.device for tensor in got if tensor.device != "cpu"), "cpu")


# Form, before values


def _problems(got: Mapping[str, Read], expected: Mapping[str, Expected]) -> list[str]:
    """What keeps tensors from being compared by value, a line each."""
    if not expected:
        return ["  it has no tensor: nothing would be compared"]
    missing = [f"  {path or 'a single tensor'} is missing" for path in expected if path not in got]
    more = [f"  {path or 'a single tensor'} is not expected" for path in got if path not in expected]
    both = [path for path in expected if path in got]
    return missing + more + [f for path in both for f in _misshapen(path, got[path], expected[path])]


def _misshapen(path: str, got: Read, expected: Expected) -> list[str]:
    """What is wrong with the form of one tensor."""
    subject, shape = path or "it", expected.numbers.value.shape
    if got.array.shape != shape:
        return [f"  {subject} has shape {got.array.shape}, expected {shape}"]
    is_integer = expected.dtype == "integer" and got.array.dtype.kind in "iu"
    if got.dtype != expected.dtype and not is_integer:
        return [f"  {subject} has dtype {got.dtype}, expected {expected.dtype}"]
    return [] if got.array.size else [f"  {subject} has no elements: nothing would be compared"]


# Values


def _held(path: str, got: Plain, expected: Expected) -> _Held:
    bound = expected.against(got)
    vacuous = vacuous_in(bound.value, bound.errors())
    return _Held(path, got, bound, worst_element(got, bound), vacuous)


def _summary(held: list[_Held]) -> Agreement:
    largest = held[int(np.argmax([one.worst.share for one in held]))]  # NaN comes first
    elements, vacuous = sum(one.got.size for one in held), sum(one.vacuous for one in held)
    return Agreement(elements, largest.worst.share, largest.where, vacuous)


def _told(one: _Held, fn: Any, dtype: str) -> str:
    """How a tensor disagrees, in a few lines."""
    worst, wrong = one.worst, int(np.count_nonzero(disagreeing(one.got, one.bound)))
    exact = "nothing else: no rounding happens here"
    what = f"{called(fn)}{one.path}"
    lines = [
        f"{wrong:,} of {one.got.size:,} elements are not what {what} computes in {dtype}",
        f"  worst     {one.where}",
        f"  got       {worst.got!r}",
        f"  expected  {worst.expected!r}",
        f"  allowed   {f'{worst.allowed:.3g} more or less' if worst.allowed else exact}",
        f"  share     {worst.share:.3g} (rounding explains at most 1)",
    ]
    return "\n".join(lines)


def _warn_of_vacuous(held: list[_Held], fn: Any) -> None:
    for one in held:
        if one.vacuous == one.got.size:
            warnings.warn(
                f"{called(fn)}{one.path}: each of {one.got.size:,} values is smaller than its bound, so "
                "zeros would agree: compare what takes fewer steps, or compute in a wider dtype",
                VacuousBound,
                stacklevel=3,
            )
