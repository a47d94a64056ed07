"""The picture of docs/limits.md shows what was measured."""

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="lockstep plot needs matplotlib: pip install matplotlib")

from ports.__main__ import main
from ports.bench import limits as measured
from ports.report import limits


@pytest.fixture
def few_draws(monkeypatch):
    """One draw in place of five, and two kinds of net: it takes a tenth of the time."""
    monkeypatch.setattr(measured, "DRAWS", 1)
    two = {name: measured.KINDS[name] for name in (measured.TAPPED, "Elman, width 16")}
    monkeypatch.setattr(measured, "KINDS", two)


def test_each_panel_has_its_curves(few_draws):
    """Every kind of net, every way to tap, every formula; each named in a legend."""
    depth, taps, cancellation = limits.limits().axes
    assert names(depth) == [*measured.KINDS]
    assert names(taps) == [*limits.TAPS.values(), "error of one layer", "vacuous above"]
    assert list(limits.TAPS) == list(measured.TAPS)
    assert names(cancellation) == [*measured.CANCELLING, "vacuous above"]
    every_8th = taps.lines[1].get_ydata()
    expected = measured.relative(measured.curves(measured.TAPPED, every=8))[0]
    np.testing.assert_array_equal(every_8th, expected)


def names(axes):
    """What a panel's legend says."""
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_command_draws_it(few_draws, tmp_path, capsys):
    """`lockstep plot limits` writes one file and names it."""
    assert main(["plot", "limits", "--output", str(tmp_path), "--format", "svg"]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "limits.svg")]
    assert "Taps reset it" in (tmp_path / "limits.svg").read_text(encoding="utf-8")
