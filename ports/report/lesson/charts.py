"""Line charts as inline SVG, drawn from numbers.

A chart carries no colour of its own. It is drawn in the page's text colour, and the page's style gives
a colour to the classes `series-1`, `series-2` and so on. So it suits a light page and a dark one. Lines
are told apart by their dashes and by a label at their right end as well. The words are text, which a
reader can search, enlarge and copy.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from math import ceil, floor, isfinite, log10
from unicodedata import east_asian_width

#: Space around the plot, in the chart's units, of which a page shows one as one pixel at most.
TOP, BOTTOM, LEFT, GAP = 12, 46, 62, 8
#: Letters are about this wide, and lines of words this high, at the chart's font size.
FONT, LETTER, LINE = 12, 6.8, 15
#: How many ticks an axis has at most.
TICKS = 6
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        label: its name, which stands at its right end.
        x, y: as many numbers each. Where one cannot be shown, as NaN, or 0 on a logarithmic axis, the
            line has a gap. A number that stands alone is a dot.
        dashes: its dash pattern as in SVG's `stroke-dasharray`; empty for a line without gaps.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    dashes: str = ""


@dataclass(frozen=True)
class Axis:
    """An axis: the numbers at its two ends, and where these ends are in the drawing."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def shows(self, number: float) -> bool:
        """Whether a number has a place on the axis."""
        return isfinite(number) and (number > 0 or not self.log)

    def place(self, number: float) -> float:
        """Where a number stands."""
        scale: Callable[[float], float] = log10 if self.log else float
        share = (scale(number) - scale(self.low)) / (scale(self.high) - scale(self.low))
        return self.start + share * (self.end - self.start)

    def as_attributes(self) -> str:
        """The axis for a script that marks a number on it."""
        ends = f'data-low="{self.low:g}" data-high="{self.high:g}"'
        return f'{ends} data-start="{self.start:g}" data-end="{self.end:g}" data-log="{int(self.log)}"'

    def ticks(self) -> list[float]:
        """Round numbers along the axis."""
        return _round_powers(self.low, self.high) if self.log else _round_steps(self.low, self.high)


def chart(
    series: Sequence[Series],
    *,
    title: str,
    description: str,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    width: int = 640,
    height: int = 300,
) -> str:
    """Draw lines as an `<svg>` element. Screen readers get the title and the description.

    Raises ValueError if a series has not as many x as y, or an axis has no number to show.
    """
    for one in series:
        if len(one.x) != len(one.y):
            raise ValueError(f"the line {one.label!r} has {len(one.x)} x and {len(one.y)} y")
    right = width - 2 * GAP - max((_width(one.label) for one in series), default=0)
    x = _axis("x", [n for one in series for n in one.x], LEFT, right, log_x)
    y = _axis("y", [n for one in series for n in one.y], height - BOTTOM, TOP, log_y)
    parts = [
        f'<svg class="chart" role="img" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' font-size="{FONT}" fill="currentColor" aria-label="{escape(title)}" {x.as_attributes()}>',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(description)}</desc>",
        *_frame(x, y, x_label, y_label, height),
        *_lines(series, x, y),
        "</svg>",
    ]
    return "\n".join(parts)


def _axis(name: str, numbers: Sequence[float], start: float, end: float, log: bool) -> Axis:
    """An axis that is long enough for all of the numbers that it can show."""
    shown = [float(n) for n in numbers if isfinite(n) and (n > 0 or not log)]
    if not shown:
        raise ValueError(f"there is no number to show on the {name} axis")
    low, high = min(shown), max(shown)
    if low == high:
        low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
    return Axis(low, high, start, end, log)


def _round_steps(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between two numbers."""
    power = 10.0 ** floor(log10((high - low) / TICKS))
    step = next(k * power for k in (1, 2, 5, 10) if (high - low) / (k * power) <= TICKS)
    return [i * step for i in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def _round_powers(low: float, high: float) -> list[float]:
    """Powers of ten between two positive numbers; round numbers if there are less than two."""
    first, last = ceil(log10(low) - 1e-9), floor(log10(high) + 1e-9)
    if last <= first:
        return [n for n in _round_steps(low, high) if n > 0]
    return [10.0**e for e in range(first, last + 1, ceil((last - first + 1) / TICKS))]


def _number(number: float, log: bool) -> str:
    """A tick's number; far powers of ten as 10⁻⁷."""
    exponent = log10(number) if log else 0.0
    if exponent == round(exponent) and not -3 <= exponent <= 4:
        return "10" + str(round(exponent)).translate(SUPERSCRIPTS)
    return f"{number:g}".replace("-", "\N{MINUS SIGN}")


def _frame(x: Axis, y: Axis, x_label: str, y_label: str, height: int) -> Iterator[str]:
    """The ticks with their grid lines, and the names of the axes."""
    grid = '<path class="chart-grid" fill="none" stroke="currentColor" stroke-opacity="0.2" d="{}"/>'
    for n in x.ticks():
        yield grid.format(f"M{x.place(n):.1f} {y.end}V{y.start}")
        yield _text(x.place(n), y.start + LINE, _number(n, x.log), "middle")
    for n in y.ticks():
        yield grid.format(f"M{x.start} {y.place(n):.1f}H{x.end:.1f}")
        yield _text(x.start - GAP, y.place(n) + FONT / 3, _number(n, y.log), "end")
    yield _text((x.start + x.end) / 2, height - GAP, x_label, "middle")
    middle = (y.start + y.end) / 2
    yield _text(FONT, middle, y_label, "middle", f' transform="rotate(-90 {FONT} {middle:.1f})"')


def _lines(series: Sequence[Series], x: Axis, y: Axis) -> Iterator[str]:
    """Each line with its label, which is moved up or down where labels would meet."""
    runs = [list(_runs(one, x, y)) for one in series]
    ends = [points[-1][-1] if points else (x.end, y.start) for points in runs]
    heights = _apart([end[1] for end in ends], y.end, y.start)
    for i, (one, points, label) in enumerate(zip(series, runs, heights, strict=True), 1):
        dashes = f' stroke-dasharray="{escape(one.dashes)}"' if one.dashes else ""
        yield f'<g class="series-{i}">'
        for run in points:
            yield _dot(*run[0]) if len(run) == 1 else _path(run, dashes)
        yield _text(x.end + GAP, label + FONT / 3, one.label, "start")
        yield "</g>"


def _runs(one: Series, x: Axis, y: Axis) -> Iterator[list[tuple[float, float]]]:
    """The pieces of a line between its gaps, in the drawing's units."""
    points = zip(one.x, one.y, strict=True)
    for shown, run in groupby(points, key=lambda point: x.shows(point[0]) and y.shows(point[1])):
        if shown:
            yield [(x.place(a), y.place(b)) for a, b in run]


def _path(run: Sequence[tuple[float, float]], dashes: str) -> str:
    points = " ".join(f"{a:.1f} {b:.1f}" for a, b in run)
    return f'<path fill="none" stroke="currentColor" stroke-width="2"{dashes} d="M{points}"/>'


def _dot(a: float, b: float) -> str:
    return f'<circle fill="currentColor" stroke="none" cx="{a:.1f}" cy="{b:.1f}" r="4"/>'


def _apart(heights: Sequence[float], top: float, bottom: float) -> list[float]:
    """Move heights as little as needed for a line of words each, from the top to the bottom."""
    placed, order = list(heights), sorted(range(len(heights)), key=heights.__getitem__)
    lowest_so_far = top - LINE
    for k in order:
        placed[k] = lowest_so_far = max(placed[k], lowest_so_far + LINE)
    room = bottom
    for k in reversed(order):
        placed[k] = min(placed[k], room)
        room = placed[k] - LINE
    return placed


def _text(a: float, b: float, words: str, anchor: str, more: str = "") -> str:
    place = f'x="{a:.1f}" y="{b:.1f}" text-anchor="{anchor}"{more}'
    return f'<text class="chart-words" {place}>{escape(words)}</text>'


def _width(words: str) -> float:
    """About how wide words are: East Asian letters take two places."""
    return LETTER * sum(2 if east_asian_width(letter) in "WF" else 1 for letter in words)
