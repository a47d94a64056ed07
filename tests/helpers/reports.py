"""Reports of `lockstep compare` for the tests of merging: real ones, and others made from them."""

import copy
import json

from ports.__main__ import main

FEW = ["--port", "numpy", "--model", "spiral", "--model", "softmax", "--points", "5", "--steps", "2"]


def compare(path, *options):
    """Run a few cells and return what was written. The command must certify."""
    assert main(["compare", *FEW, *options, "--json", str(path)]) == 0
    return json.loads(path.read_text(encoding="utf-8"))


def written(path, report):
    """Write a report, and return the path as a word of the command line."""
    path.write_text(json.dumps(report), encoding="utf-8")
    return str(path)


def renamed(report, machine, **facts):
    """The same report from another machine."""
    return copy.deepcopy(report) | {"machine": machine, "provenance": report["provenance"] | facts}


def disagreeing(report, cell, quantity, share=310.0):
    """The same report, with one local verdict that fails and everything that follows from that."""
    other = copy.deepcopy(report)
    (place,) = (c for c in other["cells"] if c["id"] == cell)
    (verdict,) = (
        v for v in place["verdicts"] if v["quantity"] == quantity and v["certificate"] == "local"
    )
    verdict["worst"]["share"] = share
    verdict |= {"first_failure": verdict["worst"], "failed_steps": 1}
    verdict["agrees"] = place["agrees"] = other["agrees"] = False
    return other


def using(report, cell, quantity, share):
    """The same report, with another share of one quantity's bound used."""
    other = disagreeing(report, cell, quantity, share)
    (place,) = (c for c in other["cells"] if c["id"] == cell)
    for verdict in place["verdicts"]:
        if verdict["failed_steps"]:
            verdict |= {"first_failure": None, "failed_steps": 0, "agrees": True}
    place["agrees"] = other["agrees"] = True
    return other
