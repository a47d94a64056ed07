"""The charts of the lesson: what is drawn, where, and for whom."""

import re
import xml.etree.ElementTree as ET

import pytest

from ports.report.lesson.charts import Series, chart

WORDS = {"title": "A < B & C", "description": "Two lines.", "x_label": "step", "y_label": "loss"}


def drawn(*series: Series, **options) -> ET.Element:
    """The chart as parsed XML: a chart that is not well-formed raises."""
    return ET.fromstring(chart(series, **{**WORDS, **options}))


def texts(svg: ET.Element) -> dict[str, ET.Element]:
    """The words on a chart."""
    return {"".join(text.itertext()): text for text in svg.iter("text")}


def points(path: ET.Element) -> list[tuple[float, float]]:
    """Where a line goes."""
    numbers = [float(n) for n in re.findall(r"[-\d.]+", path.attrib["d"])]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def lines(svg: ET.Element, i: int) -> list[ET.Element]:
    """The pieces of the i-th line."""
    return [path for g in svg.iter("g") if g.attrib["class"] == f"series-{i}" for path in g.iter("path")]


def test_a_chart_says_what_it_shows():
    """The title and the description are there for screen readers, in one image, and escaped."""
    svg = drawn(Series("a", [0, 1], [0, 1]))
    assert svg.attrib["role"] == "img"
    assert svg.attrib["aria-label"] == svg.find("title").text == "A < B & C"
    assert svg.find("desc").text == "Two lines."
    assert {"step", "loss", "a"} <= set(texts(svg))


def test_a_chart_has_no_colour_of_its_own():
    """Every colour is the page's: currentColor or a class."""
    colours = re.findall(r'(?:fill|stroke)="([^"]*)"', chart([Series("a", [0, 1], [0, 1])], **WORDS))
    assert set(colours) == {"none", "currentColor"}


def test_a_line_passes_through_its_numbers():
    """The least and the largest number stand at the ends of the axes, and the middle between them."""
    (line,) = lines(drawn(Series("a", [0, 1, 2], [30, 20, 10])), 1)
    (x0, y0), (x1, y1), (x2, y2) = points(line)
    assert x0 < x1 < x2
    assert y0 < y1 < y2  # in SVG, down is up
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11)
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.11)


def test_a_logarithmic_axis_gives_each_power_the_same_room():
    """1, 10 and 100 stand at equal distances, and are the ticks."""
    svg = drawn(Series("a", [1, 10, 100], [1e-7, 1e-6, 1e-5]), log_x=True, log_y=True)
    (x0, y0), (x1, y1), (x2, y2) = points(*lines(svg, 1))
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11)
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.11)
    assert {"1", "10", "100", "10⁻⁷", "10⁻⁶", "10⁻⁵"} <= set(texts(svg))


@pytest.mark.parametrize("hole", [float("nan"), float("inf"), 0.0, -1.0])
def test_what_cannot_be_shown_is_a_gap(hole):
    """On a logarithmic axis the line breaks at NaN, infinity, 0 and below."""
    svg = drawn(Series("a", range(5), [1, 10, hole, 10, 1]), log_y=True)
    assert [len(points(path)) for path in lines(svg, 1)] == [2, 2]


def test_zero_has_a_place_on_a_linear_axis():
    """The gap at 0 belongs to the logarithmic axis alone."""
    assert len(lines(drawn(Series("a", range(3), [1, 0, 1])), 1)) == 1


def test_a_number_alone_is_a_dot():
    """A line of one point would be invisible."""
    assert len(list(drawn(Series("a", [1], [1])).iter("circle"))) == 1


def test_lines_differ_by_more_than_colour():
    """Each has its dashes and its label, and labels of lines that end together do not meet."""
    svg = drawn(*(Series(name, [0, 1], [0, 1], dashes) for name, dashes in [("a", ""), ("b", "6 3")]))
    assert [lines(svg, i)[0].get("stroke-dasharray") for i in (1, 2)] == [None, "6 3"]
    found = texts(svg)
    assert abs(float(found["a"].attrib["y"]) - float(found["b"].attrib["y"])) >= 14.9


@pytest.mark.parametrize("label", ["numpy", "바닥: 반올림 잡음"])
def test_words_stay_inside(label):
    """The label's end, and every line, is left of the chart's right edge, in Korean as well."""
    svg = drawn(Series(label, [0, 1], [0, 1]))
    wide = 12 if ord(label[0]) > 255 else 6
    assert float(texts(svg)[label].attrib["x"]) + wide * len(label) <= 640
    assert max(x for x, _ in points(*lines(svg, 1))) < float(texts(svg)[label].attrib["x"])


def test_numbers_that_are_all_the_same():
    """A constant line is drawn in the middle."""
    for log in (False, True):
        ((_, y0), (_, y1)) = points(*lines(drawn(Series("a", [0, 1], [5, 5]), log_y=log), 1))
        assert y0 == y1 == pytest.approx((12 + 300 - 46) / 2, abs=1)


def test_what_cannot_be_drawn_is_refused():
    """Each refusal is one clear sentence."""
    with pytest.raises(ValueError, match="'a' has 2 x and 1 y"):
        drawn(Series("a", [0, 1], [0]))
    with pytest.raises(ValueError, match="no number to show on the y axis"):
        drawn(Series("a", [0, 1], [0, -1]), log_y=True)
    with pytest.raises(ValueError, match="no number to show on the x axis"):
        drawn()
