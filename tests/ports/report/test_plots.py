"""The pictures: what is on them, and that they are written."""

import argparse
import xml.etree.ElementTree as ET
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="lockstep plot needs matplotlib: pip install matplotlib")

from ports.commands import free_runs, plot
from ports.commands.parser import BadArgument
from ports.contract import Absent
from ports.engine.boundaries import MARGIN, decision_map
from ports.engine.free_run import Drift, Flip, run_free
from ports.engine.results import Cell
from ports.registry import PORTS
from ports.report import plots
from reference.models import MODELS, SOFTMAX, TWO_LAYER
from reference.runs import draw

DRAWS = draw(np.random.RandomState(0), 5)


@pytest.fixture(scope="module")
def runs():
    """Short free runs of the NumPy port by model: in float32, so that there is a drift to draw."""
    return {
        name: run_free(
            DRAWS.problem(model),
            [(Cell(name, "numpy", "eager", "cpu", "float32"), PORTS["numpy"])],
            30,
            members=1,
        )
        for name, model in MODELS.items()
    }


def synthetic(name: str, distances, allowed=1e-3, flip=None) -> Drift:
    """A drift made up of numbers."""
    distances = np.asarray(distances, float)
    noise = SimpleNamespace(distances=np.full(distances.shape, 1e-6), losses=np.ones(distances.shape))
    headroom = np.broadcast_to(np.asarray(allowed) / 1e-6, distances.shape)
    cell = Cell("two_layer", name, "eager", "cpu", "float32")
    return Drift(cell, noise, headroom, distances, np.ones(distances.shape), flip)


def words(figure) -> str:
    """All text on a figure."""
    from matplotlib.text import Text

    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_data_has_every_point_in_the_documents_colours():
    """There is one scatter per class (Spectral, s=40), with all points, and the axes have names."""
    import matplotlib

    figure = plots.data(DRAWS.X, DRAWS.y)
    classes = figure.axes[0].collections
    assert np.array_equal(np.concatenate([c.get_offsets() for c in classes]), DRAWS.X)
    for k, scatter in enumerate(classes):
        assert scatter.get_sizes().tolist() == [40]
        assert scatter.cmap == matplotlib.colormaps["Spectral"]
        assert set(scatter.get_array()) == {k}
        assert (scatter.norm.vmin, scatter.norm.vmax) == (0, 2)
    assert "15 points, 3 classes" in words(figure)
    assert figure.axes[0].get_xlabel()
    assert figure.axes[0].get_ylabel()


def test_boundaries_show_each_model_with_its_accuracy():
    """Both classifiers, each with its name and training accuracy."""
    maps = [decision_map(DRAWS.problem(model)) for model in MODELS.values()]
    figure = plots.boundaries(DRAWS.X, DRAWS.y, maps)
    assert [axes.get_title(loc="left").split(":")[0] for axes in figure.axes] == [
        model.title for model in MODELS.values()
    ]
    assert "training accuracy 0." in words(figure)


def test_region_of_a_class_is_where_its_score_leads():
    """A classifier that looks at the sign of x alone has its edge at 0."""
    _, (axes,) = plots.side_by_side(1, 4, 4)
    params = {"W": np.array([[1.0, -1.0], [0.0, 0.0]]), "b": np.zeros((1, 2))}
    plots._answers(axes, decision_map(SOFTMAX.problem(DRAWS.X, DRAWS.y, params)))
    edges = axes.collections[1].get_paths()[0].vertices
    assert np.abs(edges[:, 0]).max() < 1e-12
    right = axes.collections[0].get_paths()[0].vertices
    assert right[:, 0].min() > -1e-12
    assert right[:, 0].max() == np.abs(DRAWS.X).max() + MARGIN


def test_class_that_never_leads_has_no_region():
    """A model that always answers the same class fills the plane with it, without an edge."""
    params = {"W": np.zeros((2, 3)), "b": np.array([[1.0, 0.0, 0.0]])}
    found = decision_map(SOFTMAX.problem(DRAWS.X, DRAWS.y, params))
    figure = plots.boundaries(DRAWS.X, DRAWS.y, [found])
    regions = len(figure.axes[0].collections) - 3  # three classes of points
    assert regions == 1
    assert "training accuracy 0.33" in words(figure)


def test_losses_show_every_port_and_the_reference(runs):
    """There is a panel per model and a curve per port, with the reference, log scales and a legend."""
    figure = plots.losses(runs)
    assert len(figure.axes) == 2
    for axes, drifts in zip(figure.axes, runs.values(), strict=True):
        assert axes.get_yscale() == "log"
        beneath, *curves = axes.lines
        assert np.array_equal(beneath.get_ydata(), drifts[0].floor.losses)
        assert all(np.array_equal(c.get_ydata(), d.losses) for c, d in zip(curves, drifts, strict=True))
    assert "reference" in words(figure)
    assert "numpy" in words(figure)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_dashes_of_coinciding_curves_interleave(count):
    """Each place along a line is drawn by exactly one of the curves, so that none hides another."""
    dash, places = 3.0, np.arange(0.5, 6 * count, 1.0)
    drawn = np.zeros(places.shape, int)
    for i in range(count):
        offset, (on, off) = plots._interleaved(i, count, dash)
        drawn += (places + offset) % (on + off) < on
    assert (drawn == 1).all()
    assert plots._interleaved(0, 1) == "solid"


def test_drift_shows_floor_allowed_and_every_port(runs):
    """Both axes are logarithmic, the floor is shaded, and the legend has the names."""
    figure = plots.drift(runs["two_layer"])
    axes = figure.axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert len(axes.collections) == 1
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[0] == "noise floor"
    assert labels[1].startswith("allowed")
    assert labels[2:] == ["numpy"]


def test_first_flip_is_marked_and_named():
    """The earliest flip has a line and a description; each port's first flip has a star."""
    early = Flip(step=20, example=7, unit=3, count=1, reference=-2e-8, port=3e-8)
    late = Flip(step=60, example=1, unit=1, count=1, reference=-1e-8, port=1e-8)
    curve = np.geomspace(1e-7, 1e-4, 100)
    axes = plots.drift([synthetic("a", curve, flip=late), synthetic("b", curve, flip=early)]).axes[0]
    (said,) = [text.get_text() for text in axes.texts]
    assert "first ReLU flip: b, step 20\nunit 3, example 7" in said
    assert "-2.0e-08 in the reference, 3.0e-08 here" in said
    stars = [line for line in axes.lines if line.get_marker() == "*"]
    assert [star.get_xydata().tolist() for star in stars] == [[[60, curve[59]]], [[20, curve[19]]]]
    assert any(np.array_equal(line.get_xdata(), [20, 20]) for line in axes.lines)


def test_legend_says_what_is_out_of_the_ordinary():
    """The legend tells a port that disagrees, one without drift, and where noise hides everything."""
    allowed = np.where(np.arange(50) < 40, 1e-3, 10.0)
    figure = plots.drift(
        [
            synthetic("fine", np.full(50, 1e-6), allowed),
            synthetic("wrong", np.full(50, 1e-2), allowed),
            synthetic("nan", np.full(50, np.nan), allowed),
            synthetic("same", np.zeros(50), allowed),
        ]
    )
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels[1:] == [
        "allowed\n(noise hides all after 40)",
        "fine",
        "wrong: DISAGREES",
        "nan: DISAGREES",
        "same (no drift: 0)",
    ]


def test_port_that_cannot_be_told_from_noise_does_not_disagree():
    """In bfloat16 noise hides all: no port is called right there, and none wrong."""
    figure = plots.drift(
        [synthetic("fine", np.full(50, 1e-6), 10.0), synthetic("wrong", [20.0] * 50, 10.0)]
    )
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels[1:] == ["allowed\n(noise hides all)", "fine: not told from noise", "wrong: DISAGREES"]


def test_words_take_a_part_of_the_picture():
    """The note on the first flip has the upper sixth, whether the curves span 5 decades or 20."""
    flip = Flip(step=3, example=1, unit=2, count=1, reference=1e-9, port=-1e-9)
    for allowed in (1e-5, 1e10):
        axes = plots.drift([synthetic("port", np.full(50, 1e-6), allowed, flip)]).axes[0]
        bottom, top = np.log10(axes.get_ylim())
        assert (top - np.log10(allowed)) / (top - bottom) == pytest.approx(1 / 6)


def test_long_curve_keeps_its_peaks():
    """Thinned for drawing, a curve keeps the largest value, and NaN does not hide it."""
    steps, curve = np.arange(1, 10_001), np.full(10_000, 1e-9)
    curve[7654], curve[7655] = 0.5, np.nan
    at = plots._bins(steps, curve)
    assert len(at) <= plots.BINS
    assert 7654 in at
    assert at[0] == 0
    assert (np.diff(at) > 0).all()


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_short_curve_is_drawn_whole(steps):
    """Below the number of bins, every step is drawn."""
    assert plots._bins(np.arange(1, steps + 1), np.ones(steps)).tolist() == list(range(steps))


def test_save_writes_png_and_svg(tmp_path):
    """Every figure is written in every format, and folders are made on the way."""
    folder = tmp_path / "new" / "plots"
    paths = plots.save({"data": plots.data(DRAWS.X, DRAWS.y)}, folder, ["png", "svg"])
    assert paths == [folder / "data.png", folder / "data.svg"]
    assert paths[0].read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert ET.parse(paths[1]).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_same_figure_gives_the_same_bytes(tmp_path):
    """Neither time nor chance is in the files."""
    for folder in ("a", "b"):
        plots.save({"data": plots.data(DRAWS.X, DRAWS.y)}, tmp_path / folder, ["png", "svg"])
    for name in ("data.png", "data.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_look_is_ours_and_left_behind_nowhere():
    """A reader's own matplotlib settings neither change the pictures nor are changed."""
    import matplotlib

    with matplotlib.rc_context({"font.size": 33.0}):
        figure = plots.data(DRAWS.X, DRAWS.y)
        assert matplotlib.rcParams["font.size"] == 33.0
    assert figure.axes[0].xaxis.label.get_size() == plots.LOOK["font.size"]


def test_unwritable_output_is_one_sentence(tmp_path):
    """If a file stands where the folder should be, the message names the path and the reason."""
    (tmp_path / "file").touch()
    for write in (
        plots.refuse_unwritable,
        lambda folder: plots.save({"data": plots.data(DRAWS.X, DRAWS.y)}, folder, ["png"]),
    ):
        with pytest.raises(OSError, match=r"^cannot write pictures to .*file: File exists$"):
            write(tmp_path / "file")


def test_picture_that_cannot_replace_a_folder_is_named(tmp_path):
    """If a folder stands where a picture should be, the message names that picture."""
    (tmp_path / "data.png").mkdir()
    with pytest.raises(OSError, match=r"^cannot write pictures to .*data\.png: Is a directory$"):
        plots.save({"data": plots.data(DRAWS.X, DRAWS.y)}, tmp_path, ["png"])


def test_absent_matplotlib_is_said(monkeypatch):
    """Without matplotlib, drawing says what to install."""
    monkeypatch.setattr(plots, "missing_packages", lambda who, packages: f"{who} needs {packages[0]}")
    with pytest.raises(Absent, match="lockstep plot needs matplotlib"):
        plots.data(DRAWS.X, DRAWS.y)


def options(*words: str) -> argparse.Namespace:
    """The options as the command line gives them."""
    parser = argparse.ArgumentParser()
    plot.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        (["--dtype", "float16", "--port", "torch_manual"], 200),
        (["--dtype", "bfloat16", "--port", "torch_manual"], 200),
        (["--dtype", "float16", "--port", "torch_manual", "--steps", "300"], 300),
        (["--dtype", "float32", "--port", "numpy"], 10_000),
    ],
)
def test_dtype_is_followed_as_far_as_it_can_be(words, steps, monkeypatch):
    """A trained net's scores leave the range of 16 bits: by default such a run ends before."""
    if "numpy" not in words:
        pytest.importorskip("torch")
    monkeypatch.setattr(free_runs, "run_free", lambda problem, cells, steps, progress: steps)
    assert free_runs.free_runs(options(*words, "--points", "5"), [TWO_LAYER]) == {"two_layer": steps}


def test_command_writes_all_pictures(tmp_path, capsys, monkeypatch):
    """Data, boundaries, losses and both drifts, in both formats; their names are printed."""
    monkeypatch.setitem(MODELS, "two_layer", replace(TWO_LAYER, iterations=50))
    few = ("--port", "numpy", "--points", "5", "--steps", "20")
    assert plot.run(options("--output", str(tmp_path), *few)) == 0
    names = {"data", "boundaries", "losses", "drift_softmax", "drift_two_layer"}
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    assert {line.rpartition("/")[2] for line in capsys.readouterr().out.split()} == written


def test_command_draws_what_is_asked(tmp_path):
    """One picture in one format."""
    few = ("--points", "5", "--format", "svg")
    assert plot.run(options("data", "--output", str(tmp_path), *few)) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["data.svg"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("drifts",), "unknown picture 'drifts': did you mean drift?"),
        (("--format", "png,pgn"), "unknown format 'pgn': did you mean png?"),
        (("--points", "0"), "points is '0'"),
        (("--seed", "x"), "seed is 'x'"),
        (("drift", "--steps", "-1"), "steps is '-1'"),
    ],
)
def test_bad_options_are_refused_before_any_work(words, message, tmp_path):
    """A wrong word is refused in a sentence that names it, and no file is written."""
    with pytest.raises(BadArgument, match=message.replace("?", r"\?")):
        plot.run(options("--output", str(tmp_path), *words))
    assert list(tmp_path.iterdir()) == []
