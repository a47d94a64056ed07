"""The words of the command line as values: what each converter takes, and what it refuses."""

import pytest

from ports.__main__ import main
from ports.commands.arguments import model, report_path, seconds, seed, select, steps_or_all, whole
from ports.registry import PORTS
from reference.models import SOFTMAX

GOOD = {
    "whole": (whole("points"), "12", 12),
    "least": (whole("step", least=0), "0", 0),
    "seed": (seed, "4294967295", 2**32 - 1),
    "all": (steps_or_all, "all", "all"),
    "steps": (steps_or_all, "3", 3),
    "seconds": (seconds("timeout"), "0.5", 0.5),
    "model": (model, "softmax", SOFTMAX),
}
BAD = {
    "below": (whole("points"), "0", "points is '0': expected a whole number of at least 1"),
    "negative": (whole("step", least=0), "-1", "step is '-1'"),
    "fraction": (whole("points"), "1.5", "whole number"),
    "long": (whole("points"), "1" * 13, "points is '111111111111...'.*of at most 12 digits"),
    "seed": (seed, "4294967296", r"from 0 to 2\*\*32 - 1"),
    "steps": (steps_or_all, "some", 'at least 1 or "all"'),
    "nan": (seconds("timeout"), "nan", "positive number of seconds"),
    "endless": (seconds("timeout"), "inf", "positive number of seconds"),
    "model": (
        model,
        "softmx",
        r"unknown model 'softmx': did you mean softmax\? expected one of softmax",
    ),
}


@pytest.mark.parametrize(("convert", "text", "value"), GOOD.values(), ids=GOOD)
def test_words_become_values(convert, text, value):
    """The value has the type that the command works with."""
    assert convert(text) == value


@pytest.mark.parametrize(("convert", "text", "said"), BAD.values(), ids=BAD)
def test_other_words_are_refused(convert, text, said):
    """Negative control: one sentence that names the word."""
    with pytest.raises(ValueError, match=said):
        convert(text)


def test_report_path_is_looked_at_and_not_written(tmp_path):
    """A new file and an old one will do; a folder that is not there will not, and nothing is made."""
    (tmp_path / "old.json").write_text("old")
    assert report_path(str(tmp_path / "old.json")).read_text() == "old"
    assert not report_path(str(tmp_path / "new.json")).exists()
    with pytest.raises(OSError, match="no such folder"):
        report_path(str(tmp_path / "nowhere" / "new.json"))


def test_select_takes_words():
    """The options of pytest are words; a word that is given twice counts once."""
    selection = select(["softmax", "softmax"], ["numpy", "numpy"], steps="3")
    assert (selection.models, selection.ports, selection.steps) == (("softmax",), (PORTS["numpy"],), 3)
    assert select(precision="medium").precision == "medium"
    with pytest.raises(ValueError, match="unknown dtype 'float23': did you mean float32"):
        select(dtypes=["float23"])
    with pytest.raises(ValueError, match="unknown precision 'tf32': expected one of highest, high"):
        select(precision="tf32")


def test_port_said_twice_is_one(tmp_path, capsys):
    """A file that is named twice is loaded once; another file of the same name is refused."""
    source = "from ports.in_numpy.reference import softmax_step\nprint('loaded')\n"
    files = [tmp_path / folder / "mine.py" for folder in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_text(source)
    few = ["compare", "--steps", "1", "--dtype", "float64"]
    assert main([*few, "--port", str(files[0]), "--port", str(files[0])]) == 0
    assert capsys.readouterr().out.count("loaded") == 1
    assert main([*few, "--port", str(files[0]), "--port", str(files[1])]) == 2
    assert "two ports are called mine.py" in capsys.readouterr().err
