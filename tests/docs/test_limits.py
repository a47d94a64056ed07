"""docs/limits.md: its tables are computed again, and each figure is held to a factor of 2."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ports.bench import limits
from ports.bench.limits import CANCELLING, DRAWS, KINDS, MEANS, SHOWN, TAPPED, TAPS
from ports.bench.measuring import QUICK, SKIPPED
from reference.agreement.arithmetic import FLOAT32, FLOAT64, Unbounded
from reference.agreement.bounds import local
from reference.agreement.rounded import Rounded
from reference.own import own_model

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text(encoding="utf-8")
curves = cache(limits.curves)
#: BLAS libraries sum in different orders, and an error is a single draw.
FACTOR = 2


def table(head):
    """The cells of the rows under a head, by their first cell."""
    _, _, below = PAGE.partition(f"{head} |\n")
    assert below, f"there is no table with the head {head}"
    rows = [re.split(r" \| ", line.strip("| ")) for line in below.partition("\n\n")[0].splitlines()[1:]]
    return {name: cells for name, *cells in rows}


def agrees(cell, figure):
    """Whether a cell says the figure, to the factor."""
    if cell == "none" or np.isnan(figure):
        return cell == "none" and bool(np.isnan(figure))
    said = float(cell)
    return figure == said if said == 0 else 1 / FACTOR <= figure / said <= FACTOR


def same(cells, figures):
    """Whether all cells of a row say their figures."""
    return all(agrees(cell, figure) for cell, figure in zip(cells, figures, strict=True))


def test_another_figure_is_noticed():
    """Negative control: three times as much, something for none, and none for something."""
    assert agrees("1.0e4", 1.9e4)
    assert not agrees("1.0e4", 3e4)
    assert not agrees("1.0e4", 3e3)
    assert agrees("none", np.nan)
    assert not agrees("none", 1.0)
    assert not agrees("1.0", np.nan)
    assert not agrees("0", 0.1)


@pytest.mark.parametrize("name", KINDS)
def test_depth(name):
    """Bound over error, and the layers from which bounds are vacuous."""
    found = curves(name)
    figures = np.median(limits.overestimates(found), axis=0)[np.array(SHOWN) - 1]
    assert same(table("| net | 1 layer | 2 | 4 | 8 | 16 | 32 | 64")[name], figures)
    in_float64 = curves(name, arithmetic=FLOAT64)
    said = [int(cell) for cell in table("| net | float32 | float64")[name]]
    assert said == pytest.approx([limits.first_vacuous(c) for c in (found, in_float64)], abs=1)


def test_both_tables_have_every_net():
    """No row is left out, and none is of a net that is not measured."""
    for head in ("| net | 1 layer | 2 | 4 | 8 | 16 | 32 | 64", "| net | float32 | float64"):
        assert list(table(head)) == list(KINDS)
    assert SHOWN == (1, 2, 4, 8, 16, 32, 64)


def test_taps():
    """Fewer taps, larger bounds."""
    rows = table("| taps | largest bound / value | share of vacuous numbers, worst layer")
    for every, cells in zip(TAPS, rows.values(), strict=True):
        found = curves(TAPPED, every)
        worst = np.median(np.nanmax(limits.relative(found), axis=1))
        assert same(cells, [worst, np.median([one.vacuous.max() for one in found])])


@pytest.mark.parametrize("name", CANCELLING)
@pytest.mark.parametrize(("title", "which"), [("The bound over the value", 0), ("over the error", 1)])
def test_cancellation(name, title, which):
    """Both tables of the three formulas."""
    section = PAGE.partition(f"{title}:")[2]
    (row,) = re.findall(
        rf"^\| {re.escape(name)} \| (.*) \|$", section.partition("\n\n## ")[0][:900], re.M
    )[:1]
    draws = [[limits.cancelled(name, mean, seed)[which] for mean in MEANS] for seed in range(DRAWS)]
    assert same(row.split(" | "), np.median(draws, axis=0))


def test_a_variance_of_one_pass_is_refused_below_a_root():
    """As the page says; that of two passes is not."""
    x = Rounded.exact(np.float32(1000) + np.arange(100, dtype=np.float32) / 30, FLOAT32)
    with pytest.raises(Unbounded, match="a divisor may be 0 in float32"):
        1 / np.sqrt(limits.in_one_pass(x) + 1e-5)
    assert (1 / np.sqrt(limits.in_two_passes(x) + 1e-5)).errors() < 0.1


def test_every_error_is_within_its_bound():
    """The curves are of sound bounds: no error of any layer, with any taps, is larger."""
    for every in TAPS:
        found = limits.overestimates(curves(TAPPED, every))
        assert np.nanmin(found) > 1


@pytest.mark.parametrize("every", [1, 2])
def test_the_curves_are_those_of_the_local_certificate(every):
    """A reference with these taps has the same bounds, from what a port in float32 recorded."""
    net = limits.drawn(KINDS[TAPPED], seed=0, depth=4)
    batch = {f"W{i}": W for i, W in enumerate(net.weights, start=1)}
    batch |= {f"b{i}": b for i, b in enumerate(net.added, start=1)}

    def step(params, batch, tap):
        h = params["h"]
        for i in range(1, 5):
            h = np.tanh(h @ batch[f"W{i}"] + batch[f"b{i}"])
            h = tap(f"h{i}", h) if i % every == 0 else h
        return {"h": tap("h_next", h)}

    model = own_model("net", "", lambda rng: {"h": net.h}, lambda rng: batch, step)
    problem = model.start(np.random.RandomState(0))
    trace = {f"h{i}": h for i, h in enumerate(net.layers(), start=1)}
    bounds = local(problem, trace, FLOAT32)
    tapped = range(every, 5, every)
    expected = limits.curve(net, every).bound[[i - 1 for i in tapped]]
    assert [bounds[f"h{i}"].errors().max() for i in tapped] == pytest.approx(expected, rel=1e-9)


def test_the_bench_shows_a_row_for_each_figure(monkeypatch):
    """Where there is no bound, the row says so."""
    monkeypatch.setattr(limits, "DRAWS", 1)
    monkeypatch.setattr(
        limits, "KINDS", {name: KINDS[name] for name in ("tanh, width 32", "ReLU, width 64")}
    )
    rows = list(limits.limits(QUICK))
    assert len(rows) == 2 * len(SHOWN) + len(TAPS) + len(CANCELLING) * len(MEANS)
    (none,) = [row for row in rows if row.verdict == SKIPPED]
    assert none.what.startswith("ReLU, width 64, 64 layers")
    assert "leaves float32's range" in none.skipped
