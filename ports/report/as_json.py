"""Results as JSON: one report per command that writes one, documented in docs/json.md.

Raise a schema's number when one of its fields changes its meaning or is removed.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ports.bench.measuring import Row
from ports.check.results import Check, ModelResult, Options
from ports.conventions.recognition import Recognised
from ports.engine.accuracy import Accuracy, Certified, StepAccuracy
from ports.engine.machines import Difference, Machine, Merged
from ports.engine.reports import Report
from ports.engine.results import CellResult, Verdict, quantities_of
from ports.engine.selection import Skipped
from ports.traps.outcome import Outcome, totals
from reference.agreement.judge import Finding
from reference.agreement.probabilistic import FAILURE
from reference.line import ingredients
from reference.models import MODELS

COMPARE, CHECK, TRAPS, BENCH = "lockstep/1", "lockstep-check/1", "lockstep-traps/1", "lockstep-bench/1"
MERGE, BOUNDS = "lockstep-merge/1", "lockstep-bounds/1"


def of_compare(report: Report) -> dict[str, Any]:
    """The report of `lockstep compare`; `ports.report.from_json` reads it."""
    return {
        "schema": COMPARE,
        "run": report.run._asdict(),
        "machine": report.machine,
        "shard": report.shard._asdict(),
        "plan": list(report.plan),
        "provenance": dict(report.provenance),
        **counts(report.results),
        "cells": [cell(r) for r in report.results],
        "skipped": skips(report.skipped),
        "changes": None if report.changes is None else [c._asdict() for c in report.changes],
    }


def counts(results: Sequence[CellResult]) -> dict[str, Any]:
    """Whether all of these cells agree, and how much was compared."""
    return {
        "agrees": bool(results) and all(r.agrees for r in results),
        "comparisons": sum(r.comparisons for r in results),
        "elements": sum(r.elements for r in results),
    }


def skips(skipped: Sequence[Skipped]) -> list[dict[str, str]]:
    """What did not run, and why."""
    return [{"what": s.what, "reason": s.reason} for s in skipped]


def of_merge(merged: Merged) -> dict[str, Any]:
    """The report of `lockstep merge`."""
    return {
        "schema": MERGE,
        "run": merged.run._asdict(),
        **counts(merged.results) | {"agrees": merged.agrees},
        "machines": [machine(m) for m in merged.machines],
        "differences": [difference(d) for d in merged.differences()],
        "unverified": [str(c) for c in merged.unverified],
    }


def machine(m: Machine) -> dict[str, Any]:
    """One machine: its cells, and where each report came from."""
    return {
        "machine": m.name,
        **counts(m.results),
        "reports": [
            {"source": r.source, "shard": r.shard._asdict(), "provenance": dict(r.provenance)}
            for r in m.reports
        ],
        "cells": [cell(r) for r in m.results],
        "skipped": skips(m.skipped),
    }


def difference(d: Difference) -> dict[str, Any]:
    """A quantity that used another share of its bound on another machine."""
    return {
        "id": str(d.cell),
        "quantity": d.quantity,
        "shares": {where: number(share) for where, share in d.shares.items()},
        "same_verdict": d.same_verdict,
    }


def cell(result: CellResult) -> dict[str, Any]:
    """One cell with every quantity's verdicts."""
    c = result.cell
    return {
        "id": str(c),
        "model": c.model,
        "port": c.port,
        "mode": c.mode,
        "device": c.device,
        "dtype": c.dtype,
        "agrees": result.agrees,
        "steps": result.steps,
        "error": result.error or None,
        "local_alone": result.local_alone and result.local_alone._asdict(),
        "hidden": dict(result.hidden),
        "verdicts": [
            {"quantity": quantity, "certificate": certificate, **verdict(v)}
            for (quantity, certificate), v in result.verdicts.items()
        ],
    }


def verdict(v: Verdict) -> dict[str, Any]:
    """One quantity under one certificate."""
    return {
        "agrees": v.agrees,
        "steps": v.steps,
        "elements": v.elements,
        "failed_steps": v.failures,
        "worst": finding(v.worst, v.worst_step),
        "first_failure": finding(v.first, v.first_step),
    }


def finding(f: Finding | None, step: int) -> dict[str, Any] | None:
    """One comparison."""
    if f is None:
        return None
    numbers = {"share": f.share, "got": f.got, "expected": f.expected, "allowed": f.allowed}
    return {
        "step": step,
        "index": list(f.index),
        **{name: number(value) for name, value in numbers.items()},
        "problem": f.problem or None,
    }


def number(value: float) -> float | str:
    """A number, or the name of one that JSON cannot hold (NaN, infinity)."""
    return value if math.isfinite(value) else str(value)


def of_check(check: Check, options: Options, status: int) -> dict[str, Any]:
    """The report of `lockstep check`."""
    return {
        "schema": CHECK,
        "file": str(check.path),
        "framework": check.framework,
        "run": {
            "points": options.points,
            "seed": options.seed,
            "steps": options.steps,
            "dtypes": list(check.dtypes),
        },
        "status": status,
        "conventions": [str(convention) for convention in check.conventions],
        "steps": [model_result(result) for result in check.results],
        "printed": check.printed,
    }


def model_result(result: ModelResult) -> dict[str, Any]:
    """What became of one step function in one dtype."""
    return {
        "model": result.model,
        "dtype": result.dtype,
        "quantities": len(quantities_of(result.model)),
        "comparisons": result.comparisons,
        "right": result.right(),
        "wrong": result.wrong(),
        "follows": result.follows(),
        "missing": result.missing,
        "hidden": dict(result.hidden),
        "unreadable": result.unreadable,
        "error": result.error or None,
        "consistent_with": consistent_with(result.recognised),
        "first_wrong": first_wrong(result),
        "also_wrong": [
            {"quantity": name, "explanation": explanation(result, name)} for name in result.also_wrong()
        ],
        "next": next_to_write(result),
        "says_little": {name: shares._asdict() for name, shares in result.says_little.items()},
        "limits": [
            {"at": r.run.shows, "wrong": result.wrong_in(r), "error": r.result.error or None}
            for r in result.limits
        ],
        "runs": [{"run": r.run.name, **cell(r.result)} for r in result.runs],
    }


def next_to_write(result: ModelResult) -> dict[str, Any] | None:
    """The first missing quantity: its shape, and what it is computed from."""
    name = result.next_to_write
    if not name:
        return None
    numbers = ",".join(map(str, result.runs[0].run.problem.shapes[name]))
    shape = MODELS[result.model].quantities[name] or numbers
    return {"quantity": name, "shape": shape, "from": ingredients(result.model, name)}


def explanation(result: ModelResult, quantity: str) -> dict[str, Any] | None:
    """Why a quantity is wrong, if that is known."""
    found = result.explanations.get(quantity)
    return asdict(found) if found else None


def consistent_with(found: Recognised | None) -> dict[str, Any] | None:
    """The conventions that a step seems to follow instead, and what is wrong by them."""
    if found is None:
        return None
    return {
        "conventions": [str(convention) for convention in found.conventions],
        "wrong": list(found.wrong),
        "sentence": found.sentence,
    }


def first_wrong(result: ModelResult) -> dict[str, Any] | None:
    """The first disagreement and its explanation."""
    failures = result.failures()
    if not failures:
        return None
    found, step, first = failures[0]
    return {
        "quantity": first.quantity,
        "certificate": first.certificate,
        "run": found.run.name,
        **(finding(first, step) or {}),
        "explanation": explanation(result, first.quantity),
    }


def of_traps(steps: int, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The report of `lockstep traps`."""
    return {
        "schema": TRAPS,
        "steps": steps,
        "totals": totals(outcomes),
        "traps": [outcome(o) for o in outcomes],
    }


def outcome(o: Outcome) -> dict[str, Any]:
    """What became of one trap."""
    judged = {name: getattr(o, name) for name in ("blamed_rightly", "named_rightly", "misled")}
    return asdict(o) | judged


def of_bench(run: Mapping[str, Any], rows: Sequence[Row], facts: Mapping[str, str]) -> dict[str, Any]:
    """The report of `lockstep bench`."""
    return {
        "schema": BENCH,
        "run": dict(run),
        "machine": dict(facts),
        "rows": [asdict(row) | {"verdict": row.verdict} for row in rows],
    }


def of_bounds(
    run: Mapping[str, Any], steps: Sequence[StepAccuracy], facts: Mapping[str, str]
) -> dict[str, Any]:
    """The report of `lockstep bounds`."""
    return {
        "schema": BOUNDS,
        "run": dict(run),
        "failure": FAILURE,
        "provenance": dict(facts),
        "steps": [
            step._asdict()
            | {"ports": list(step.ports), "error": step.error or None}
            | {"rows": [accuracy(row) for row in step.rows]}
            for step in steps
        ],
    }


def accuracy(row: Accuracy) -> dict[str, Any]:
    """One quantity's bounds and errors."""
    both = {"local": certified(row.local), "end_to_end": certified(row.end_to_end)}
    return row._asdict() | both


def certified(c: Certified) -> dict[str, float | str]:
    """One certificate's bounds and errors."""
    port, *errors = c
    names = "bound", "probable", "observed", "ratio"
    return {"port": port} | dict(zip(names, map(number, [*errors, c.ratio]), strict=True))


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a report. Raises OSError, in one sentence, if the path cannot be written."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file. Raises OSError, in one sentence, if the path cannot be written."""
    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as why:
        raise OSError(f"cannot write {path}: {why.strerror}; give a path you can write") from None
