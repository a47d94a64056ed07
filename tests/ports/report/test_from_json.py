"""Reading a report: what was written comes back, and what is broken is one sentence."""

import copy
import json
from pathlib import Path

import pytest
from reports import compare, written

from ports.__main__ import main
from ports.report.as_json import of_compare
from ports.report.from_json import read_report


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A report of a few cells."""
    return compare(tmp_path_factory.mktemp("whole") / "whole.json")


def test_report_comes_back(whole, tmp_path):
    """Reading and writing again gives the same, number for number."""
    path = tmp_path / "whole.json"
    written(path, whole)
    assert of_compare(read_report(path)) == whole


@pytest.mark.parametrize("how", ["wrong", "stops", "lacks"])
def test_report_of_a_failure_comes_back(how, tmp_path):
    """So do a disagreement with NaN, a run that ended early, and a quantity that is missing."""
    broken = {
        "wrong": "trace['dW'] = trace['dW'] * float('nan')",
        "stops": "assert params['W'].any() == 0",
        "lacks": "del trace['db']",
    }[how]
    file, path = tmp_path / f"{how}.py", tmp_path / "report.json"
    file.write_text(
        "from ports.in_numpy.reference import softmax_step as right\n"
        "def softmax_step(params, *inputs):\n"
        "    trace = right(params, *inputs)\n"
        f"    {broken}\n"
        "    return trace\n"
    )
    few = ["--model", "softmax", "--steps", "2", "--points", "5"]
    assert main(["compare", *few, "--port", str(file), "--json", str(path)]) in (1, 2)
    report = json.loads(path.read_text(encoding="utf-8"))
    assert not report["agrees"]
    assert of_compare(read_report(path)) == report


def leaves(place, path=()):
    """The path of every value in a report."""
    for key, value in place.items() if isinstance(place, dict) else enumerate(place):
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, key))


def refusal(path):
    """Why a report is refused, or None."""
    try:
        read_report(path)
    except ValueError as why:
        return str(why)
    return None


def followed_less(report, certificate):
    """The same report, where a cell has one step less under a certificate."""
    report = copy.deepcopy(report)
    cell = next(c for c in report["cells"] if c["model"] == "softmax")
    for verdict in (v for v in cell["verdicts"] if v["certificate"] == certificate):
        size = verdict["elements"] // verdict["steps"]
        for place, field, less in (
            (verdict, "steps", 1),
            (verdict, "elements", size),
            (report, "comparisons", 1),
            (report, "elements", size),
        ):
            place[field] -= less
    return report, cell


@pytest.mark.parametrize("certificate", ["local", "end to end"])
def test_end_of_the_bounds_from_the_weights_excuses_what_is_missing(certificate, whole, tmp_path):
    """With a reason a cell may have fewer steps end to end, but not fewer locally."""
    path = tmp_path / "report.json"
    report, cell = followed_less(whole, certificate)
    written(path, report)
    assert "steps, and the cell ran" in refusal(path)
    cell["local_alone"] = {"step": 1, "why": "step 1: a divisor may be 0"}
    written(path, report)
    if certificate == "local":
        assert "steps, and the cell ran" in refusal(path)
    else:
        assert of_compare(read_report(path)) == report


def test_no_broken_report_raises_anything_else(whole, tmp_path):
    """Any value of a small report replaced by any kind of JSON: a report or one sentence, never more."""
    cell = whole["cells"][0]
    counts = {name: sum(v[field] for v in cell["verdicts"])
              for name, field in (("comparisons", "steps"), ("elements", "elements"))}  # fmt: skip
    small = whole | {"plan": [cell["id"]], "cells": [cell]} | counts
    read_report(Path(written(tmp_path / "small.json", small)))
    path = tmp_path / "broken.json"
    for place in leaves(small):
        for value in (None, [], {}, "", -1, 0.5, True, [[]], "nan"):
            broken = copy.deepcopy(small)
            inner = broken
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = value
            written(path, broken)
            told = refusal(path)
            assert told is None or (str(path) in told and "\n" not in told)
