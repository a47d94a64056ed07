"""The picture of docs/limits.md: where bounds that only propagate stop being useful."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ports.bench import limits as measured
from ports.report.plots import COLOURS, GREY, MARKERS, drawn, side_by_side
from reference.arrays import Plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LAYERS = np.arange(1, measured.DEPTH + 1)
#: Where the axes of the first two panels end: beyond it no digit of anything is left.
MOST = 1e12
TAPS = {1: "tap at every layer", 8: "tap at every 8th layer", measured.DEPTH: "tap at the end alone"}


@drawn
def limits() -> "Figure":
    """Overestimates by depth, how taps reset the bound, and cancellation."""
    figure, (depth, taps, cancellation) = side_by_side(3, 5.2, 4.8)
    _overestimates(depth)
    _taps(taps)
    _cancellation(cancellation)
    return figure


def _overestimates(axes: "Axes") -> None:
    for i, name in enumerate(measured.KINDS):
        _line(axes, LAYERS, np.median(measured.overestimates(measured.curves(name)), axis=0), i, name)
    axes.set_ylim(1, MOST)
    axes.set_xlim(0, 25)
    _labels(
        axes, "Bound / error, with no tap", "layers since the last tap", "largest bound / largest error"
    )


def _taps(axes: "Axes") -> None:
    for i, every in enumerate(measured.TAPS):
        found = measured.curves(measured.TAPPED, every)
        _line(axes, LAYERS, np.median(measured.relative(found), axis=0), i, TAPS[every])
    each = measured.curves(measured.TAPPED, every=1)
    error = np.median([one.error / one.value for one in each], axis=0)
    axes.plot(LAYERS, error, color=GREY, linestyle=":", label="error of one layer")
    _vacuous_above(axes)
    axes.set_ylim(1e-8, MOST)
    _labels(axes, f"Taps reset it ({measured.TAPPED})", "layer", "largest bound / largest value")


def _cancellation(axes: "Axes") -> None:
    for i, name in enumerate(measured.CANCELLING):
        draws = [
            [measured.cancelled(name, m, seed)[0] for m in measured.MEANS]
            for seed in range(measured.DRAWS)
        ]
        _line(axes, measured.MEANS, np.median(draws, axis=0), i, name)
    axes.set_xscale("log")
    _vacuous_above(axes)
    _labels(axes, "Cancellation", "mean / spread of the numbers", "bound / value")


def _line(axes: "Axes", x: Sequence[float] | Plain, y: Plain, i: int, label: str) -> None:
    axes.plot(
        x,
        y,
        color=COLOURS[i],
        marker=MARKERS[i],
        markersize=5,
        markevery=max(len(x) // 16, 1),
        label=label,
    )


def _vacuous_above(axes: "Axes") -> None:
    axes.axhline(1, color=GREY, linestyle="--", label="vacuous above")


def _labels(axes: "Axes", title: str, x: str, y: str) -> None:
    axes.set_yscale("log")
    axes.grid()
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.legend(fontsize=8)
