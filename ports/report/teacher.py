"""The answer of `lockstep check`, as a teacher would give it."""

import math
import textwrap
from collections.abc import Iterable, Iterator

from ports.check.results import FIRST_STEPS, SPREAD_STEPS, Check, ModelResult, Options, RunResult
from ports.check.template import HINTS, shape_of
from ports.conventions.following import following
from ports.engine.results import SPIRAL
from ports.messages import both
from ports.registry import FRAMEWORKS
from ports.report.explanation import WIDTH, explained, labelled
from ports.report.matrix import local_alone
from ports.report.table import in_digits
from ports.user_reference import reference_here
from reference.agreement.judge import LOCAL, Finding
from reference.line import formula, ingredients, line_of
from reference.models import MODELS, Model
from reference.runs import K


def answer(check: Check, options: Options, partial: bool, solution: bool) -> str:
    """The whole answer; with `solution`, the note's own lines are in it."""
    parts = [_head(check)]
    parts += ["\n".join(_model(check, result, solution)) for result in check.results]
    parts += [f"Your file printed:\n{_indented(text)}" for text in check.printed]
    parts += ["\n".join(_conclusion(check, options, partial, solution))]
    return "\n\n".join(parts)


def _head(check: Check) -> str:
    tensors = FRAMEWORKS[check.framework].tensors
    return f"{check.path}: your own code, run with your rights in a process of its own, on {tensors}."


def _model(check: Check, result: ModelResult, solution: bool) -> Iterator[str]:
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
    yield from _says_little(result)
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
        yield from _first_wrong(*failures[0], result, solution)
        yield from _also_wrong(result, solution)
    if result.error:
        yield f"  stopped: {result.error}"
    yield from (f"  {local_alone(run.result)}" for run in result.runs if run.result.local_alone)
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


def _says_little(result: ModelResult) -> Iterator[str]:
    """The quantities with bounds that exceed their numbers, and what to do about it."""
    if not result.says_little:
        return
    shares = (
        f"{name} ({few.local:.0%}, {few.end_to_end:.0%})" for name, few in result.says_little.items()
    )
    yield from _listed(
        "vacuous",
        shares,
        "(share of its numbers whose bound exceeds the number: local, end to end; more taps on the way "
        "make local bounds tighter)",
    )


def _listed(label: str, names: Iterable[str], note: str = "") -> Iterator[str]:
    """A label and names, wrapped; nothing if there are no names."""
    words = " ".join(names)
    if words:
        yield from _wrapped(label, f"{words} {note}".rstrip())


def _wrapped(label: str, text: str) -> list[str]:
    """A label and a text in a column."""
    return textwrap.wrap(f"{label:<9}{text}", WIDTH, initial_indent="  ", subsequent_indent=" " * 11)


def _first_wrong(
    found: RunResult, step: int, finding: Finding, result: ModelResult, solution: bool
) -> Iterator[str]:
    """The first wrong operation: where, by how much, what is right, and the probable cause."""
    name = finding.quantity
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
    yield from _explanation(result, name, solution)


def _also_wrong(result: ModelResult, solution: bool) -> Iterator[str]:
    """The other wrong quantities whose cause is known, in short."""
    for name in result.also_wrong():
        yield f"\n  Also wrong: {name}"
        yield from _explanation(result, name, solution)


def _explanation(result: ModelResult, quantity: str, solution: bool) -> Iterator[str]:
    """The right lines, the lines that would give the file's numbers, and the cause in words."""
    document = formula(result.model, quantity)
    right = _by_convention(result, quantity) if document and result.conventions else document
    label = _source(result) if right == document else "declared"
    yield from explained(result.explanations.get(quantity), right if solution else None, label)


def _source(result: ModelResult) -> str:
    """What a step is held against, in words: the document, or a reference of one's own."""
    return MODELS[result.model].source if result.model in MODELS else Model.source


def _by_convention(result: ModelResult, quantity: str) -> list[str]:
    """The lines of a quantity as the declared conventions have them."""
    return line_of(following(MODELS[result.model], result.conventions).step, quantity).shown()


def _conclusion(check: Check, options: Options, partial: bool, solution: bool) -> Iterator[str]:
    """The last lines: the verdict, what to write next, and what was not looked at."""
    yield from _verdict(check, partial)
    if partial and not (check.disagrees or check.broken):
        unfinished = [r for r in check.results if r.next_to_write and r.dtype == check.dtypes[0]]
        yield from (line for result in unfinished for line in _next(result, solution))
    others = [name for name in MODELS if name not in check.models]
    if others:
        yield f"Not in the file, so not judged: {', '.join(step_name(m) for m in others)}."
    if options.steps is None:
        of_run = "reference's run" if reference_here() else "document's run"
        points = "" if reference_here() else f", {K * options.points} points"
        yield (
            f"Judged at the first {FIRST_STEPS} steps of the {of_run} and {SPREAD_STEPS} spread "
            f"over the rest{points}; --steps all judges every step."
        )


def _next(result: ModelResult, solution: bool) -> Iterator[str]:
    """The next quantity to write: what it is, its shape, and what it is computed from."""
    name, problem = result.next_to_write, result.runs[0].run.problem
    letters = problem.model.quantities[name]
    what = f"{name} ({HINTS[name]})" if name in HINTS else name
    of_shape = f"of shape {shape_of(letters)}, here" if letters else "of shape"
    shape = f"{of_shape} {problem.shapes[name]}" if problem.shapes[name] else "a single number"
    yield f"Next in {step_name(result.model)}: {what}, {shape}."
    yield f"  It is computed from {both(ingredients(result.model, name))}."
    if solution:
        label = f"{_source(result)}  "
        yield from labelled(label, formula(result.model, name), indent="  ")


def _verdict(check: Check, partial: bool) -> Iterator[str]:
    """Whether the file is right; of a step that fails elsewhere alone, first that the note's run is."""
    elsewhere = [r for r in check.results if r.fails_elsewhere_alone]
    rest = [r for r in check.results if not r.fails_elsewhere_alone]
    count = sum(r.comparisons for r in check.results)
    wrong = [f"{step_name(r.model)} ({r.dtype})" for r in rest if r.failures()]
    if wrong:
        yield f"Not yet: {', '.join(wrong)} disagrees with the {_source(rest[-1])}{_under(check)}."
    elif any(r.error or r.unreadable for r in rest):
        before = f"the {count} comparisons before agree" if count else "nothing was compared"
        yield f"Not judged to the end: see above; {before}."
    elif check.empty(partial):
        yield "Nothing was compared: return at least one quantity."
    elif check.missing and not elsewhere:
        unwritten = "the missing ones are the next to write"
        ending = "" if partial else " (--partial accepts a file as far as it goes)"
        yield f"All that it returns is right{_under(check)} ({count} comparisons); {unwritten}{ending}."
    elif not elsewhere:
        yield f"Right{_under(check)}: {count} comparisons, every quantity under both certificates."
    yield from (line for result in elsewhere for line in _right_in_the_note(result))


def _right_in_the_note(result: ModelResult) -> Iterator[str]:
    """What a step that is right on the note's run does elsewhere."""
    right = "All that it returns is right" if result.missing else "Right"
    run = result.runs[0].run
    at = run.shows or "{K} classes and {N} points".format(**run.problem.sizes)
    yield f"{right} on {run.name}, at {at}: {step_name(result.model)} ({result.dtype})."
    failing = result.limits or [r for r in result.runs if result.fails(r)]
    for found in failing:
        wrong = result.wrong_in(found) or [f.quantity for _, f in result.failures_of(found)]
        named = [*wrong, *found.unreadable]
        if found.raised or not named:
            yield f"Stops at {found.run.shows}: {(found.raised or found.result.error).rstrip('.')}."
        else:
            yield f"Wrong at {found.run.shows}: {both(named)}."


def _under(check: Check) -> str:
    """By which conventions the file was judged, if it declares some."""
    if not check.conventions:
        return ""
    plural = "s" if len(check.conventions) > 1 else ""
    return f" under the convention{plural} {both(map(str, check.conventions))}"


def _indented(text: str) -> str:
    return "\n".join(f"  | {line}" for line in text.splitlines())
