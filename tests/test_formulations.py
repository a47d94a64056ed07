"""No right program is called wrong, however its lines are written; and one wrong line is always found.

`formulations.py` has the ways in which people write each line. Programs drawn from them run as ports, in
NumPy, PyTorch and JAX, at several steps of several problems, in float64 and float32. The ordinary suite
draws a few; `python -m pytest tests/test_formulations.py --formulations 500` draws 500. The last line of
the output states how many different programs there were.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from formulations import STYLES, WRONG, Program, drawn

from ports.engine.lockstep import prepare, reference_at, run_lockstep
from ports.engine.results import Cell, CellResult
from ports.registry import FRAMEWORKS
from reference.agreement.judge import LOCAL
from reference.models import MODELS, OWN_MODELS, Model, Problem
from reference.runs import draw, kink
from reference.trace import record

DTYPES = ("float64", "float32")
#: Steps of each problem's run at which a program is judged.
STEPS = (0, 1, 20)
#: How many programs run in lockstep with each other.
TOGETHER = 12
#: How many of ten programs are in each framework. JAX compiles each, which takes its time.
OF_TEN = {"numpy": 5, "torch": 4, "jax": 1}
STYLES_OF = {name: [s for s in STYLES if s.framework == name] for name in OF_TEN}


# The problems


def note_at(model: Model, step: int, rate: float) -> Problem:
    """The note's problem at a step of its run, with another step size from there on."""
    start = reference_at(draw(np.random.RandomState(0)).problem(model), step)
    return start.changed(step_size=rate)


def small(model: Model, seed: int, reg: float = 1e-3, **sizes: int) -> Problem:
    """A small random problem of any sizes."""
    rng, letters = np.random.default_rng(seed), {"N": 7, "D": 2, "H": 4, "K": 3, "1": 1} | sizes
    params = {
        name: rng.standard_normal([letters[letter] for letter in parameter.shape])
        for name, parameter in model.parameters.items()
    }
    X, y = (
        rng.standard_normal((letters["N"], letters["D"])),
        rng.integers(letters["K"], size=letters["N"]),
    )
    return model.problem(X, y, params, reg, step_size=0.3)


def with_scores(problem: Problem, largest: float) -> Problem:
    """The same problem with its last layer scaled, so that the largest score has that size."""
    scale = largest / np.abs(record(problem)["scores"]).max()
    last = {name: scale * problem.params[name] for name in problem.model.layers[-1]}
    return problem.starting_from({**problem.params, **last})


@cache
def problems(model: Model, compiled: bool) -> list[Problem]:
    """What programs are tried on. A compiler takes its time for each shape, so it is given one."""
    tied = kink(model).changed(step_size=0.3)
    if compiled:
        return [tied]
    return [
        tied,
        note_at(model, 100, rate=1.0),
        small(model, 0, reg=0.3),
        small(model, 1, N=1),
        small(model, 2, N=2, K=2, H=1),
        with_scores(small(model, 3, N=3), 15.0),  # differences of large numbers lose most digits
    ]


@cache
def tell_tale(model: Model) -> list[Problem]:
    """Problems on which each wrong line shows, in either dtype."""
    return [note_at(model, 100, rate=0.3), small(model, 0, reg=0.3)]


# Running programs


def judged(
    programs: Sequence[Program], problem: Problem, dtype: str, steps: Sequence[int]
) -> list[CellResult]:
    """Run programs as ports in lockstep, a few at a time."""
    results = []
    for start in range(0, len(programs), TOGETHER):
        contestants = [
            prepare(cell(one, str(i), dtype), one.port(str(i)), problem, steps)
            for i, one in enumerate(programs[start : start + TOGETHER])
        ]
        results += run_lockstep(problem, contestants, max(steps) + 1)
    return results


def cell(program: Program, name: str, dtype: str) -> Cell:
    """Where a program runs."""
    return Cell(program.model.name, name, program.style.mode, "cpu", dtype)


def failed(result: CellResult) -> set[str]:
    """The quantities that the local certificate finds wrong."""
    return {q for (q, by), verdict in result.verdicts.items() if by == LOCAL and not verdict.agrees}


def told(program: Program, result: CellResult) -> str:
    """What is found wrong with a program, and the program."""
    worst = [str(verdict.worst) for verdict in result.verdicts.values() if not verdict.agrees]
    return "\n".join([str(program.style), result.error, *worst, program.source])


# The claim


@pytest.mark.parametrize("framework", OF_TEN)
@pytest.mark.parametrize("model", sorted(OWN_MODELS))
def test_right_programs_are_certified(model, framework, pytestconfig, record_property):
    """Each program agrees at every step of every problem, in both dtypes; compiled, in turn in one."""
    if absence := FRAMEWORKS[framework].absence():
        pytest.skip(absence)
    share = OF_TEN[framework] / 10 / len(OWN_MODELS)
    count = int(np.ceil(share * pytestconfig.getoption("formulations")))
    programs = list(drawn(MODELS[model], STYLES_OF[framework], count, seed=0))
    compiled = framework == "jax"
    for number, dtype in enumerate(DTYPES):
        chosen = programs[number::2] if compiled else programs
        for problem in problems(MODELS[model], compiled):
            for program, result in zip(chosen, judged(chosen, problem, dtype, STEPS), strict=True):
                assert result.agrees, told(program, result)
                assert result.steps == len(STEPS)
    record_property("right programs", len({program.source for program in programs}))


# The negative control


def cases() -> list[Any]:
    """Each wrong line with each model that has it."""
    nets = [name for name in sorted(OWN_MODELS) if MODELS[name].relus]
    return [
        pytest.param(model, wrong, id=f"{model}-{wrong.replace(' ', '_')}")
        for wrong, line in WRONG.items()
        for model in (nets if line.slot in ("relu", "dhidden") else sorted(OWN_MODELS))
    ]


@pytest.mark.parametrize(("model", "wrong"), cases())
def test_wrong_line_is_found(model, wrong, pytestconfig):
    """Of the same programs with one line replaced by a wrong one, each fails where the mistake is."""
    count = max(1, pytestconfig.getoption("formulations") // 50)
    programs = list(drawn(MODELS[model], STYLES_OF["numpy"], count, 0, WRONG[wrong]))
    for problem in tell_tale(MODELS[model]):
        for dtype in DTYPES:
            for program, result in zip(programs, judged(programs, problem, dtype, [0]), strict=True):
                assert program.blames & failed(result), told(program, result)
