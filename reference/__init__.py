"""The mathematics of the study note ("the note") in NumPy, and what it means to agree with it.

`certified` and `assert_agrees` judge any other NumPy expression (docs/certified.md). They load on first
use: what imports another module of this package does not pay for them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reference.agreement.arithmetic import Unbounded
    from reference.agreement.asserting import Agreement, Disagreement, VacuousBound, assert_agrees
    from reference.agreement.certified import Certified, certified

__all__ = [
    "Agreement",
    "Certified",
    "Disagreement",
    "Unbounded",
    "VacuousBound",
    "assert_agrees",
    "certified",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'reference' has no attribute {name!r}")
    from reference.agreement import arithmetic, asserting, certified

    return next(getattr(m, name) for m in (asserting, certified, arithmetic) if hasattr(m, name))


def __dir__() -> list[str]:
    return [*globals(), *__all__]
