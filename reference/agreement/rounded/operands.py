"""The operands of a rule, made of whatever a function was called with."""

from collections.abc import Callable, Sequence
from typing import Any

from reference.agreement import blocks
from reference.agreement.arithmetic import Arithmetic
from reference.agreement.rounded.array import Rounded, bounded_of
from reference.agreement.rules import Bounded


def common(operands: Sequence[Any]) -> Arithmetic:
    """What an elementwise operation on these is computed in: the narrower format, if there are two."""
    each = [x.arithmetic for x in operands if isinstance(x, Rounded)]
    return next((arithmetic for arithmetic in each if not arithmetic.mixture), each[0])


def lifted(
    operands: Sequence[Any], arithmetic: Arithmetic | None = None
) -> tuple[list[Bounded], Arithmetic, int]:
    """The operands as `Bounded`, their arithmetic, and how many leading axes the result has."""
    arithmetic = arithmetic or common(operands)
    bounded = [bounded_of(x, arithmetic) for x in operands]
    leading = stacks_of(operands)
    return blocks.aligned(bounded, leading), arithmetic, max(leading)


def stacks_of(operands: Sequence[Any]) -> list[int]:
    """How many leading axes each operand has."""
    return [x.stacked if isinstance(x, Rounded) else 0 for x in operands]


def going_on_in(common: Arithmetic, within: Arithmetic) -> Arithmetic:
    """What a product or sum is used in that was computed within a narrower format."""
    return common if common.mixture and not common.mixture.is_narrow else within


def apply(rule: Callable[..., Bounded], *operands: Any) -> Any:
    """Apply an elementwise rule."""
    bounded, arithmetic, stacked = lifted(operands)
    return Rounded.of(blocks.by_rows(rule, bounded, arithmetic), arithmetic, stacked)
