"""The tables of `lockstep drift`: each port's distance from the reference, beside the noise floor."""

from collections.abc import Iterator, Sequence

from ports.engine.free_run import Drift
from ports.engine.noise_floor import NoiseFloor
from ports.report.table import Column, Table
from ports.user_reference import reference_here
from reference.arrays import Plain
from reference.runs import K


def table(drifts: Sequence[Drift], points: int) -> Iterator[str]:
    """One model's free runs as lines: distances after 1, 10, 100, ... updates, verdicts, flips."""
    cell, floor, steps = drifts[0].cell, drifts[0].floor, len(drifts[0].distances)
    of_points = "" if reference_here() else f", {K * points} points"
    yield f"{cell.model}, {cell.dtype}{of_points}: distance from the reference"
    after = _updates_shown(steps)
    columns = [
        Column("after updates", "<", 16, before=""),
        *(Column(str(n), least=8, before=" ") for n in after),
        Column("    most of allowed", "<", before=""),
        Column("", "<", before=""),
    ]
    yield from Table(columns, list(_rows(drifts, after))).lines()
    yield from flips(drifts, floor)
    yield told_apart(drifts)


def _updates_shown(steps: int) -> list[int]:
    """1, 10, 100, ... and the last."""
    decades = [10**k for k in range(len(str(steps))) if 10**k <= steps]
    return decades + ([steps] if steps not in decades else [])


def _rows(drifts: Sequence[Drift], after: Sequence[int]) -> Iterator[list[str]]:
    """The floor, what is allowed (only once for ports with the same headroom), and each port."""
    yield ["noise floor", *_numbers(drifts[0].floor.distances, after)]
    for drift in {tuple(drift.headroom): drift for drift in drifts}.values():
        yield ["headroom", *_numbers(drift.headroom, after, ".0f")]
        yield ["allowed", *_numbers(drift.allowed, after)]
    for drift in drifts:
        numbers = _numbers(drift.distances, after)
        yield [drift.cell.port, *numbers, f"{drift.share:>10.2g}", verdict(drift)]


def _numbers(curve: Plain, after: Sequence[int], form: str = ".1e") -> list[str]:
    values = [float(curve[n - 1]) for n in after]
    return ["0" if value == 0 else f"{value:{form}}" for value in values]


def verdict(drift: Drift) -> str:
    """What became of one port, in words."""
    if drift.agrees:
        return "agrees"
    if drift.error:
        return f"FAILS: {drift.error}"
    if drift.first_excess is None:
        return "FAILS: no step can be told from noise"
    flip = drift.first_flip
    flipped = flip and flip.step < drift.first_excess
    after = f", after its first ReLU flip at step {flip.step}" if flip and flipped else ""
    return f"FAILS at step {drift.first_excess}{after}"


def flips(drifts: Sequence[Drift], floor: NoiseFloor) -> Iterator[str]:
    """The first ReLU flip of each port, and of the floor."""
    if any(drift.first_flip for drift in drifts):
        yield "first ReLU flip"
    for drift in drifts:
        flip = drift.first_flip
        if flip:
            more = f" (and {flip.count - 1} more)" if flip.count > 1 else ""
            yield (
                f"{drift.cell.port:<16} step {flip.step}, unit {flip.unit}, example {flip.example}: "
                f"pre-activation {flip.reference:.2g} in the reference, {flip.port:.2g} here{more}"
            )
    if floor.first_flip is not None:
        yield f"{'noise floor':<16} step {floor.first_flip}"


def told_apart(drifts: Sequence[Drift]) -> str:
    """For how many steps the comparison means something."""
    horizon, steps = min(drift.horizon for drift in drifts), len(drifts[0].distances)
    if horizon == steps:
        return f"A bug could be told from noise at every one of the {steps} steps."
    return (
        f"A bug could be told from noise for {horizon} of the {steps} steps; "
        "after that anything finite passes."
    )
