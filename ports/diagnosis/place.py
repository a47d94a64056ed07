"""Where in a tensor some elements are, in words."""

import numpy as np

from reference.arrays import Plain

#: How many indices are listed.
LISTED = 6


def place_of(part: Plain, y: Plain | None = None) -> str:
    """Say where a mask is true: in which rows, classes or columns.

    `y` (N,) are the labels of the rows, if they have any.
    """
    count = f"at {int(part.sum()):,} of {part.size:,} elements"
    if part.ndim not in (1, 2):
        return count
    rows: Plain = part if part.ndim == 1 else np.any(part, axis=1)
    said = []
    if not rows.all():
        said.append(_classes(rows, y) or f"in {_listed('row', np.flatnonzero(rows))} of {rows.size}")
    if part.ndim == 2 and not (columns := np.any(part, axis=0)).all():
        said.append(f"in {_listed('column', np.flatnonzero(columns))} of {columns.size}")
    return " and ".join(said) or count


def _classes(rows: Plain, y: Plain | None) -> str:
    """The classes whose rows these are, or an empty string."""
    if y is None or y.shape != rows.shape or np.unique(y).size in (1, y.size):
        return ""
    of_class = {int(k): rows[y == k] for k in np.unique(y)}
    whole = [k for k, part in of_class.items() if part.all()]
    if len(whole) == len(of_class) or any(p.any() and not p.all() for p in of_class.values()):
        return ""
    return f"in the rows of {_listed('class', np.array(whole))}"


def _listed(noun: str, indices: Plain) -> str:
    """Indices in words: a run of them, or a list."""
    several = {"class": "classes"}.get(noun, f"{noun}s")
    if indices.size == 1:
        return f"{noun} {indices[0]}"
    if indices.size > 2 and indices[-1] - indices[0] == indices.size - 1:
        return f"{several} {indices[0]} to {indices[-1]}"
    shown = ", ".join(str(i) for i in indices[:LISTED])
    more = f" and {indices.size - LISTED} more" if indices.size > LISTED else ""
    return f"{several} {shown}{more}"
