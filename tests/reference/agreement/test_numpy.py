"""Every function of NumPy that has a rule: its bound is sound, on arrays alone, stacked and in tiles."""

import re
from pathlib import Path

import numpy as np
import pytest
from formats import STORED_BFLOAT16
from numpy_operations import CALLS, USES
from operations import bounded, numbers, share, uncertain
from simulated import KINDS, machine

from reference.agreement.arithmetic import FLOAT32, FLOAT64
from reference.agreement.rounded import Rounded, known

#: An arithmetic that computes, one on a GPU, and one that stores in 16 bits.
ARITHMETICS = [FLOAT32, FLOAT32.on_accelerator(), STORED_BFLOAT16]
SHAPE = (3, 4)
#: Of the draws, at least a fourth must have a bound: else little is tested.
LEAST_BOUNDED = 1 / 4


def test_every_known_function_is_used_here():
    """A function without a use below has no test."""
    assert sorted(USES) == known()


def drawn(rng, m, arithmetic):
    """Two operands, both as the machine has them and as bounds; half of the time of moderate size."""
    spread = 1 if rng.random() < 0.5 else None
    return [uncertain(rng, m, numbers(rng, SHAPE, arithmetic, spread)) for _ in "xy"]


@pytest.mark.parametrize("call", CALLS)
def test_machines_stay_in_the_bound(call):
    """Every conforming machine, from operands off by as much as they may be, ends within the bound."""
    f, rng = CALLS[call], np.random.default_rng(sum(map(ord, call)))
    done = 0
    for arithmetic in ARITHMETICS:
        for kind in KINDS:
            m = machine(kind, arithmetic, rng)
            (x, bound_x), (y, bound_y) = drawn(rng, m, arithmetic)
            bound = bounded(f, bound_x, bound_y)
            if bound is None:
                continue
            with np.errstate(all="ignore"):
                got = f(x, y)
            assert share(getattr(got, "value", got), bound) <= 1, (kind, x.value, y.value, got, bound)
            done += 1
    assert done >= LEAST_BOUNDED * len(ARITHMETICS) * len(KINDS)


@pytest.mark.parametrize("call", CALLS)
def test_values_are_numpys(call):
    """On plain arrays the same code gives the same values, and shapes, as on bounds."""
    f, rng = CALLS[call], np.random.default_rng(0)
    x, y = (rng.uniform(-1, 1, SHAPE) for _ in "xy")
    plain, result = f(x, y), f(*(Rounded.exact(z, FLOAT64) for z in (x, y)))
    assert result.shape == np.shape(plain)
    assert result.errors().shape == np.shape(plain)
    assert result.value == pytest.approx(plain, rel=1e-13, abs=1e-14)


def stack(x, error, stacked):
    """A stack of (2, 3) ports and steps, of 3 steps, or one array for all, off by an error or exact."""
    place = (0, 0)[: 2 - stacked]
    return Rounded(x[place], error[place] if error is not None else None, FLOAT32, stacked=stacked)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("stacks", [(2, 2), (1, 1), (1, 2), (2, 1), (2, 0), (0, 1)], ids=str)
def test_stack_is_treated_as_each_of_its_members_is(call, stacks):
    """One call on stacks, of different depths too, gives what the calls on their members give."""
    f, rng = CALLS[call], np.random.default_rng(0)
    values = rng.uniform(-1, 1, (2, 2, 3, *SHAPE))
    errors = [rng.uniform(0, 1e-3, values.shape[1:]), None]
    x, y = (stack(*z) for z in zip(values, errors, stacks, strict=True))
    members = {
        (port, step): f(*(z.at((port, step)[2 - z.stacked :] if z.stacked else ()) for z in (x, y)))
        for port in range(2)
        for step in range(3)
    }
    result = f(x, y)
    for place, alone in members.items():
        member = result.at(place)
        assert member.shape == alone.shape
        assert member.value == pytest.approx(alone.value, rel=1e-12, abs=1e-14)
        assert member.errors() == pytest.approx(alone.errors(), rel=1e-9, abs=1e-18)


def test_page_lists_the_functions_that_have_a_rule():
    """docs/rules.md has each function in the first column of a table, and no other."""
    page = (Path(__file__).parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")
    tables, _ = page.split("## Where the promises come from")
    rows = re.findall(r"^\| (`.*?`) \| ", tables, flags=re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`([\w.]+)`", row)]
    assert sorted(listed) == known()
