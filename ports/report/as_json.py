"""Results as JSON. The schema is documented in docs/json.md; raise SCHEMA when it changes."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ports.engine.results import CellResult, Verdict
from ports.engine.selection import Skipped
from reference.agreement.judge import Finding

SCHEMA = "lockstep/1"


def document(
    run: Mapping[str, Any],
    results: Sequence[CellResult],
    skipped: Sequence[Skipped],
    facts: Mapping[str, str],
) -> dict[str, Any]:
    """The whole report as plain data.

    `run` says what was run (points, seed, steps); `facts` is the `provenance` of the run.
    """
    return {
        "schema": SCHEMA,
        "run": dict(run),
        "provenance": dict(facts),
        "agrees": bool(results) and all(r.agrees for r in results),
        "comparisons": sum(r.comparisons for r in results),
        "elements": sum(r.elements for r in results),
        "cells": [cell(r) for r in results],
        "skipped": [{"what": s.what, "reason": s.reason} for s in skipped],
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
    """One comparison; numbers that JSON cannot hold (NaN, infinity) become their names."""
    if f is None:
        return None
    numbers = {"share": f.share, "got": f.got, "expected": f.expected, "allowed": f.allowed}
    return {
        "step": step,
        "index": list(f.index),
        **{name: value if math.isfinite(value) else str(value) for name, value in numbers.items()},
        "problem": f.problem or None,
    }


def refuse_unwritable(path: str | None) -> None:
    """Find out before the work, not after it, that the report cannot be written. Raises OSError."""
    if path is None:
        return
    target, why = Path(path), ""
    if not path or target.is_dir():
        why = "it is a folder" if path else "it is no name"
    elif target.resolve().suffix == ".py":
        why = "a .py file is a port, not a report"
    elif not os.access(target if target.exists() else target.parent, os.W_OK):
        why = "no such folder, or no right to"
    if why:
        raise OSError(f"cannot write {path!r}: {why}; give --json a path you can write")


def write(path: str, content: Mapping[str, Any]) -> None:
    """Write a report. Raises OSError, in a sentence, where the path cannot be written."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    try:
        Path(path).write_text(text)
    except OSError as why:
        raise OSError(f"cannot write {path}: {why.strerror}; give --json a path you can write") from None
