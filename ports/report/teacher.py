"""The answer of `lockstep check`, as a teacher would give it."""

import math
import textwrap
from collections.abc import Iterable, Iterator

from ports.check.results import FIRST_STEPS, SPREAD_STEPS, Check, ModelResult, Options, RunResult
from ports.conventions.following import following
from ports.conventions.known import Conventions
from ports.diagnosis import Diagnosis
from ports.diagnosis.case import Change
from ports.engine.results import SPIRAL
from ports.messages import both
from ports.registry import FRAMEWORKS
from ports.report.table import in_digits
from reference.agreement.judge import LOCAL, Finding
from reference.line import formula
from reference.models import MODELS
from reference.runs import K
from reference.spiral import spiral

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
    yield from _wrapped("judged", _judged(result))
    for convention in result.conventions:
        yield from _wrapped("declared", f"{convention}: judged by {convention.says}")
    yield from _listed("right", result.right())
    yield from _listed("wrong", result.wrong())
    yield from _listed("follows", result.follows(), "(each right in itself, from wrong inputs)")
    yield from _listed("hidden", [n for n in result.hidden if n not in result.returned])
    yield from _listed("missing", result.missing)
    for name, why in result.unreadable.items():
        yield f"  {name} {why}"
    failures = result.failures()
    if result.recognised:
        yield ""
        yield from textwrap.wrap(
            result.recognised.sentence, WIDTH, initial_indent="  ", subsequent_indent="  "
        )
    if failures:
        yield ""
        yield from _first_wrong(*failures[0], result.explanation, result.conventions)
    if result.error:
        yield f"  stopped: {result.error}"
    if check.undeclared and (failures or result.error or result.unreadable):
        yield (
            f"  The file imports {check.undeclared} but was given NumPy arrays: "
            f'put framework = "{check.undeclared}" at its top.'
        )


def step_name(model: str) -> str:
    """The function's name in the file."""
    return model if model == SPIRAL else MODELS[model].step_name


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
    """A label and names, wrapped; nothing if there are no names."""
    words = " ".join(names)
    if words:
        yield from _wrapped(label, f"{words} {note}".rstrip())


def _wrapped(label: str, text: str) -> list[str]:
    """A label and a text in a column."""
    return textwrap.wrap(f"{label:<9}{text}", WIDTH, initial_indent="  ", subsequent_indent=" " * 11)


def _first_wrong(
    found: RunResult,
    step: int,
    finding: Finding,
    explanation: Diagnosis | None,
    conventions: Conventions,
) -> Iterator[str]:
    """The first wrong operation: where, by how much, what is right, and the probable cause."""
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
    document = formula(MODELS[model].step if model in MODELS else spiral, name)
    right = formula(following(MODELS[model], conventions).step, name) if conventions else document
    label = "document  " if right == document else "declared  "
    yield from (f"    {start}{line}" for start, line in _with_label(label, right))
    for i, change in enumerate(explanation.changes if explanation else ()):
        yield from _change(change, "yours is  " if i == 0 else "or        ", label, right)
    if explanation:
        yield from textwrap.wrap(
            f"why       {explanation.sentence}",
            WIDTH,
            initial_indent=" " * 4,
            subsequent_indent=" " * 14,
        )


def _change(change: Change, label: str, label_of_right: str, shown: list[str]) -> Iterator[str]:
    """The line that would give the port's numbers, under the right one if that is not shown yet."""
    if not set(change.document) <= set(shown):
        right = _with_label(label_of_right, [*change.document])
        yield from (f"    {start}{line}" for start, line in right)
    if change.explained == change.elements:
        explains = f"explains all {change.elements:,} elements down to rounding"
    else:
        explains = f"explains {change.explained:,} of {change.elements:,} elements; the others are right"
    lines = [f"    {start}{line}" for start, line in _with_label(label, [*change.yours])]
    if change.elements > 1 and len(lines[-1]) + len(explains) + 6 <= WIDTH:
        lines[-1] += f"      {explains}"
    elif change.elements > 1:
        lines.append(f"              ({explains})")
    yield from lines


def _with_label(label: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    for i, line in enumerate(lines):
        yield (label if i == 0 else " " * len(label)), line


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
        return f"Not yet: {', '.join(dict.fromkeys(wrong))} disagrees with the document{_under(check)}."
    if check.broken:
        rest = f"the {count} comparisons before agree" if count else "nothing was compared"
        return f"Not judged to the end: see above; {rest}."
    if check.empty:
        return "Nothing was compared: return at least one quantity."
    if check.missing:
        rest = "the missing ones are the next to write"
        ending = f"{rest}." if partial else f"{rest} (--partial accepts a file as far as it goes)."
        return f"All that it returns is right{_under(check)} ({count} comparisons); {ending}"
    return f"Right{_under(check)}: {count} comparisons, every quantity under both certificates."


def _under(check: Check) -> str:
    """By which conventions the file was judged, if it declares some."""
    if not check.conventions:
        return ""
    plural = "s" if len(check.conventions) > 1 else ""
    return f" under the convention{plural} {both(map(str, check.conventions))}"


def _indented(text: str) -> str:
    return "\n".join(f"  | {line}" for line in text.splitlines())
