"""Reading what `lockstep compare --json` has written.

A report is read into the engine's own objects and written again. What was written the first time must be
the same, so a report whose counts or verdicts do not follow from its findings is refused.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ports.engine.reports import Change, Report, RunOf
from ports.engine.results import Cell, CellResult, Verdict, certificates_of, quantities_of
from ports.engine.selection import Skipped
from ports.engine.shards import Shard
from ports.messages import brief
from ports.report.as_json import COMPARE, of_compare
from reference.agreement.judge import Finding

Value = TypeVar("Value")

NUMBERS = ("nan", "inf", "-inf")


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
    run, shard = _object(written, "run"), _object(written, "shard")
    changes = None if _field(written, "changes") is None else _list(written, "changes")
    return Report(
        RunOf(_whole(run, "points"), _whole(run, "seed"), _text(run, "steps")),
        _text(written, "machine"),
        Shard(_whole(shard, "number"), _whole(shard, "of")),
        tuple(_each(written, "plan", _as_text)),
        _texts(written, "provenance"),
        list(_each(written, "cells", _cell)),
        [Skipped(_text(s, "what"), _text(s, "reason")) for s in _each(written, "skipped", _as_object)],
        changes
        and [Change(*(_text(c, name) for name in Change._fields)) for c in map(_as_object, changes)],
        source,
    )


def _cell(written: Any) -> CellResult:
    place = _as_object(written)
    cell = Cell(*(_text(place, name) for name in ("model", "port", "mode", "device", "dtype")))
    result = CellResult(cell, _texts(place, "hidden"), steps=_whole(place, "steps"))
    result.error = "" if _field(place, "error") is None else _text(place, "error")
    for verdict in _each(place, "verdicts", _as_object):
        key = _text(verdict, "quantity"), _text(verdict, "certificate")
        if key in result.verdicts:
            raise ValueError(f"{cell} has two verdicts on {' '.join(key)}")
        result.verdicts[key] = _verdict(verdict, *key)
    return result


def _verdict(place: Mapping[str, Any], quantity: str, certificate: str) -> Verdict:
    worst, worst_step = _finding(_field(place, "worst"), quantity, certificate)
    first, first_step = _finding(_field(place, "first_failure"), quantity, certificate)
    counts = {name: _whole(place, name) for name in ("steps", "elements", "failed_steps")}
    return Verdict(
        counts["steps"], counts["elements"], worst, worst_step, counts["failed_steps"], first, first_step
    )


def _finding(written: Any, quantity: str, certificate: str) -> tuple[Finding | None, int]:
    if written is None:
        return None, -1
    place = _as_object(written)
    finding = Finding(
        quantity,
        certificate,
        _number(place, "share"),
        tuple(_each(place, "index", lambda i: _as_whole(i, "index"))),
        _number(place, "got"),
        _number(place, "expected"),
        _number(place, "allowed"),
        problem="" if _field(place, "problem") is None else _text(place, "problem"),
    )
    return finding, _whole(place, "step")


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
        if not v.failures <= v.steps <= result.steps or (result.agrees and v.steps < result.steps):
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
    return [(q, by) for q in shown for by in certificates_of(part) if (q, by) not in result.verdicts]


def _contradictions(said: Any, holds: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    """Where two reports differ, in the fields of the second: (the place, what each has there)."""
    if isinstance(holds, Mapping):
        for name, value in holds.items():
            yield from _contradictions(_field(said, name), value, f"{where}.{name}".lstrip("."))
    elif isinstance(holds, list):
        for i, (one, other) in enumerate(zip(said, holds, strict=True)):
            yield from _contradictions(one, other, f"{where}[{i}]")
    elif said != holds:
        yield where, json.dumps(said), json.dumps(holds)


# Fields and their types


def _field(place: Mapping[str, Any], name: str) -> Any:
    if name not in place:
        raise ValueError(f"the field {name} is missing")
    return place[name]


def _as_object(value: Any) -> dict[str, Any]:
    return _typed(value, "an entry", dict, "an object")


def _as_text(value: Any) -> str:
    return _typed(value, "an entry", str, "text")


def _as_whole(value: Any, name: str) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is {_shown(value)}, expected a whole number")
    return value


def _object(place: Mapping[str, Any], name: str) -> dict[str, Any]:
    return _typed(_field(place, name), name, dict, "an object")


def _list(place: Mapping[str, Any], name: str) -> list[Any]:
    return _typed(_field(place, name), name, list, "a list")


def _text(place: Mapping[str, Any], name: str) -> str:
    return _typed(_field(place, name), name, str, "text")


def _whole(place: Mapping[str, Any], name: str) -> int:
    return _as_whole(_field(place, name), name)


def _number(place: Mapping[str, Any], name: str) -> float:
    value = _field(place, name)
    if type(value) in (int, float) or value in NUMBERS:
        return float(value)
    raise ValueError(f"{name} is {_shown(value)}, expected a number")


def _texts(place: Mapping[str, Any], name: str) -> dict[str, str]:
    return {key: _text(_object(place, name), key) for key in _object(place, name)}


def _each(place: Mapping[str, Any], name: str, convert: Callable[[Any], Value]) -> list[Value]:
    return [convert(value) for value in _list(place, name)]


def _typed(value: Any, name: str, kind: type[Value], called: str) -> Value:
    if not isinstance(value, kind):
        raise ValueError(f"{name} is {_shown(value)}, expected {called}")
    return value


def _shown(value: Any) -> str:
    return brief(ValueError(json.dumps(value)))
