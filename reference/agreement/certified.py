"""Any NumPy expression with the bound of its rounding: one call.

The function runs on `Rounded` arrays, in the place of the arrays that the compared program got.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reference.agreement.arithmetic import ARITHMETICS, PRODUCT_PRECISIONS, Arithmetic, by_device
from reference.agreement.rounded import Index, Mask, Rounded
from reference.arrays import Plain, held_as
from reference.tensors import is_tensor, name_of, read


class Certified(NamedTuple):
    """What a function computes, and how far any correct evaluation of it may stray.

    Attributes:
        value: float64, as NumPy computes it.
        error: float64, of the value's shape; 0 where nothing is rounded. A comparison has the value 0
            or 1, and an infinite error where rounding leaves it open; an index is as far off as the
            farthest that may be right.
    """

    value: Plain
    error: Plain

    @property
    def vacuous(self) -> float:
        """The share of values that are smaller than their bound: a zero in their place would pass."""
        return vacuous_in(self.value, self.error) / max(self.value.size, 1)


@dataclass(frozen=True)
class Expected:
    """What one tensor must be.

    Attributes:
        numbers: the values and their bound.
        dtype: a dtype's name; "integer" is any integer's.
    """

    numbers: Rounded
    dtype: str

    @property
    def certified(self) -> Certified:
        """The values and their bound, as plain arrays."""
        return Certified(np.array(self.numbers.value), np.array(self.numbers.errors()))

    def against(self, got: Plain) -> Rounded:
        """What a tensor of the right form is held against.

        Of indices, any that is right on some machine is as good as the expected one, and no other is.
        """
        candidates = getattr(self.numbers, "candidates", None)
        if candidates is None:
            return self.numbers
        is_right = (candidates & (np.arange(candidates.shape[-1]) == got[..., None])).any(axis=-1)
        return _plain(np.where(is_right, got, self.numbers.value))


def certified(
    fn: Callable[..., Any],
    *arrays: Any,
    dtype: Any = "float32",
    device: str = "cpu",
    precision: str = "highest",
) -> Any:
    """Run a NumPy function with bounds: who computes it in that dtype ends within `error` of `value`.

    Args:
        fn: a function in NumPy, of `arrays`, that returns an array, or a dict, tuple or list of arrays.
        arrays: arrays, tensors of any framework, or dicts, tuples and lists of them. Their numbers are
            taken to be exact, so they must be numbers of the dtype: pass what the program itself was
            given. Integers and booleans (labels, indices, masks) reach fn as plain arrays, and Python's
            own numbers as they are.
        dtype: in which the program computes: a name, or any framework's dtype.
        device: "cpu", or the name of an accelerator, whose functions promise less.
        precision: of float32 products: "highest", "high" (TF32) or "medium" (bfloat16).

    Returns:
        a `Certified`, or a dict, tuple or list of these, as fn returns it.

    Raises:
        TypeError: fn uses a function whose rounding is not known, or returns something else.
        ValueError: an input is no finite number of the dtype, or dtype or precision is unknown.
        Unbounded: there is no finite bound, since something may overflow or a divisor be 0.
    """
    expected = evaluated(fn, arrays, promised(dtype, device, precision))
    return mapped(lambda _, one: one.certified, expected)


def promised(dtype: Any, device: str, precision: str) -> Arithmetic:
    """What every framework promises in a dtype on a device. Raises ValueError for an unknown word."""
    name = name_of(dtype)
    for word, known in ((name, ARITHMETICS), (precision, PRODUCT_PRECISIONS)):
        if word not in known:
            raise ValueError(f"no bound is known in {word}: expected one of {', '.join(known)}")
    return by_device(device, name).in_precision(precision, device)


def evaluated(fn: Callable[..., Any], arrays: Sequence[Any], arithmetic: Arithmetic) -> Any:
    """What fn returns on these arrays, with an `Expected` in the place of each array."""
    __tracebackhide__ = True

    def given(path: str, value: Any) -> Any:
        return _given(f"arrays{path}", value, arithmetic)

    inputs = mapped(given, list(arrays))
    try:
        with np.errstate(all="ignore"):
            returned = fn(*inputs)
    except Exception as error:
        _end_in_the_users_line(error)
        raise
    return mapped(lambda path, value: _expected(value, fn, path), returned)


def vacuous_in(value: Plain, error: Plain) -> int:
    """How many values are smaller than their bound."""
    return int(np.count_nonzero(error > np.abs(value)))


def called(fn: Any) -> str:
    """A function's name and line, for messages."""
    fn = getattr(fn, "func", fn)  # of a functools.partial
    name = getattr(fn, "__qualname__", type(fn).__name__).rpartition("<locals>.")[2]
    code = getattr(fn, "__code__", None)
    return f"{name} ({Path(code.co_filename).name}:{code.co_firstlineno})" if code else name


# Dicts, tuples and lists of tensors


def mapped(change: Callable[[str, Any], Any], tree: Any, path: str = "") -> Any:
    """Replace each tensor of a tree by change(path, tensor); a path is such as "[0]['W']"."""
    if isinstance(tree, Mapping):
        return {key: mapped(change, part, f"{path}[{key!r}]") for key, part in tree.items()}
    if not isinstance(tree, tuple | list):
        return change(path, tree)
    parts = [mapped(change, part, f"{path}[{i}]") for i, part in enumerate(tree)]
    if hasattr(tree, "_make"):  # a named tuple
        return tree._make(parts)
    return parts if isinstance(tree, list) else tuple(parts)


def leaves(tree: Any) -> Iterator[tuple[str, Any]]:
    """Each tensor of a tree, with its path."""
    found: list[tuple[str, Any]] = []
    mapped(lambda path, value: found.append((path, value)), tree)
    return iter(found)


# What goes in, and what comes out


def _given(name: str, value: Any, arithmetic: Arithmetic) -> Any:
    """What fn gets in the place of a value: floats with their bound, all else as it is."""
    if isinstance(value, int | float) or not is_tensor(value):
        return value
    try:
        array, dtype, _ = read(value)
    except TypeError as why:
        raise TypeError(f"{name} {why}") from None
    if array.dtype.kind in "biu":
        return np.array(array)
    if array.dtype.kind == "c":
        raise TypeError(f"{name} is complex: no bound is known for complex numbers")
    _require_finite(name, array)
    if dtype != arithmetic.name:
        _require_numbers_of(arithmetic.name, name, array)
    return Rounded.exact(np.array(array, dtype=np.float64), arithmetic)


def _require_finite(name: str, array: Plain) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        raise ValueError(f"{name} is not finite at {_first(~finite)}: there is no bound")


def _require_numbers_of(dtype: str, name: str, array: Plain) -> None:
    """Raise ValueError for an array with other numbers than those of that dtype."""
    with np.errstate(all="ignore"):
        kept = held_as(dtype, array.astype(np.float64)) == array
    if not kept.all():
        raise ValueError(
            f"{name} has numbers that are not {dtype}, as at {_first(~kept)}: "
            f"pass what the program was given, in {dtype}"
        )


def _first(where: Plain) -> list[int]:
    """The index of the first true element."""
    return [int(i) for i in np.unravel_index(where.argmax(), where.shape)]


def _expected(returned: Any, fn: Any, path: str) -> Expected:
    """What a tensor must be that is held against something fn has returned."""
    if isinstance(returned, Mask):
        return Expected(_of_mask(returned), "bool")
    if isinstance(returned, Index):
        return Expected(returned, "integer")
    if isinstance(returned, Rounded):
        return Expected(returned, returned.arithmetic.name)
    plain = np.asarray(returned)
    if plain.dtype.kind in "biu":
        return Expected(_plain(plain), "bool" if plain.dtype.kind == "b" else "integer")
    lost = " (is there a return?)" if returned is None else ""
    raise TypeError(
        f"{called(fn)}{path} returned a {type(returned).__name__}{lost}, "
        "expected an array that it computes from its arguments"
    )


def _of_mask(mask: Mask) -> Rounded:
    """0 and 1; where rounding leaves a comparison open, either is right."""
    numbers = _plain(mask.true)
    if mask.undecided is None:
        return numbers
    return numbers.with_error(np.where(mask.undecided, np.inf, 0.0))


def _plain(numbers: Plain) -> Rounded:
    """Integers or booleans: nothing is rounded."""
    return Rounded(numbers.astype(np.float64), None, ARITHMETICS["float64"])


def _end_in_the_users_line(error: BaseException) -> None:
    """Cut the traceback behind the last line that is not of this package."""
    last = entry = error.__traceback__
    while entry:
        if not entry.tb_frame.f_globals.get("__name__", "").startswith(f"{__package__}."):
            last = entry
        entry = entry.tb_next
    if last:
        last.tb_next = None
