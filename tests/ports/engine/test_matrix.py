"""How a plan is cut into parts, and that the parts give the same results as the whole."""

from dataclasses import replace

import numpy as np
import pytest

from ports.commands.arguments import select
from ports.engine import matrix
from ports.engine.matrix import parts_of, ranges, run_cells, run_matrix, steps_of
from ports.engine.results import Cell
from ports.engine.selection import Planned, choose, plan
from ports.registry import PORTS
from reference.agreement.arithmetic import ARITHMETICS, FLOAT32
from reference.runs import draw

FEW = 20


def planned(model, port, steps=None, dtype="float64"):
    """One cell of a plan."""
    return Planned(Cell(model, port.name, port.host.natural_mode, "cpu", dtype), port, steps)


@pytest.fixture
def cells():
    """A plan like the default one: all steps in one dtype, a few in the other."""
    numpy = PORTS["numpy"]
    other = replace(numpy, name="other", framework=replace(numpy.framework, name="other"))
    return [
        planned(model, port, *rest)
        for model in ("spiral", "softmax", "two_layer")
        for port in (numpy, other)
        for rest in ((None, "float64"), (FEW, "float32"))
    ]


def test_alone_a_model_is_one_part(cells):
    """One process shares the reference's work among all cells of a model; the longest run goes first."""
    parts = parts_of(cells, 1)
    assert [part.cells[0].cell.model for part in parts] == ["two_layer", "softmax", "spiral"]
    assert [len(part.cells) for part in parts] == [4, 4, 4]
    assert [part.steps for part in parts[:2]] == [range(10_000), range(200)]


@pytest.mark.parametrize("jobs", [2, 3, 64])
def test_parts_have_every_step_once_and_in_order(cells, jobs):
    """Every cell has its planned steps; the parts of a run keep their order, which `follow` needs."""
    met = {}
    for part in parts_of(cells, jobs):
        for p in part.cells:
            if p.cell.model != "spiral":
                met.setdefault(p.cell, []).extend(sorted(steps_of(p, part.steps)))
    for p in cells:
        if p.cell.model != "spiral":
            steps = met[p.cell]
            assert steps == sorted(set(steps))
            assert len(steps) == (p.steps or {"softmax": 200, "two_layer": 10_000}[p.cell.model])


def test_cells_of_a_few_steps_are_spread_by_framework(cells):
    """They mostly compile, so the cells of each framework are one part, which is not cut."""
    few = [
        part
        for part in parts_of(cells, 2)
        if part.cells[0].steps and part.cells[0].cell.model != "spiral"
    ]
    assert len(few) == 4
    assert all(len({p.port.framework.name for p in part.cells}) == 1 for part in few)


@pytest.mark.parametrize(
    ("iterations", "jobs", "expected"),
    [
        (10_000, 2, [range(5000), range(5000, 10_000)]),
        (200, 2, [range(200)]),
        (1600, 64, [range(533), range(533, 1066), range(1066, 1600)]),
        (1, 4, [range(1)]),
    ],
)
def test_ranges(iterations, jobs, expected):
    """The ranges have equal lengths, and none is too short to be worth a process."""
    assert ranges(iterations, jobs) == expected


def test_processes_come_to_the_same_as_one(monkeypatch):
    """A run that is cut into parts, one per process, has the results of a run in one process."""
    monkeypatch.setattr(matrix, "STEPS_A_PART", 70)
    cells, _ = plan(select(["softmax"], ["numpy"], dtypes=["float64"]))
    (whole,), _ = run_matrix(cells, points=5, seed=0)
    counted = []
    (joined,), facts = run_matrix(cells, points=5, seed=0, progress=counted.append, jobs=2)
    assert repr(joined) == repr(whole)
    assert joined.steps == 200
    assert sum(counted) == 200
    assert "numpy" in facts


def test_cells_run_within_the_steps_asked_for():
    """A cell runs those of its planned steps that lie in the range."""
    (result,) = run_cells(
        [planned("softmax", PORTS["numpy"], 3)], draw(np.random.RandomState(0), 5), range(50, 150)
    )
    assert result.steps == 1
    assert {v.worst_step for v in result.verdicts.values()} == {100}


def test_products_of_less_precision_are_certified_as_such():
    """In 'medium', PyTorch may use bfloat16 products on the CPU: the bounds allow for it."""
    torch = pytest.importorskip("torch")
    ports = [PORTS["torch_manual"]]
    chosen = choose(["two_layer"], ports, ["eager"], ["cpu"], ["float32"], 1, precision="medium")
    planned, _ = plan(chosen)
    (result,), provenance = run_matrix(planned, 5, seed=0)
    assert result.agrees
    assert provenance["torch float32 matmul"] == "medium"
    assert torch.get_float32_matmul_precision() == "highest"
    assert PORTS["torch_manual"].host.arithmetic("cpu", "float32") == FLOAT32


def test_precision_is_that_of_float32_alone():
    """The other dtypes promise the same in any precision."""
    for arithmetic in ARITHMETICS.values():
        changed = arithmetic.in_precision("medium", "cpu") != arithmetic
        assert changed == (arithmetic.name == "float32")
