"""docs/own.md: its reference is one, its route is one, and its commands run."""

import re
from pathlib import Path

import numpy as np
import pytest

from ports.__main__ import main
from reference.agreement.arithmetic import FLOAT32
from reference.agreement.bounds import end_to_end
from reference.own import own_model
from reference.trace import record

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "own.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, flags=re.DOTALL)
REFERENCE, ROUTE = (code for kind, code in BLOCKS if kind == "python")
#: The first command writes a file, and the self-test, the longest, has tests of its own.
COMMANDS = [
    line.removeprefix("$ lockstep ")
    for kind, text in BLOCKS
    if kind == "console"
    for line in text.splitlines()
    if "--new-reference" not in line and "--self-test" not in line
]


def defined(code):
    """The names that a block of the page defines."""
    names = {}
    exec(code, names)
    return names


def test_reference_of_the_page_is_one():
    """It is accepted, and trains: its loss falls."""
    page = defined(REFERENCE)
    model = own_model("page", "Page", page["init"], page["batch"], page["step"])
    problem = model.start(np.random.RandomState(0))
    first = record(problem)
    later = record(problem.starting_from(model.next_params(first)))
    assert later["loss"] < first["loss"]


def test_route_of_the_page_is_one():
    """It gives what the other formula gives, and its bound covers both."""

    def step(params, batch, tap):
        scores = tap("scores", batch["X"] @ params["W"])
        e = np.exp(scores)
        tap("log_probs", np.log(e / np.sum(e, axis=1, keepdims=True)))
        return {"W": tap("W_next", params["W"] * 1.0)}

    page = defined(REFERENCE)
    given = lambda rng: {"W": page["init"](rng)["W"]}, page["batch"], step
    plain, routed = (
        own_model("page", "Page", *given, routes=routes) for routes in (None, defined(ROUTE)["routes"])
    )
    start = plain.start(np.random.RandomState(0)).held_as("float32")
    one, both = (end_to_end(m.start(np.random.RandomState(0)), FLOAT32) for m in (plain, routed))
    single = start.params["W"].astype(np.float32), np.float32(start.batch["X"])
    other = defined(ROUTE)["from_the_scores"]({"scores": single[1] @ single[0]})
    assert np.all(np.abs(other - both["log_probs"].value) <= both["log_probs"].errors())
    assert np.any(both["log_probs"].errors() > one["log_probs"].errors())


@pytest.mark.parametrize("command", COMMANDS)
def test_command_of_the_page_runs(command, monkeypatch, capsys):
    """From the checkout, as it stands there."""
    pytest.importorskip("jax")
    monkeypatch.chdir(ROOT)
    assert main(command.split()) == 0
    assert capsys.readouterr().out


def test_links_of_the_page_lead_somewhere():
    """To files that are there."""
    targets = re.findall(r"\]\(([^)#]+)", PAGE)
    assert targets
    assert all((ROOT / "docs" / target).exists() for target in targets)
