"""The merged matrix as JUnit XML: a suite per machine, a test case per verdict."""

import re
from collections.abc import Mapping
from xml.etree import ElementTree

from ports.engine.machines import Machine, Merged
from ports.engine.results import CellResult, Verdict
from ports.report.matrix import sentence
from ports.report.merged import NOWHERE, UNVERIFIED

#: What XML 1.0 cannot hold, even escaped: control characters, lone surrogates, and two more.
NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(merged: Merged) -> str:
    """The whole file. Unverified cells and hidden quantities are skipped tests, with the reason."""
    root = ElementTree.Element("testsuites", name="lockstep")
    for machine in merged.machines:
        _add_machine(root, machine)
    if merged.unverified:
        suite = _add(root, "testsuite", name=NOWHERE)
        for cell in merged.unverified:
            _add(_case(suite, str(cell), UNVERIFIED), "skipped", message="no machine has run it")
    for suite in root:
        suite.attrib |= _counts(suite)
    root.attrib |= _counts(root)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


def _add_machine(root: ElementTree.Element, machine: Machine) -> None:
    suite = _add(root, "testsuite", name=machine.name)
    properties = _add(suite, "properties")
    for report in machine.reports:
        for name, fact in report.provenance.items():
            _add(properties, "property", name=f"{report.source}: {name}", value=fact)
    for result in machine.results:
        _add_cell(suite, result)
    if not machine.results:
        _add(_case(suite, machine.name, "cells"), "failure", message="nothing was compared")
    for skipped in machine.skipped:
        _add(_case(suite, skipped.what, "cell"), "skipped", message=skipped.reason)


def _add_cell(suite: ElementTree.Element, result: CellResult) -> None:
    name = str(result.cell)
    if result.error:
        _add(_case(suite, name, "run"), "error", message=result.error)
    elif not result.comparisons:
        _add(_case(suite, name, "run"), "failure", message="nothing was compared")
    for quantity, reason in result.hidden.items():
        _add(_case(suite, name, quantity), "skipped", message=f"declared hidden: {reason}")
    for (quantity, certificate), verdict in result.verdicts.items():
        _add_failure(_case(suite, name, f"{quantity}-{certificate.replace(' ', '_')}"), verdict)


def _add_failure(case: ElementTree.Element, verdict: Verdict) -> None:
    if verdict.first is not None:
        _add(case, "failure", message=sentence(verdict.first_step, verdict.first))
    elif not verdict.agrees:
        _add(case, "failure", message="nothing was compared")


def _case(suite: ElementTree.Element, classname: str, name: str) -> ElementTree.Element:
    return _add(suite, "testcase", classname=classname, name=name)


def _add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    clean = {name: NOT_XML.sub("?", value) for name, value in attributes.items()}
    return ElementTree.SubElement(parent, tag, clean)


def _counts(element: ElementTree.Element) -> Mapping[str, str]:
    """How many tests there are below an element, and how they ended."""
    kinds = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}
    return {name: str(sum(1 for _ in element.iter(tag))) for name, tag in kinds.items()}
