"""The answer of `lockstep check`, as a teacher would give it; and the same as plain data."""

import math
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from ports import FRAMEWORKS
from ports.check.explain import Explanation, explain
from ports.check.results import FIRST_STEPS, SPREAD_STEPS, Check, ModelResult, Options, RunResult
from ports.engine.results import SPIRAL, quantities_of
from ports.report import as_json
from ports.report.terminal import in_digits
from ports.user_port import undeclared_framework
from reference.agreement.judge import LOCAL, Finding
from reference.formula import formula
from reference.models import MODELS
from reference.runs import K

SCHEMA = "lockstep-check/1"
WIDTH = 100


def answer(check: Check, options: Options, partial: bool) -> str:
    """The whole answer."""
    parts = [_head(check)]
    parts += ["\n".join(_model(check, result)) for result in check.results]
    parts += [f"Your file printed:\n{_indented(text)}" for text in check.printed]
    parts += ["\n".join(_conclusion(check, options, partial))]
    return "\n\n".join(parts)


def _head(check: Check) -> str:
    tensors = FRAMEWORKS[check.framework].tensors
    return f"{check.path}: your own code, run with your rights in a process of its own, on {tensors}."


def _model(check: Check, result: ModelResult) -> Iterator[str]:
    """One step's part of the answer."""
    yield f"{step_name(result.model)}, {result.dtype}"
    yield from textwrap.wrap(
        f"judged   {_judged(result)}", WIDTH, initial_indent="  ", subsequent_indent=" " * 11
    )
    yield from _listed("right", result.right())
    yield from _listed("wrong", result.wrong())
    yield from _listed("follows", result.follows(), "(each right in itself, from wrong inputs)")
    yield from _listed("hidden", [n for n in result.hidden if n not in result.returned])
    yield from _listed("missing", result.missing)
    for name, why in result.unreadable.items():
        yield f"  {name} {why}"
    failures = result.failures()
    if failures:
        yield ""
        yield from _first_wrong(*failures[0])
    if result.error:
        yield f"  stopped: {result.error}"
    framework = undeclared_framework(check.path, check.framework)
    if framework and (failures or result.error or result.unreadable):
        yield (
            f'  The file imports {framework} but was given NumPy arrays: put framework = "{framework}" '
            "at its top."
        )


def step_name(model: str) -> str:
    """The function's name in the file."""
    return model if model == SPIRAL else f"{model}_step"


def _judged(result: ModelResult) -> str:
    """What was run, in words."""
    parts = []
    for found in result.runs:
        run, steps = found.run, found.result.steps
        of = f" of {run.iterations:,}" if run.iterations > len(run.steps) else ""
        shows = run.shows or f"{len(run.problem.y)} points"
        what = f"{run.name} ({shows})"
        parts.append(f"{steps}{of} steps of {what}" if run.iterations > 1 else what)
    return "; ".join(parts)


def _listed(label: str, names: Iterable[str], note: str = "") -> Iterator[str]:
    """A label and names, wrapped; nothing where there are no names."""
    words = " ".join(names)
    if words:
        text = f"{label:<9}{words} {note}".rstrip()
        yield from textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent=" " * 11)


def _first_wrong(found: RunResult, step: int, finding: Finding) -> Iterator[str]:
    """The first wrong operation: where, by how much, what the document does, and why probably."""
    name, model = finding.quantity, found.result.cell.model
    where = f"step {step} of {found.run.name}" if found.run.iterations > 1 else found.run.name
    if finding.problem:
        yield f"  First wrong: {name} {finding.problem} ({where})."
    else:
        index = "".join(f"[{', '.join(map(str, finding.index))}]" if finding.index else "")
        yield f"  First wrong: {name}{index}, at {where}"
        basis = "from your own quantities before it" if finding.certificate == LOCAL else "end to end"
        yield f"    got       {finding.got!r}"
        yield f"    expected  {finding.expected!r}  ({basis})"
        if finding.allowed and not math.isfinite(finding.share):
            yield f"    allowed   ± {finding.allowed:.2g}"
        elif finding.allowed:
            yield f"    allowed   ± {finding.allowed:.2g}; this is {in_digits(finding.share)} times that"
        else:
            yield "    allowed   nothing else: no rounding happens here"
    yield from (f"    {start}{line}" for start, line in _with_label("document  ", formula(model, name)))
    explanation = explanation_of(found, finding)
    if explanation:
        yield from textwrap.wrap(
            f"why       {explanation.sentence}",
            WIDTH,
            initial_indent=" " * 4,
            subsequent_indent=" " * 14,
        )


def _with_label(label: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    for i, line in enumerate(lines):
        yield (label if i == 0 else " " * len(label)), line


def explanation_of(found: RunResult, finding: Finding) -> Explanation | None:
    """Why, if the record of the step says it. A fault in the explaining costs no verdict."""
    if found.case is None:
        return None
    try:
        return explain(found.case, finding.quantity)
    except Exception as why:
        return Explanation("unexplained", f"no explanation ({type(why).__name__}: {why})", certain=False)


def _conclusion(check: Check, options: Options, partial: bool) -> Iterator[str]:
    """The last lines: the verdict, and what was not looked at."""
    yield _verdict(check, partial)
    others = [name for name in MODELS if name not in check.models]
    if others:
        yield f"Not in the file, so not judged: {', '.join(step_name(m) for m in others)}."
    if options.steps is None:
        yield (
            f"Judged at the first {FIRST_STEPS} steps of the document's run and {SPREAD_STEPS} spread "
            f"over the rest, {K * options.points} points; --steps all judges every step."
        )


def _verdict(check: Check, partial: bool) -> str:
    count = sum(r.comparisons for r in check.results)
    if check.disagrees:
        wrong = [f"{step_name(r.model)} ({r.dtype})" for r in check.results if r.failures()]
        return f"Not yet: {', '.join(dict.fromkeys(wrong))} disagrees with the document."
    if check.broken:
        rest = f"the {count} comparisons before agree" if count else "nothing was compared"
        return f"Not judged to the end: see above; {rest}."
    if check.empty:
        return "Nothing was compared: return at least one quantity."
    if check.missing:
        rest = "the missing ones are the next to write"
        ending = f"{rest}." if partial else f"{rest} (--partial accepts a file as far as it goes)."
        return f"All that it returns is right ({count} comparisons); {ending}"
    return f"Right: {count} comparisons, every quantity under both certificates."


def _indented(text: str) -> str:
    return "\n".join(f"  | {line}" for line in text.splitlines())


def document(check: Check, options: Options, status: int) -> dict[str, Any]:
    """The answer as plain data."""
    return {
        "schema": SCHEMA,
        "file": str(check.path),
        "framework": check.framework,
        "run": {
            "points": options.points,
            "seed": options.seed,
            "steps": options.steps,
            "dtypes": list(options.dtypes),
        },
        "status": status,
        "steps": [_as_data(result) for result in check.results],
        "printed": check.printed,
    }


def _as_data(result: ModelResult) -> dict[str, Any]:
    failures = result.failures()
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
        "first_wrong": _failure(*failures[0]) if failures else None,
        "runs": [{"run": r.run.name, **as_json.cell(r.result)} for r in result.runs],
    }


def _failure(found: RunResult, step: int, finding: Finding) -> dict[str, Any]:
    why = explanation_of(found, finding)
    return {
        "quantity": finding.quantity,
        "certificate": finding.certificate,
        "run": found.run.name,
        **(as_json.finding(finding, step) or {}),
        "explanation": vars(why) if why else None,
    }
