"""The breaks of the lesson: wrong lines out of the gallery of traps, and what each of them does.

A break shows one wrong line beside the right one, which quantities of the step it spoils, how the
diagnosis reads it, and what the checks that people write today say. It also trains the broken port by
itself, so that a reader sees whether a loss curve would have told.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from textwrap import dedent

from ports.diagnosis.case import Change
from ports.engine.training import train
from ports.traps import GALLERY, Trap, wrong_port
from ports.traps.fixtures import FIXTURES
from ports.traps.naive import contestant_of
from ports.traps.outcome import Judge, Outcome
from reference.models import MODELS
from reference.runs import trajectory

#: Traps that teach something each. The ties of the ReLU come first, in the style of d2l's `relu`.
BREAKS = (
    "tie_gradient_one_numpy",
    "tie_gradient_half",
    "tie_gradient_half_jax",
    "dscores_overwrites_probs",
    "label_off_by_one",
    "gradient_not_averaged",
    "regularized_with_the_gradient",
    "rows_of_one_class_normalized",
    "averaged_in_every_layer",
    "products_in_tf32",
    "stale_gradient",
    "weight_decay_on_biases",
    "momentum_left_on",
    "bias_forgotten",
    "gradient_stopped",
    "constant_in_float32",
)
#: How many updates the curves of the loss show.
UPDATES = 60
NO_CHANGE = Change((), (), 0, 0)


@dataclass(frozen=True)
class Losses:
    """The loss before each update, of a broken port that trains by itself and of the reference.

    A number is NaN or infinite where the port's is. `port` ends early where the port raises.
    """

    port: tuple[float, ...]
    reference: tuple[float, ...]


@dataclass(frozen=True)
class Break:
    """A trap as the lesson shows it.

    Attributes:
        name, port, framework, model: as in the gallery and the registry.
        right, wrong: the lines of the port's file that the trap changes, and what it makes of them.
        meant: what people meant to write, or believed. source: a public thread about it, or empty.
        step: the first step in which something is off. blamed: the first quantity found wrong there.
        states: each quantity that is off at that step: "wrong" (it fails its local certificate) or
            "follows" (it fails end to end alone).
        cause, sentence, certain: the diagnosis.
        document, yours: the note's lines, and those that would give the port's numbers, if the diagnosis
            found such lines.
        naive: what each of the common checks says, as in `lockstep traps`.
        losses: of the broken port's own training and of the reference's.
    """

    name: str
    port: str
    framework: str
    model: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    meant: str
    source: str
    step: int
    blamed: str
    states: Mapping[str, str]
    cause: str
    sentence: str
    certain: bool
    document: tuple[str, ...]
    yours: tuple[str, ...]
    naive: Mapping[str, str]
    losses: Losses


def absent_breaks() -> dict[str, str]:
    """The names of the breaks that cannot be made here, each with the reason."""
    absences = {name: GALLERY[name].twin.absence() for name in BREAKS}
    return {name: absence for name, absence in absences.items() if absence}


def made_breaks(
    progress: Callable[[], None] = lambda: None, names: Sequence[str] = BREAKS
) -> list[Break]:
    """Make the breaks whose packages are here; `progress` is called after each.

    A break of a port that is wrong by itself is left out: the lesson's run says what is wrong with it.
    Raises ValueError if one is not caught as its trap declares, though its right twin agrees: the lesson
    would teach something that is not so.
    """
    judge, absent, made = Judge(), absent_breaks(), []
    for name in names:
        if name not in absent:
            outcome = judge.outcome(as_used(GALLERY[name]))
            if outcome.twin_agrees:
                made.append(break_of(outcome))
            progress()
    return made


def as_used(trap: Trap) -> Trap:
    """The trap in the mode in which users run its framework: JAX's single operations are slow."""
    return replace(trap, mode=trap.twin.host.natural_mode)


def break_of(outcome: Outcome) -> Break:
    """What the lesson shows of one trap. Raises ValueError if it was not caught as declared."""
    trap, diagnosis = outcome.trap, outcome.diagnosis
    if not outcome.as_declared:
        raise ValueError(f"the trap {trap.name} is not caught as it declares: see lockstep traps")
    right, wrong = changed_lines(trap)
    change = diagnosis.changes[0] if diagnosis.changes else NO_CHANGE
    return Break(
        trap.name,
        trap.port,
        trap.twin.framework.name,
        trap.model,
        right,
        wrong,
        trap.meant,
        trap.source,
        outcome.step,
        outcome.blamed,
        outcome.states,
        diagnosis.cause,
        diagnosis.sentence,
        diagnosis.certain,
        change.document,
        change.yours,
        outcome.naive,
        Losses(tuple(losses_of_port(trap)), losses_of_reference(trap.model, trap.fixture)),
    )


def changed_lines(trap: Trap) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The whole lines in which a trap's snippet stands, and what the trap makes of them."""
    source, right, wrong = inspect.getsource(trap.module), trap.right.rstrip(), trap.wrong.rstrip()
    start = source.index(right)
    line, end = source.rfind("\n", 0, start) + 1, source.index("\n", start + len(right))
    before, after = source[line:start], source[start + len(right) : end]
    if not wrong:  # the line is left out
        before = after = ""
    return _undented(source[line:end]), _undented(before + wrong + after)


def _undented(code: str) -> tuple[str, ...]:
    return tuple(dedent(code).splitlines())


def losses_of_port(trap: Trap) -> Iterator[float]:
    """The loss before each update of the broken port, which trains by itself."""
    port, problem = wrong_port(trap), trap.problem
    with port.host.exact_settings():
        contestant = contestant_of(port, trap, UPDATES)
        for update in train(contestant, problem, UPDATES, needed=["loss"]):
            yield float(port.host.get(update.trace["loss"]))


@cache
def losses_of_reference(model: str, fixture: str) -> tuple[float, ...]:
    """The reference's losses on the problem of a trap."""
    problem = FIXTURES[fixture](MODELS[model])
    return tuple(float(trace["loss"]) for _, _, trace in trajectory(problem, UPDATES))
