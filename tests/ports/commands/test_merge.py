"""`lockstep merge` and `compare --against`: whole matrices, and what may be wrong with one."""

import copy
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from reports import FEW, compare, disagreeing, renamed, using, written

from ports.__main__ import main

CELL = "softmax-numpy-eager-cpu-float64"
OTHER = "softmax-numpy-eager-cpu-float32"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The report of one machine that ran everything."""
    return compare(tmp_path_factory.mktemp("whole") / "whole.json", "--machine", "here")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """The reports of the three shards of the same plan."""
    folder = tmp_path_factory.mktemp("shards")
    return [compare(folder / f"{i}.json", "--machine", "here", "--shard", f"{i}/3") for i in (1, 2, 3)]


@pytest.fixture
def merged(tmp_path, capsys):
    """A function from reports and options to (status, what is printed, the JSON or None, stderr)."""

    def merge(reports, *options):
        paths = [written(tmp_path / f"{i}.json", report) for i, report in enumerate(reports)]
        out = tmp_path / "merged.json"
        out.unlink(missing_ok=True)
        status = main(["merge", *paths, *options, "--json", str(out)])
        printed, err = capsys.readouterr()
        return status, printed, json.loads(out.read_text()) if out.exists() else None, err

    return merge


def refused(result, *said):
    """One sentence that says this, status 2, and nothing written."""
    status, printed, report, err = result
    assert (status, printed, report) == (2, "", None)
    assert err.startswith("lockstep: ")
    assert err.count("\n") == 1
    for words in said:
        assert words in err


def cells(report):
    """The cells of a report or machine, by name."""
    return {cell["id"]: cell for cell in report["cells"]}


# What is whole


def test_shards_come_to_the_whole(shards, whole, merged):
    """The shards' cells are the same, number for number, as those of one machine that ran everything."""
    assert sorted(name for shard in shards for name in cells(shard)) == sorted(whole["plan"])
    status, printed, report, _ = merged(shards[::-1])
    (machine,) = report["machines"]
    assert status == 0
    assert f"All {len(whole['plan'])} cells on 1 machine agree." in printed
    assert cells(machine) == cells(whole)
    assert [cell["id"] for cell in machine["cells"]] == whole["plan"]
    assert (report["comparisons"], report["elements"]) == (whole["comparisons"], whole["elements"])
    assert [r["shard"]["number"] for r in machine["reports"]] == [1, 2, 3]
    assert report["differences"] == []


def test_machines_stand_side_by_side(whole, merged):
    """Rows are grouped by machine, each with its own provenance; another share is marked on both."""
    there = using(renamed(whole, "there", platform="macOS"), CELL, "scores", 0.77)
    status, printed, report, _ = merged([whole, there])
    assert status == 0
    assert [machine["machine"] for machine in report["machines"]] == ["here", "there"]
    assert report["machines"][1]["reports"][0]["provenance"]["platform"] == "macOS"
    (difference,) = report["differences"]
    assert (difference["id"], difference["quantity"]) == (CELL, "scores")
    assert difference["same_verdict"]
    assert difference["shares"]["there"] == 0.77
    assert ".77~" in printed
    assert len(re.findall(r"\d~", printed)) == 2
    assert "1 quantities have the same verdict and another share" in printed


def test_same_numbers_are_not_marked(whole, merged):
    """Negative control: two machines with the same shares have no mark."""
    _, printed, report, _ = merged([whole, renamed(whole, "there")])
    assert report["differences"] == []
    assert not re.findall(r"\d[~*]", printed)


def test_cell_that_disagrees_on_one_machine(whole, merged):
    """Negative control: status 1, the machine and the operation are named, and the entry is marked."""
    status, printed, report, _ = merged([whole, disagreeing(renamed(whole, "there"), CELL, "dW")])
    assert status == 1
    assert not report["agrees"]
    assert [machine["agrees"] for machine in report["machines"]] == [True, False]
    assert [d["same_verdict"] for d in report["differences"]] == [False]
    assert "!3e+02*" in printed
    assert "there\nsoftmax-numpy-eager-cpu-float64: step " in printed
    assert "Not certified: 1 of" in printed


def test_run_that_stopped_is_status_2(whole, merged):
    """A cell that could not go on is not certified, and no disagreement either."""
    other = renamed(whole, "there")
    cell = cells(other)[CELL]
    cell |= {"error": "step 1: it overflows", "agrees": False}
    other["agrees"] = False
    status, printed, _, _ = merged([whole, other])
    assert status == 2
    assert "it overflows" in printed


def test_machine_that_compared_nothing_fails(whole, merged):
    """A report of no cells is a failure, though all others agree."""
    empty = renamed(whole, "there") | {"cells": [], "plan": [], "comparisons": 0, "elements": 0}
    status, printed, report, _ = merged([whole, empty | {"agrees": False}])
    assert (status, report["agrees"]) == (1, False)
    assert "nothing was compared" in printed


def test_unverified_cells_are_shown_and_not_counted(whole, merged, tmp_path):
    """NumPy has no other device; a port of PyTorch has. What ran somewhere is not unverified."""
    text = json.dumps(whole).replace("-numpy-", "-torch_manual-")
    torch = json.loads(text.replace('"port": "numpy"', '"port": "torch_manual"'))
    _, _, report, _ = merged([whole], "--unverified", "cuda")
    assert report["unverified"] == []
    status, printed, report, _ = merged([torch], "--unverified", "cuda")
    assert status == 0
    assert report["unverified"] == [name.replace("-cpu-", "-cuda-") for name in torch["plan"]]
    assert printed.count(" unverified\n") == len(torch["plan"])
    there = renamed(json.loads(json.dumps(torch).replace("cpu", "cuda")), "there")
    _, printed, report, _ = merged([torch, there], "--unverified", "cuda", "--require", "cuda")
    assert report["unverified"] == []
    assert " unverified" not in printed


def test_model_from_elsewhere(whole, merged):
    """A model that is not registered where the reports are merged has its quantities all the same."""
    toy = json.loads(json.dumps(whole).replace("softmax", "toy"))
    status, printed, report, _ = merged([toy], "--unverified", "cuda")
    assert status == 0
    assert "toy " in printed
    assert [cell["model"] for cell in report["machines"][0]["cells"]].count("toy") == 2


def test_recording_from_elsewhere_is_a_row(whole, merged, tmp_path, capsys):
    """What was recorded on one machine and judged on another stands beside what ran here."""
    recording, judged = tmp_path / "run.safetensors", tmp_path / "judged.json"
    few = ["--port", "numpy", "--model", "softmax", "--points", "5", "--steps", "2"]
    assert main(["record", *few, "--out", str(recording)]) == 0
    assert main(["certify", str(recording), "--machine", "there", "--json", str(judged)]) == 0
    capsys.readouterr()
    status, _, report, _ = merged([whole, json.loads(judged.read_text(encoding="utf-8"))])
    assert status == 0
    assert [len(machine["cells"]) for machine in report["machines"]] == [4, 1]
    assert report["differences"] == []


# What is not


def test_missing_shard_is_refused(shards, merged):
    """Negative control: whichever is missing, its number and its cells are named."""
    for i, shard in enumerate(shards):
        others = [other for other in shards if other is not shard]
        refused(merged(others), f"shard {i + 1} of 3 of here is missing", shard["cells"][0]["id"])


def test_shard_of_another_division_is_refused(shards, whole, merged):
    """Shards of three and of one do not make a whole, and neither do those of two machines."""
    other = whole | {"cells": whole["cells"][:1]}
    other |= {
        name: sum(v[field] for v in other["cells"][0]["verdicts"])
        for name, field in (("comparisons", "steps"), ("elements", "elements"))
    }
    refused(merged([*shards[:2], renamed(shards[2], "there")]), "shard 3 of 3 of here is missing")
    refused(merged([other]), "lack", "which they planned")
    parts = [copy.deepcopy(shard) for shard in shards]
    parts[2]["shard"] = {"number": 4, "of": 4}
    refused(merged(parts), "shard 1/3", "shard 4/4", "one division")


def test_duplicated_cell_is_refused(shards, whole, merged):
    """Negative control: a cell that is in two reports of a machine, or twice in one."""
    refused(merged([whole, whole]), whole["cells"][0]["id"], "is in", "and in", "--machine")
    refused(merged([*shards, shards[1]]), "and in")
    empty = shards[1] | {"cells": [], "comparisons": 0, "elements": 0, "agrees": False}
    refused(merged([*shards, empty]), "shard 2/3 of here is in", "and in")
    twice = copy.deepcopy(whole)
    twice["cells"].append(twice["cells"][0])
    refused(merged([twice]), "is there twice")


def test_other_runs_and_versions_are_refused(shards, whole, merged):
    """One matrix is of one run, and one machine has one version of each framework."""
    other = renamed(whole, "there") | {"run": whole["run"] | {"points": 7}}
    refused(merged([whole, other]), "5 points per class", "7 points per class")
    moved = renamed(shards[1], "here", numpy="1.0")
    refused(
        merged([shards[0], moved, shards[2]]), "has numpy", "and 1.0 in", "a machine has one version"
    )


def test_required_device_that_ran_nowhere(whole, merged):
    """--require fails closed, also where the cells are unverified."""
    refused(
        merged([whole], "--require", "cuda", "--unverified", "cuda"), "required cuda is in no report"
    )
    assert merged([whole], "--require=cpu", "--require=numpy", "--require=here")[0] == 0


def edited(report, edit):
    """A copy of a report after an edit of it, of its last cell, and of that cell's first verdict."""
    other = copy.deepcopy(report)
    edit(other, other["cells"][-1], other["cells"][-1]["verdicts"][0])
    return other


#: Edits after which a report contradicts itself, and what the sentence names.
EDITS = {
    "comparisons": (lambda r, c, v: r.update(comparisons=r["comparisons"] + 1), "comparisons is"),
    "elements": (lambda r, c, v: v.update(elements=v["elements"] + 1), "elements is"),
    "verdict_steps": (lambda r, c, v: v.update(steps=1), "is over 1 steps"),
    "cell_steps": (lambda r, c, v: c.update(steps=7), "the cell ran 7"),
    "verdict_removed": (lambda r, c, v: c["verdicts"].remove(v), "has no verdict on"),
    "verdict_twice": (lambda r, c, v: c["verdicts"].append(v), "two verdicts on"),
    "cell_removed": (lambda r, c, v: r["cells"].remove(c), "comparisons is"),
    "cell_renamed": (lambda r, c, v: c.update(port="other"), "is not in its plan"),
    "id_changed": (lambda r, c, v: c.update(id="other"), "cells[3].id"),
    "share_too_large": (lambda r, c, v: v["worst"].update(share=3.0), "does not follow"),
    "share_nan": (lambda r, c, v: v["worst"].update(share="nan"), "does not follow"),
    "failed_and_agrees": (lambda r, c, v: v.update(failed_steps=1), "does not follow"),
    "verdict_agrees_not": (lambda r, c, v: v.update(agrees=False), "cells[3].verdicts[0].agrees"),
    "cell_agrees_not": (lambda r, c, v: c.update(agrees=False), "cells[3].agrees"),
    "agrees_not": (lambda r, c, v: r.update(agrees=False), "agrees is false"),
    "no_such_shard": (lambda r, c, v: r.update(shard={"number": 2, "of": 1}), "no shard 2/1"),
    "negative": (lambda r, c, v: v.update(elements=-1), "expected a whole number"),
    "text_for_number": (lambda r, c, v: v["worst"].update(share="0.5"), "expected a number"),
    "huge_number": (lambda r, c, v: v["worst"].update(share=10**400), "too large"),
    "true_for_number": (lambda r, c, v: c.update(steps=True), "expected a whole number"),
    "field_missing": (lambda r, c, v: r.pop("plan"), "the field plan is missing"),
    "list_for_object": (lambda r, c, v: r.update(run=[]), "run is [], expected an object"),
    "no_cells": (lambda r, c, v: r.update(cells=None), "cells is null, expected a list"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "said"), EDITS.values(), ids=EDITS)
def test_report_that_does_not_add_up_is_refused(edit, said, whole, merged):
    """Negative control: the counts and verdicts of a report must follow from its findings."""
    refused(merged([edited(whole, edit)]), "0.json is no whole report of lockstep compare", said)


def test_edit_of_nothing_is_accepted(whole, merged):
    """Negative control: the reports above are refused for their edit, and a new field is none."""
    assert merged([edited(whole, lambda r, c, v: r.update(comment="new"))])[0] == 0


#: Files that are no report, and what the sentence names.
FILES = {
    "empty": ("", "is not JSON"),
    "no_json": ("# The matrix", "is not JSON"),
    "bytes": ("\0\1", "is not JSON"),
    "constant": ('{"schema": NaN}', "NaN is no number in JSON"),
    "deep": ("[" * 100_000, "is not JSON"),
    "list": ("[]", "holds a list, expected an object"),
    "number": ("1", "holds a int"),
    "object": ("{}", "has the schema None"),
    "other_version": ('{"schema": "lockstep/2"}', "'lockstep/2', expected 'lockstep/1'"),
    "check": ('{"schema": "lockstep-check/1"}', "'lockstep-check/1'"),
    "merge": ('{"schema": "lockstep-merge/1"}', "'lockstep-merge/1'"),
    "schema_alone": ('{"schema": "lockstep/1"}', "the field run is missing"),
}


@pytest.mark.parametrize(
    "command", [["merge"], ["compare", *FEW, "--against"]], ids=["merge", "against"]
)
@pytest.mark.parametrize(("text", "said"), FILES.values(), ids=FILES)
def test_file_that_is_no_report(text, said, command, tmp_path, capsys):
    """One sentence that names the file, status 2; `compare --against` does not run first."""
    path = tmp_path / "no.json"
    path.write_text(text)
    status = main([*command, str(path)])
    refused((status, capsys.readouterr().out, None, f"lockstep: {path}\n"))
    assert main([*command, str(path)]) == 2
    assert said in capsys.readouterr().err


#: Bad usage: the arguments after a good report, and what the sentence names.
USAGE = {
    "twice": (["{report}"], "is named twice"),
    "twice_by_another_path": (["{folder}/./whole.json"], "is named twice"),
    "not_there": (["{folder}/none.json"], "No such file"),
    "folder": (["{folder}"], "cannot read"),
    "output_over_a_report": (["--html", "{report}"], "is named twice"),
    "outputs_over_each_other": (["--html", "{folder}/a", "--junit", "{folder}/a"], "is named twice"),
    "unwritable_html": (["--html", "{folder}/no/a.html"], "no such folder"),
    "unwritable_json": (["--json", "{folder}"], "it is a folder"),
    "output_is_a_port": (["--markdown", "{folder}/a.py"], "a .py file is a port"),
}


@pytest.mark.parametrize(("arguments", "said"), USAGE.values(), ids=USAGE)
def test_bad_usage_loses_nothing(arguments, said, whole, tmp_path, capsys):
    """One sentence, status 2, and the report is as it was."""
    report = written(tmp_path / "whole.json", whole)
    words = [word.format(report=report, folder=tmp_path) for word in arguments]
    assert main(["merge", report, *words]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.count("\n") == 1
    assert said in err
    assert json.loads((tmp_path / "whole.json").read_text()) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["whole.json"]


def test_no_report_at_all(capsys):
    """An empty list of reports is bad usage."""
    assert main(["merge"]) == 2
    assert "required: report" in capsys.readouterr().err


# The other formats


@pytest.fixture
def formats(whole, merged, tmp_path):
    """A function from two machines' options to the HTML, JUnit and Markdown of a failing matrix."""
    paths = {name: tmp_path / f"out.{name}" for name in ("html", "junit", "markdown")}
    wrong = disagreeing(renamed(whole, "<there> & | `x`"), CELL, "dW")
    status, *_ = merged([whole, wrong], *(w for n, p in paths.items() for w in (f"--{n}", str(p))))
    assert status == 1
    return {name: path.read_text(encoding="utf-8") for name, path in paths.items()}


def test_junit_names_what_failed(formats, whole):
    """A suite per machine, a case per verdict or skip, and one failure, with the sentence."""
    root = ElementTree.fromstring(formats["junit"].encode())
    suites = root.findall("testsuite")
    assert [suite.get("name") for suite in suites] == ["here", "<there> & | `x`"]
    cases = sum(len(cell["verdicts"]) for cell in whole["cells"]) + len(whole["skipped"])
    for suite, failures in zip(suites, (0, 1), strict=True):
        assert len(suite.findall("testcase")) == int(suite.get("tests")) == cases
        assert int(suite.get("failures")) == len(suite.findall("testcase/failure")) == failures
        assert suite.find("properties/property[@value='5']") is None
    (failed,) = root.findall(".//testcase[failure]")
    assert (failed.get("classname"), failed.get("name")) == (CELL, "dW-local")
    assert "310 times the bound" in failed.find("failure").get("message")


def test_junit_is_xml_whatever_an_error_says(whole, merged, tmp_path):
    """Control characters, which XML cannot hold, are replaced."""
    other = renamed(whole, "there")
    cells(other)[CELL] |= {"error": "\0\x1b[31m \ud800", "agrees": False}
    path, page = tmp_path / "out.xml", tmp_path / "out.html"
    words = ["--junit", str(path), "--html", str(page)]
    assert merged([other | {"agrees": False}], *words)[0] == 2
    assert "\\ud800" in page.read_text(encoding="utf-8")
    error = ElementTree.fromstring(path.read_bytes()).find(".//error")
    assert error.get("message") == "??[31m ?"


class Page(HTMLParser):
    """What a test needs of a page: the open tags at its end, and each tag with its attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Open it."""
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Close what was opened last."""
        assert self.open.pop() == tag


def test_page_is_whole_and_needs_nothing_else(formats, whole):
    """Every tag is closed, names are escaped, nothing is loaded, and headers say what they head."""
    page = Page(formats["html"])
    tags = [tag for tag, _ in page.tags]
    assert page.open == []
    assert not {"script", "link", "img", "iframe", "there"} & set(tags)
    assert not re.search(r"https?:|url\(|@import", formats["html"])
    assert dict(page.tags)["html"] == {"lang": "en"}
    assert all(attributes.get("scope") for tag, attributes in page.tags if tag == "th")
    assert "prefers-color-scheme: dark" in formats["html"]
    assert formats["html"].count("!3e+02*") == 1
    rows = [a for tag, a in page.tags if tag == "th" and a["scope"] == "row"]
    assert len(rows) == 2 * len(whole["plan"])


def test_markdown_is_tables_with_the_verdict_first(formats, whole):
    """A row per cell, as many entries in every line of a table, and nothing in a name is markup."""
    lines = formats["markdown"].splitlines()
    assert lines[2].startswith("**Not certified: 1 of")
    rows = [line for line in lines if line.startswith("| numpy |") and "eager" in line]
    assert len(rows) == 2 * len(whole["plan"])
    tables = re.findall(r"(?:^\|.*\n)+", formats["markdown"], flags=re.MULTILINE)
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    assert r"### \<there\> \& \| \`x\`" in lines
    assert "!3e+02\\*" in formats["markdown"]


# What changed


@pytest.fixture
def since(whole, tmp_path, capsys):
    """A function from an earlier report to (status, the lines printed, the JSON's changes)."""

    def compared(before, *options):
        path, out = written(tmp_path / "before.json", before), tmp_path / "now.json"
        words = ["--machine", "here", *options, "--against", path, "--json", str(out)]
        status = main(["compare", *FEW, *words])
        printed = capsys.readouterr().out.partition("\nSince ")[2].split("\n\n")[0].splitlines()
        return status, printed, json.loads(out.read_text())["changes"]

    return compared


def test_nothing_changed(since, whole):
    """The same run again has the same numbers."""
    status, printed, changes = since(whole)
    assert (status, changes) == (0, [])
    assert printed[0].endswith("nothing changed.")


def test_changes_are_told_and_do_not_fail(since, whole):
    """A share that grew tenfold, a cell that vanished, one that is new, a version that moved."""
    quantity = "b_next"
    before = using(whole, OTHER, quantity, 1e-5)
    before["provenance"]["numpy"] = "1.0"
    gone = json.loads(json.dumps(cells(before)[CELL]).replace("float64", "float8"))
    before["plan"] = [name.replace(CELL, gone["id"]) for name in before["plan"]]
    before["cells"] = [gone if cell["id"] == CELL else cell for cell in before["cells"]]
    status, printed, changes = since(before)
    assert status == 0
    told = {change["what"]: (change["before"], change["now"]) for change in changes}
    assert told[gone["id"]] == ("agrees, 2 steps", "not planned")
    assert told[CELL] == ("not planned", "agrees, 2 steps")
    assert told["provenance, numpy"] == ("1.0", whole["provenance"]["numpy"])
    assert told[f"{OTHER}, largest share of {quantity}, local"][0] == "1e-05"
    assert len(told) == 4
    assert len(printed) == 5


def test_share_that_grew_less_is_not_told(since, whole):
    """Negative control: ninefold is no change."""
    (verdict,) = (v for v in cells(whole)[OTHER]["verdicts"]
                  if (v["quantity"], v["certificate"]) == ("b_next", "local"))  # fmt: skip
    share = verdict["worst"]["share"]
    assert since(using(whole, OTHER, "b_next", share / 9))[2] == []
    assert len(since(using(whole, OTHER, "b_next", share / 11))[2]) == 1


def test_shard_is_held_against_its_own_cells(since, whole):
    """The cells of the other shards have not vanished."""
    assert since(whole, "--shard", "1/3")[2] == []


def test_verdict_that_turned_is_told_first(since, whole):
    """What disagreed before and agrees now is a change; the status is that of this run."""
    status, _, changes = since(disagreeing(whole, CELL, "dW"))
    assert status == 0
    assert changes[0] == {"what": CELL, "before": "disagrees, 2 steps", "now": "agrees, 2 steps"}
