"""Benchmark rows as a table and as JSON."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ports.bench.measuring import Row

SCHEMA = "lockstep-bench/1"
LAYOUT = "{:<12} {:<92} {:>9} {:>17} {:>8}  {}"


def heading() -> str:
    """The table's first line."""
    return LAYOUT.format("benchmark", "what", "median", "quartiles", "goal", "verdict")


def line(row: Row) -> str:
    """One row of the table."""
    goal = "" if row.goal is None else f"<= {row.goal:g}"
    if row.figure is None or row.low is None or row.high is None:
        return LAYOUT.format(row.bench, row.what, "", "", goal, f"{row.verdict}: {row.skipped}")
    figure = f"{row.figure:.4g}" + {"x": "x", "s": " s"}.get(row.unit, "")
    spread = f"{row.low:.3g} to {row.high:.3g}" if row.rounds > 1 else "once"
    return LAYOUT.format(row.bench, row.what, figure, spread, goal, row.verdict)


def machine(facts: Mapping[str, str], thread_settings: Sequence[str]) -> dict[str, str]:
    """What the figures were measured on: processor, versions and settings, threads, load."""
    threads = " ".join(f"{name}={os.environ[name]}" for name in thread_settings if name in os.environ)
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return {
        "processor": processor(),
        **facts,
        "thread settings": threads or "each library's default",
        "load before": load,
    }


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine_lines(facts: Mapping[str, str]) -> Iterator[str]:
    """The machine, a fact a line."""
    return (f"{name}: {fact}" for name, fact in facts.items() if fact)


def document(run: Mapping[str, Any], rows: Sequence[Row], facts: Mapping[str, str]) -> dict[str, Any]:
    """The whole report as plain data."""
    return {
        "schema": SCHEMA,
        "run": dict(run),
        "machine": dict(facts),
        "rows": [row.as_json() for row in rows],
    }
