"""Reading what `lockstep compare --json` has written.

A report is read into the engine's own objects and written again. What was written the first time must be
the same, so a report whose counts or verdicts do not follow from its findings is refused.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ports.engine.reports import Change, Report, RunOf
from ports.engine.results import Cell, CellResult, LocalAlone, Verdict, certificates_of, quantities_of
from ports.engine.selection import Skipped
from ports.engine.shards import Shard
from ports.messages import brief
from ports.report.as_json import COMPARE, of_compare
from ports.report.fields import (
    as_object,
    as_text,
    as_whole,
    each_of,
    field_of,
    number_of,
    object_of,
    text_of,
    texts_of,
    whole_of,
)
from reference.agreement.judge import END_TO_END, LOCAL, Finding


def read_report(path: Path) -> Report:
    """Read a report. Raises OSError or ValueError, in one sentence, where it is not a whole one."""
    written = _read_json(path)
    if not isinstance(written, dict):
        raise ValueError(f"{path} is no report: it holds a {type(written).__name__}, expected an object")
    if written.get("schema") != COMPARE:
        raise ValueError(
            f"{path} has the schema {written.get('schema')!r}, expected {COMPARE!r}: give what this "
            "version of lockstep compare --json wrote"
        )
    try:
        report = _report(written, path.as_posix())
        _refuse_what_does_not_add_up(report, written)
    except (ValueError, OverflowError) as why:
        raise ValueError(f"{path} is no whole report of lockstep compare: {why}") from None
    return report


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except OSError as why:
        raise OSError(f"cannot read {path}: {why.strerror}: give the path of a report") from None
    except (ValueError, RecursionError) as why:
        raise ValueError(f"{path} is not JSON: {brief(why)}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


# The parts of a report


def _report(written: Mapping[str, Any], source: str) -> Report:
    run, shard = object_of(written, "run"), object_of(written, "shard")
    return Report(
        RunOf(
            whole_of(run, "points"),
            whole_of(run, "seed"),
            text_of(run, "steps"),
            text_of(run, "precision"),
        ),
        text_of(written, "machine"),
        Shard(whole_of(shard, "number"), whole_of(shard, "of")),
        tuple(each_of(written, "plan", as_text)),
        texts_of(written, "provenance"),
        each_of(written, "cells", _cell),
        each_of(written, "skipped", _skipped),
        None if field_of(written, "changes") is None else each_of(written, "changes", _change),
        source,
    )


def _skipped(written: Any) -> Skipped:
    place = as_object(written)
    return Skipped(text_of(place, "what"), text_of(place, "reason"))


def _change(written: Any) -> Change:
    place = as_object(written)
    return Change(text_of(place, "what"), text_of(place, "before"), text_of(place, "now"))


def _cell(written: Any) -> CellResult:
    place = as_object(written)
    cell = Cell(*(text_of(place, name) for name in ("model", "port", "mode", "device", "dtype")))
    result = CellResult(cell, texts_of(place, "hidden"), steps=whole_of(place, "steps"))
    result.error = "" if field_of(place, "error") is None else text_of(place, "error")
    result.local_alone = _local_alone(field_of(place, "local_alone"))
    for verdict in each_of(place, "verdicts", as_object):
        key = text_of(verdict, "quantity"), text_of(verdict, "certificate")
        if key in result.verdicts:
            raise ValueError(f"{cell} has two verdicts on {' '.join(key)}")
        result.verdicts[key] = _verdict(verdict, *key)
    return result


def _local_alone(written: Any) -> LocalAlone | None:
    if written is None:
        return None
    place = as_object(written)
    return LocalAlone(whole_of(place, "step"), text_of(place, "why"))


def _verdict(place: Mapping[str, Any], quantity: str, certificate: str) -> Verdict:
    worst, worst_step = _finding(field_of(place, "worst"), quantity, certificate)
    first, first_step = _finding(field_of(place, "first_failure"), quantity, certificate)
    return Verdict(
        steps=whole_of(place, "steps"),
        elements=whole_of(place, "elements"),
        worst=worst,
        worst_step=worst_step,
        failures=whole_of(place, "failed_steps"),
        first=first,
        first_step=first_step,
    )


def _finding(written: Any, quantity: str, certificate: str) -> tuple[Finding | None, int]:
    if written is None:
        return None, -1
    place = as_object(written)
    finding = Finding(
        quantity,
        certificate,
        number_of(place, "share"),
        tuple(each_of(place, "index", lambda i: as_whole(i, "index"))),
        number_of(place, "got"),
        number_of(place, "expected"),
        number_of(place, "allowed"),
        problem="" if field_of(place, "problem") is None else text_of(place, "problem"),
    )
    return finding, whole_of(place, "step")


# Whether they fit together


def _refuse_what_does_not_add_up(report: Report, written: Mapping[str, Any]) -> None:
    """Raise ValueError where a report contradicts itself."""
    if not 1 <= report.shard.number <= report.shard.of:
        raise ValueError(f"there is no shard {report.shard}")
    ran = [str(result.cell) for result in report.results]
    for cell in ran:
        if ran.count(cell) > 1:
            raise ValueError(f"{cell} is there twice")
        if cell not in report.plan:
            raise ValueError(f"{cell} is not in its plan")
    for result in report.results:
        _refuse_incomplete(result)
    where, said, holds = next(_contradictions(written, of_compare(report), ""), ("", None, None))
    if where:
        raise ValueError(f"{where} is {said}, but what it holds comes to {holds}")


def _refuse_incomplete(result: CellResult) -> None:
    """Raise ValueError where the verdicts of a cell do not follow, or one that agrees lacks some."""
    for key, v in result.verdicts.items():
        what = f"the verdict of {result.cell} on {', '.join(key)},"
        everywhere = result.agrees and not (result.local_alone and key[1] == END_TO_END)
        if not v.failures <= v.steps <= result.steps or (everywhere and v.steps < result.steps):
            raise ValueError(f"{what} is over {v.steps} steps, and the cell ran {result.steps}")
        if v.worst is None or {not v.worst.agrees, v.first is not None} != {v.failures > 0}:
            raise ValueError(f"{what} does not follow from its findings")
        if v.first is not None and v.first.agrees:
            raise ValueError(f"{what} has a first failure that agrees")
    missing = _missing(result) if result.agrees else []
    if missing:
        raise ValueError(f"{result.cell} has no verdict on {', '.join(missing[0])}")


def _missing(result: CellResult) -> list[tuple[str, str]]:
    """The verdicts that a cell of a known model lacks."""
    part = result.cell.model
    shown = [quantity for quantity in quantities_of(part) if quantity not in result.hidden]
    required = [LOCAL] if result.local_alone else certificates_of(part)
    return [(q, by) for q in shown for by in required if (q, by) not in result.verdicts]


def _contradictions(said: Any, holds: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    """Where two reports differ, in the fields of the second: (the place, what each has there)."""
    if isinstance(holds, Mapping):
        for name, value in holds.items():
            yield from _contradictions(field_of(said, name), value, f"{where}.{name}".lstrip("."))
    elif isinstance(holds, list):
        for i, (one, other) in enumerate(zip(said, holds, strict=True)):
            yield from _contradictions(one, other, f"{where}[{i}]")
    elif said != holds:
        yield where, json.dumps(said), json.dumps(holds)
