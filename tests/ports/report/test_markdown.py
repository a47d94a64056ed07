"""docs/matrix.md is what `lockstep merge` writes, and docs/machines.md shows commands that run."""

import json
import re
import shlex
from pathlib import Path

import pytest
from reports import FEW

from ports.__main__ import main
from ports.registry import PORTS

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "matrix.md"
MACHINES = (ROOT / "docs" / "machines.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ lockstep (.*)$", MACHINES, flags=re.MULTILINE)


@pytest.fixture
def merged(tmp_path, monkeypatch):
    """A function from a report to the page that is written about it, by the command that PAGE names."""

    def page(report="docs/matrix.json"):
        command = re.search(r"`lockstep (.*) FILE` writes", PAGE.read_text(encoding="utf-8"))[1]
        monkeypatch.chdir(ROOT)
        words = [report if word == "docs/matrix.json" else word for word in shlex.split(command)]
        assert main([*words, str(tmp_path / "page.md")]) == 0
        return (tmp_path / "page.md").read_text(encoding="utf-8")

    return page


def test_page_is_what_the_report_says(merged):
    """The page is written from the report that is beside it, and not by hand."""
    assert PAGE.read_text(encoding="utf-8") == merged()


def test_page_of_another_report_is_another(merged, tmp_path):
    """Negative control: one share that is not the same shows."""
    report = json.loads((ROOT / "docs" / "matrix.json").read_text(encoding="utf-8"))
    exact = [cell for cell in report["cells"] if cell["dtype"] == "float64"]
    exact[-1]["verdicts"][0]["worst"]["share"] = 0.99  # in 16 bits the largest share is as large anyway
    changed = tmp_path / "matrix.json"
    changed.write_text(json.dumps(report))
    assert merged(changed.as_posix()).replace(changed.as_posix(), "docs/matrix.json") != merged()


def test_no_row_for_cuda_is_left_out():
    """Each cell of a framework that has devices has a row for CUDA, and all of these are unverified."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [re.split(r" ?\| ?", line)[1:6] for line in lines if line.split("|")[1:2] and "cpu" in line]
    on_cuda = [line for line in lines if "| cuda |" in line]
    choosing = [row for row in rows if row[0] in PORTS and PORTS[row[0]].framework.packages]
    assert len(on_cuda) == len(choosing) > 0
    assert all("| **unverified** |" in line for line in on_cuda)


def test_commands_run(tmp_path, monkeypatch, capsys):
    """docs/machines.md's commands run one after the other, on a few cells."""
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS:
        words = shlex.split(command)
        assert main([*words, *(FEW if words[0] == "compare" else ())]) == 0
    assert "Since last.json nothing changed." in capsys.readouterr().out
    assert {path.name for path in tmp_path.glob("matrix.*")} == {
        f"matrix.{end}" for end in ("html", "md", "xml", "json")
    }
