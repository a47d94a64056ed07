"""The pictures: data, decision boundaries, loss curves, drift against the noise floor.

matplotlib is imported when something is drawn. Figures are made directly, without pyplot's global
state, and look the same whatever the reader's matplotlibrc says.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ports.contract import Absent
from ports.engine.boundaries import DecisionMap
from ports.engine.free_run import Drift, Flip
from ports.messages import missing_packages
from reference.arrays import Plain
from reference.models import MODELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito's palette, which colour-blind readers can tell apart, without its yellow (too light).
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")
#: One per class or per port, so that colour is never the only difference.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY, LIGHT_GREY = "#767676", "#D4D4D4"
#: Logarithmic bins of a drift curve.
BINS = 300

LOOK = {
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#EBEBEB",
    "legend.frameon": False,
    "savefig.facecolor": "white",
}


def require_matplotlib() -> None:
    """Raise Absent, which says what to do, if matplotlib is not installed."""
    absence = missing_packages("lockstep plot", ["matplotlib"])
    if absence:
        raise Absent(absence)


def refuse_unwritable(folder: str | Path) -> None:
    """Make the folder. Raises OSError, in one sentence, if pictures cannot be written to it."""
    with _one_sentence(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")


def save(figures: "Mapping[str, Figure]", folder: str | Path, formats: Sequence[str]) -> list[Path]:
    """Write every figure in every format as folder/name.format, and return the paths.

    The same figure gives the same bytes. Raises OSError, in one sentence, if it cannot be written.
    """
    refuse_unwritable(folder)
    paths = []
    for name, figure in figures.items():
        for kind in formats:
            path = Path(folder) / f"{name}.{kind}"
            with _one_sentence(path), _look({"svg.hashsalt": name}):
                figure.savefig(path, format=kind, dpi=160, metadata=_undated(kind))
            paths.append(path)
    return paths


def _undated(kind: str) -> dict[str, None]:
    return {"Date": None} if kind == "svg" else {}


@contextmanager
def _one_sentence(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(f"cannot write pictures to {path}: {error.strerror or error}") from None


@contextmanager
def _look(more: Mapping[str, Any]) -> Iterator[None]:
    require_matplotlib()
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**LOOK, **more})
        yield


def drawn(draw: "Callable[..., Figure]") -> "Callable[..., Figure]":
    """Draw in the project's look."""

    @wraps(draw)
    def in_our_look(*args: Any) -> "Figure":
        with _look({}):
            return draw(*args)

    return in_our_look


def side_by_side(count: int, width: float, height: float) -> "tuple[Figure, list[Axes]]":
    """A figure of that many panels in a row, each that wide and high in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(count * width, height), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


@drawn
def data(X: Plain, y: Plain) -> "Figure":
    """The spiral, in the note's colours."""
    figure, (axes,) = side_by_side(1, 6.2, 5.2)
    _scatter(axes, X, y)
    axes.set_title(f"Spiral data: {len(y)} points, {y.max() + 1} classes")
    axes.legend(title="class", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _scatter(axes: "Axes", X: Plain, y: Plain) -> None:
    """The note's scatter (Spectral, s=40), each class with a marker of its own."""
    for k in range(y.max() + 1):
        axes.scatter(
            X[y == k, 0],
            X[y == k, 1],
            c=np.full(np.sum(y == k), k),
            vmin=0,
            vmax=y.max(),
            s=40,
            cmap="Spectral",
            marker=MARKERS[k % len(MARKERS)],
            edgecolors="black",
            linewidths=0.6,
            label=str(k),
        )
    axes.set_aspect("equal")
    axes.set_xlabel("x₁")
    axes.set_ylabel("x₂")


@drawn
def boundaries(X: Plain, y: Plain, maps: Sequence[DecisionMap]) -> "Figure":
    """The class that each trained model predicts, over the plane."""
    figure, panels = side_by_side(len(maps), 5.2, 5.2)
    for axes, found in zip(panels, maps, strict=True):
        _answers(axes, found)
        _scatter(axes, X, y)
        axes.set_title(f"{found.title}: training accuracy {found.accuracy:.2f}")
    return figure


def _answers(axes: "Axes", found: DecisionMap) -> None:
    """Fill the region of each class, where its score is the highest, and draw its edge."""
    import matplotlib

    classes = found.scores.shape[-1]
    for k in range(classes):
        lead = found.scores[..., k] - np.delete(found.scores, k, axis=-1).max(axis=-1)
        colour = matplotlib.colormaps["Spectral"](k / (classes - 1))
        if lead.max() > 0:
            axes.contourf(found.xx, found.yy, lead, levels=[0, np.inf], colors=[colour], alpha=0.55)
        if lead.min() < 0 < lead.max():
            axes.contour(found.xx, found.yy, lead, levels=[0], colors="black", linewidths=0.8)


@drawn
def losses(drifts: Mapping[str, Sequence[Drift]]) -> "Figure":
    """The loss of every port's own run. Where curves coincide, their dashes interleave."""
    figure, panels = side_by_side(len(drifts), 5.6, 4.6)
    for axes, (model, runs) in zip(panels, drifts.items(), strict=True):
        steps = np.arange(len(runs[0].losses))
        axes.plot(steps, runs[0].floor.losses, color=LIGHT_GREY, linewidth=7)
        for i, run in enumerate(runs):
            colour, dashes = COLOURS[i % len(COLOURS)], _interleaved(i, len(runs))
            axes.plot(
                steps, run.losses, color=colour, linestyle=dashes, linewidth=2.5, label=run.cell.port
            )
        axes.set_xscale("symlog", linthresh=1, linscale=0.3)  # gives step 0 a place
        axes.set_yscale("log")
        for formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            formatter("{x:.2g}")
        axes.grid(which="both")
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.set_title(f"{MODELS[model].title}, {runs[0].cell.dtype}")
    _legend_of_losses(panels[-1])
    return figure


def _interleaved(i: int, count: int, dash: float = 3.0) -> Any:
    """The i-th of `count` dash patterns that leave no gap together."""
    return (-i * dash, (dash, (count - 1) * dash)) if count > 1 else "solid"


def _legend_of_losses(axes: "Axes") -> None:
    """A legend with solid lines, because its samples are too short for the dashes."""
    from matplotlib.lines import Line2D

    entries = [Line2D([], [], color=LIGHT_GREY, linewidth=7, label="reference")]
    for line in axes.lines[1:]:
        entries.append(Line2D([], [], color=line.get_color(), linewidth=2.5, label=line.get_label()))
    axes.legend(handles=entries, loc="upper left", bbox_to_anchor=(1, 1))


@drawn
def drift(runs: Sequence[Drift]) -> "Figure":
    """Each port's distance from the reference against the noise floor; first ReLU flips are stars."""
    figure, (axes,) = side_by_side(1, 9.4, 5.6)
    steps = np.arange(1, len(runs[0].distances) + 1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(1, max(len(steps), 2))
    axes.grid()
    _draw_floor(axes, runs, steps)
    for i, run in enumerate(runs):
        _draw_port(axes, run, steps, COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], i / len(runs))
    flips = [(run.first_flip, run.cell.port) for run in runs if run.first_flip]
    if flips:
        _draw_first_flip(axes, *min(flips, key=lambda flip: flip[0].step))
    axes.set_xlabel("updates made")
    axes.set_ylabel("distance from the reference\n(largest difference / largest parameter of the layer)")
    axes.set_title(
        f"{MODELS[runs[0].cell.model].title}, {runs[0].cell.dtype}: "
        "drift of free runs against the noise floor"
    )
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _draw_floor(axes: "Axes", runs: Sequence[Drift], steps: Plain) -> None:
    """The noise floor, shaded, and what is allowed, dashed as far as it tells a bug from noise."""
    floor = runs[0].floor.distances
    widest = max(runs, key=lambda run: float(run.headroom[-1]))
    allowed, bottom = widest.allowed, floor.min() / 30
    at = np.union1d(_bins(steps, floor), len(steps) - 1)
    axes.fill_between(steps[at], bottom, floor[at], color=LIGHT_GREY, linewidth=0, label="noise floor")
    axes.plot(steps[at], allowed[at], color=GREY, linestyle=":", linewidth=1.2)
    told = at[allowed[at] < 1]
    label = f"allowed{_until(widest.horizon, len(steps))}"
    axes.plot(steps[told], allowed[told], color=GREY, linestyle="--", linewidth=1.8, label=label)
    room_for_words = (allowed.max() / bottom) ** 0.2 if any(run.first_flip for run in runs) else 10
    axes.set_ylim(bottom, room_for_words * allowed.max())


def _until(horizon: int, steps: int) -> str:
    """For the legend: from where on noise hides every bug."""
    if horizon == steps:
        return ""
    return f"\n(noise hides all after {horizon})" if horizon else "\n(noise hides all)"


def _draw_port(axes: "Axes", run: Drift, steps: Plain, colour: str, marker: str, phase: float) -> None:
    """One curve, with a few markers at places of its own, and a star at its first flip."""
    at = _bins(steps, run.distances)
    curve = np.where(run.distances > 0, run.distances, np.nan)[at]
    every = max(len(at) // 8, 1)
    axes.plot(
        steps[at],
        curve,
        color=colour,
        linewidth=1.4,
        marker=marker,
        markersize=5,
        markevery=(int(phase * every), every),
        label=_verdict(run),
    )
    flip = run.first_flip
    if flip and 0 < flip.step <= len(steps):
        there = run.distances[flip.step - 1]
        (star,) = axes.plot(flip.step, there, "*", color=colour, markersize=15, zorder=4)
        star.set(markeredgecolor="black", markeredgewidth=0.7)


def _verdict(run: Drift) -> str:
    """A port's name for the legend, with anything unusual about its run."""
    if run.error or run.first_excess is not None:
        return f"{run.cell.port}: DISAGREES"
    if not run.agrees:
        return f"{run.cell.port}: not told from noise"
    return run.cell.port if run.distances.any() else f"{run.cell.port} (no drift: 0)"


def _draw_first_flip(axes: "Axes", flip: Flip, port: str) -> None:
    """A line at the first flip of any port, and a note on it in the free corner above the curves."""
    left, right = np.log10(axes.get_xlim())
    on_the_left = np.log10(max(flip.step, 1)) > (left + right) / 2
    axes.axvline(max(flip.step, 1), color=GREY, linewidth=1, linestyle=(0, (1, 3)))
    axes.annotate(
        f"★ first ReLU flip: {port}, step {flip.step}\nunit {flip.unit}, example {flip.example}: "
        f"pre-activation\n{flip.reference:.1e} in the reference, {flip.port:.1e} here",
        (max(flip.step, 1), 0.985),
        xycoords=("data", "axes fraction"),
        xytext=(-8 if on_the_left else 8, 0),
        textcoords="offset points",
        ha="right" if on_the_left else "left",
        va="top",
        fontsize=9,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
    )


def _bins(steps: Plain, curve: Plain) -> Plain:
    """Where a long curve is drawn on a logarithmic axis: at its largest value in each bin."""
    edges = np.unique(np.geomspace(1, len(steps) + 1, BINS + 1).astype(int)) - 1
    finite = np.where(np.isfinite(curve), curve, -np.inf)
    return np.array([a + int(np.argmax(finite[a:b])) for a, b in pairwise(edges)])
