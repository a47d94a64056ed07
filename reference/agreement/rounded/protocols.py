"""What NumPy's protocols, the operators and the methods look up, in two tables that `table.py` fills."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

#: What stands for a NumPy ufunc, or for a method of one such as np.add.at.
UFUNCS: dict[Any, Callable[..., Any]] = {}
#: What stands for any other NumPy function.
FUNCTIONS: dict[Any, Callable[..., Any]] = {}

NOT_PLAIN = (
    "a Rounded array does not convert to a plain one: its error would be lost (collect results in "
    "np.zeros_like(x), not in np.zeros, and with np.stack, not np.array)"
)


def called(function: Any, table: dict[Any, Any], *, args: Any, kwargs: Any) -> Any:
    """Call what stands for a NumPy function. Raises TypeError, by name, for what has no rule."""
    rule = table.get(function)
    if rule is None:
        those = ", ".join(known())
        raise TypeError(
            f"no error bound is known for np.{name_of(function)}; add a rule. Known are {those}"
        )
    try:
        return rule(*args, **kwargs)
    except TypeError:
        wrong = _binding_error(rule, args, kwargs)
        if wrong is None:
            raise
    if "out" in kwargs:
        raise TypeError(f"np.{name_of(function)}(..., out=...) has no rule: {NOT_PLAIN}")
    takes = ", ".join(inspect.signature(rule).parameters)
    raise TypeError(f"np.{name_of(function)} of a Rounded array: {wrong}; it takes {takes}")


def _binding_error(rule: Callable[..., Any], args: Any, kwargs: Any) -> str | None:
    """Why a function cannot be called so; None if it can."""
    try:
        inspect.signature(rule).bind(*args, **kwargs)
    except TypeError as why:
        return str(why)
    return None


def name_of(function: Any) -> str:
    """A NumPy function's name behind `np.`."""
    ufunc = getattr(function, "__self__", None)
    if isinstance(ufunc, np.ufunc):
        return f"{ufunc.__name__}.{function.__name__}"
    inner = "linalg." if "linalg" in getattr(function, "__module__", "") else ""
    return f"{inner}{function.__name__}"


def known() -> list[str]:
    """The names of all NumPy functions that have a rule."""
    return sorted(name_of(function) for function in (*UFUNCS, *FUNCTIONS))
