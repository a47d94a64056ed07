"""Every trap is caught where it is declared, with the declared cause, and its correct port passes."""

import argparse
import json
from dataclasses import replace
from functools import cache

import pytest

from ports.commands import traps as command
from ports.commands.parser import BadArgument
from ports.diagnosis import UNEXPLAINED
from ports.registry import PORTS
from ports.traps import GALLERY, Stale, run, wrong_module, wrong_port, wrong_source
from ports.traps.fixtures import FIXTURES
from ports.traps.naive import rejects
from ports.traps.outcome import diagnosis_of

STEPS = 2  # each trap declares step 0 or 1
NAMED_RIGHTLY = 0.97  # the share of causes that the diagnosis must name
#: Traps whose cause the diagnosis does not name. One that it learns to name must leave this list.
NOT_NAMED = {"other_models_weights"}  # the other weights are nowhere in the record


@pytest.fixture(params=GALLERY)
def trap(request):
    """Each trap whose framework is here."""
    trap = GALLERY[request.param]
    if absence := trap.twin.absence():
        pytest.skip(absence)
    return trap


@cache
def wrong_run(name):
    """One run of a wrong port, for all tests of it."""
    wrong = wrong_port(GALLERY[name])
    return wrong, run(wrong, GALLERY[name], STEPS)


@cache
def diagnosis(name):
    """Its diagnosis."""
    return diagnosis_of(wrong_run(name)[0], GALLERY[name], wrong_run(name)[1])


@cache
def twin_run(port, model, fixture, dtype):
    """One run of the correct port on each problem."""
    trap = next(
        t
        for t in GALLERY.values()
        if (t.port, t.model, t.fixture, t.dtype) == (port, model, fixture, dtype)
    )
    return run(trap.twin, trap, STEPS)


def test_caught_where_declared(trap):
    """The run disagrees, first at the declared step in the declared quantity."""
    _, result = wrong_run(trap.name)
    assert not result.agrees
    assert not result.error
    step, finding = result.first_failures()[0]
    assert (step, finding.quantity) == (trap.step, trap.blames)


def test_the_correct_twin_passes(trap):
    """The port without the wrong line agrees on the same problem and steps."""
    result = twin_run(trap.port, trap.model, trap.fixture, trap.dtype)
    assert result.agrees, result.first_failures() or result.error


def test_cause(trap):
    """The diagnosis names the declared cause, unless the trap is listed, and no wrong one as certain."""
    found = diagnosis(trap.name)
    named = found.cause == trap.cause
    assert named == (trap.name not in NOT_NAMED), found.sentence
    assert not (found.certain and (not named or found.cause == UNEXPLAINED))
    assert trap.blames in found.sentence


def test_share_of_causes_named_rightly():
    """Most causes are named, even if traps declared as unexplained count as misses."""
    for trap in GALLERY.values():
        if absence := trap.twin.absence():
            pytest.skip(f"the share is that of the whole gallery: {absence}")
    right = {t.name for t in GALLERY.values() if diagnosis(t.name).cause == t.cause != UNEXPLAINED}
    assert len(right) >= NAMED_RIGHTLY * len(GALLERY), sorted(set(GALLERY) - right)


def test_gallery_covers_ports_models_and_problems():
    """At least 90 traps, each port, each model, each problem."""
    assert len(GALLERY) >= 90
    assert {trap.port for trap in GALLERY.values()} == set(PORTS)
    assert {trap.model for trap in GALLERY.values()} >= {"softmax", "two_layer", "spiral"}
    assert {trap.fixture for trap in GALLERY.values()} == set(FIXTURES)


def test_stale_trap_is_refused(trap):
    """A trap whose snippet is gone, or not unique in a definition, is an error."""
    with pytest.raises(Stale, match="no longer has"):
        wrong_source(replace(trap, right="text that no port has"))
    with pytest.raises(Stale, match="times in one definition"):
        wrong_source(replace(trap, right="["))


def test_wrong_line_is_in_tracebacks(trap):
    """The made module's source can be read, as a traceback or a compiler does."""
    import inspect

    assert inspect.getsource(wrong_module(trap)) == wrong_source(trap) != inspect.getsource(trap.module)


# The naive checks and the command


def test_naive_check_without_a_tensor_rejects():
    """A port that shows nothing to compare is rejected, not passed."""

    def never(got, expected):
        raise NotImplementedError

    assert rejects(never, [None])
    assert not rejects(never, [])


def test_command(capsys, tmp_path):
    """The table, the totals and the JSON agree; unknown traps are named."""
    pytest.importorskip("torch")
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    file = tmp_path / "traps.json"
    names = ["loss_not_averaged", "log_of_p_plus_epsilon"]
    args = parser.parse_args([*names, "--steps", "2", "--json", str(file)])
    assert command.run(args) == 0
    shown = capsys.readouterr().out
    assert "+ data_loss = torch.sum(correct_logprobs)" in shown
    assert "caught: 2/2" in shown
    document = json.loads(file.read_text())
    assert document["totals"]["caught"] == 2
    assert document["totals"]["caught by np.testing.assert_allclose"] == 1
    assert [t["trap"]["name"] for t in document["traps"]] == names
    with pytest.raises(BadArgument, match="did you mean loss_not_averaged"):
        parser.parse_args(["loss_not_average"])
