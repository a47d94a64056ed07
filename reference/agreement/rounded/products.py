"""NumPy's products of vectors, matrices and more on `Rounded` arrays, with NumPy's signatures."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reference.agreement import blocks, rules
from reference.agreement.rounded.array import Rounded
from reference.agreement.rounded.operands import apply, common, going_on_in, lifted
from reference.agreement.rounded.reductions import sum_of


def dot(a: Any, b: Any) -> Any:
    """np.dot of vectors and matrices; with a number, the product."""
    axes = _axes(a), _axes(b)
    if axes == (2, 2):
        return _product(a, b)
    if 0 in axes:
        return apply(rules.multiply, a, b)
    if axes[1] > 2:
        raise TypeError("np.dot has a rule for vectors and matrices: write a @ b, or np.einsum")
    return matmul(a, b)


def matmul(a: Any, b: Any, /) -> Any:
    """a @ b, in any order of summation; what stands before the last two axes broadcasts."""
    axes = _axes(a), _axes(b)
    if axes == (2, 2):
        return _product(a, b)
    if 0 in axes:
        raise TypeError("a @ b takes vectors, matrices and stacks of matrices: write a * b")
    dropped = tuple(axis for axis, one in zip((-2, -1), axes, strict=True) if one == 1)
    a = _plain(a)[None] if axes[0] == 1 else a
    b = _plain(b)[:, None] if axes[1] == 1 else b
    return np.squeeze(_product(a, b), dropped)


def _product(a: Any, b: Any) -> Rounded:
    """The product along the last axis of a and the last but one of b."""
    # A gradient may be scaled, what it is multiplied by is not: the product is scaled as well.
    each = [x.format or x.base.of_products for x in (a, b) if isinstance(x, Rounded)]
    unscaled, within = (one(each, key=lambda format: format.scale) for one in (min, max))
    (left, right), _, stacked = lifted((a, b), unscaled)
    if left.value.shape[-1] != right.value.shape[-2]:
        raise ValueError(f"a product of arrays of shapes {np.shape(a)} and {np.shape(b)} does not exist")
    result = blocks.dot(left, right, within)
    return Rounded.of(result, going_on_in(common((a, b)), within), stacked)


def _axes(x: Any) -> int:
    return x.ndim if isinstance(x, Rounded) else np.ndim(x)


def _plain(x: Any) -> Any:
    return x if isinstance(x, Rounded) else np.asarray(x)


def outer(a: Any, b: Any) -> Any:
    """The product of each number of one with each of the other."""
    return apply(rules.multiply, np.ravel(a)[:, None], np.ravel(b)[None])


def einsum(subscripts: str, *operands: Any) -> Any:
    """np.einsum of one array, or of two: products, summed over the letters that the result lacks."""
    letters, output = _parsed(subscripts, len(operands))
    arrays = [_diagonal(*pair) for pair in zip(operands, letters, strict=True)]
    letters = ["".join(dict.fromkeys(one)) for one in letters]
    if len(arrays) == 1:
        lost = tuple(i for i, letter in enumerate(letters[0]) if letter not in output)
        summed = sum_of(arrays[0], lost) if lost else arrays[0]
        return _arranged(summed, "".join(x for x in letters[0] if x in output), output)
    return _contracted(arrays, letters, output)


def _parsed(subscripts: Any, operands: int) -> tuple[list[str], str]:
    """The letters of each operand, and of the result: those that occur once, if none are given."""
    if not isinstance(subscripts, str) or "." in subscripts or operands > 2:
        raise TypeError("np.einsum has a rule for one or two arrays, with a letter for each axis")
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    if not arrow:
        output = "".join(sorted(x for x in inputs if x != "," and inputs.count(x) == 1))
    return inputs.split(","), output


def _contracted(arrays: Sequence[Any], letters: Sequence[str], output: str) -> Any:
    """A matrix product: the contracted letters in the middle, what both and the result have in front.

    A letter that one array alone has, and the result lacks, is contracted too: the other is broadcast.
    """
    lengths = dict(zip("".join(letters), (n for x in arrays for n in np.shape(x)), strict=True))
    both = [x for x in lengths if x not in output]
    (a, b), (of_a, of_b) = arrays, letters
    a, of_a = _with_letters(a, of_a, [x for x in both if x not in of_a], lengths)
    b, of_b = _with_letters(b, of_b, [x for x in both if x not in of_b], lengths)
    batch = [x for x in output if x in of_a and x in of_b]
    left = [x for x in output if x not in of_b]
    right = [x for x in output if x not in of_a]

    def grouped(array: Any, own: str, *groups: Sequence[str]) -> Any:
        shape = [int(np.prod([lengths[x] for x in group])) for group in groups]
        in_order = _arranged(array, own, "".join([*batch, *groups[0], *groups[1]]))
        return np.reshape(in_order, (*(lengths[x] for x in batch), *shape))

    product = _product(grouped(a, of_a, left, both), grouped(b, of_b, both, right))
    order = [*batch, *left, *right]
    return _arranged(product.reshape([lengths[x] for x in order]), "".join(order), output)


def _with_letters(array: Any, own: str, new: Sequence[str], lengths: dict[str, int]) -> tuple[Any, str]:
    """An array broadcast along new axes in front."""
    shape = (*(lengths[x] for x in new), *np.shape(array))
    return (np.broadcast_to(array, shape) if new else array), "".join(new) + own


def _diagonal(array: Any, letters: str) -> Any:
    """The diagonal along axes of the same letter."""
    unique = "".join(dict.fromkeys(letters))
    return array if unique == letters else _arranged(array, letters, unique)


def _arranged(array: Any, letters: str, order: str) -> Any:
    """A view with its axes in another order."""
    if letters == order:
        return array
    if isinstance(array, Rounded):
        return array.view(lambda numbers: np.einsum(f"...{letters}->...{order}", numbers))
    return np.einsum(f"{letters}->{order}", array)
