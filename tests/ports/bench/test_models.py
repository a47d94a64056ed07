"""`lockstep bench --only models`: what the networks of docs/examples cost. Nothing depends on speed."""

import numpy as np
import pytest

from ports.bench import models, steps
from ports.bench.measuring import QUICK, SKIPPED
from ports.registry import FRAMEWORKS
from ports.user_reference import load_reference
from reference.agreement.judge import certify_steps
from reference.models import MODELS

HERE = pytest.mark.skipif(
    any(FRAMEWORKS[name].absence() for name in ("torch", "jax")), reason="the examples' ports need both"
)


def test_every_example_with_a_reference_is_measured():
    """The folders are found, not listed."""
    found = [folder.name for folder in models.networks(models.EXAMPLES)]
    assert {"dropout", "attention", "vae"} <= {*found}
    assert found == sorted(found)


def test_an_installation_says_that_it_has_no_examples(tmp_path, monkeypatch):
    """One row, without a figure, says what to do."""
    monkeypatch.setattr(models, "EXAMPLES", tmp_path / "docs" / "examples")
    (found,) = models.models(QUICK)
    assert (found.verdict, found.figure) == (SKIPPED, None)
    assert "run from a checkout" in found.skipped


def test_a_network_without_a_port_says_so(tmp_path):
    """Where the framework of no port is installed, there is nothing to certify."""
    source = (models.EXAMPLES / "adam" / "reference.py").read_text()
    (tmp_path / "reference.py").write_text(source)
    (found,) = models.network_rows(QUICK, tmp_path)
    assert (found.verdict, found.skipped) == (SKIPPED, "the framework of no port is installed")


@HERE
def test_a_network_is_certified_as_the_engine_does_it(monkeypatch):
    """Both ports, as many steps as the engine judges at once; and the note's networks are back."""
    before, seen = dict(MODELS), []

    def seen_rows(effort, title, problem, stack, goals):
        seen.append((title, stack, goals))
        return []

    monkeypatch.setattr(models, "certificate_rows", seen_rows)
    assert list(models.network_rows(QUICK, models.EXAMPLES / "svm_hinge")) == []
    (title, alone, no_goals), (also_title, engines, goals) = seen
    assert title == also_title == ("models", "svm_hinge")
    assert (len(alone.ports), alone.steps, no_goals) == (1, 1, {})
    assert [port.framework.name for port in engines.ports] == ["jax", "torch"]
    assert engines.steps * len(engines.ports) == steps.STACK
    assert set(goals.values()) == {models.NAIVE_GOAL}
    assert before == MODELS


@HERE
def test_both_sides_look_at_a_networks_tensors():
    """Negative control: a tensor that was changed fails the naive check and the certificate."""
    folder = models.EXAMPLES / "svm_hinge"
    problem = load_reference(folder / "reference.py").start(np.random.RandomState(0))
    here = models.ports_of(folder)
    ran = steps.run_steps(problem, here, 1)
    steps.certificate_contestants(here, ran)["assert_allclose"]()
    assert worst_share(ran, here) <= 1
    ran[0][2][1]["loss"] += 1
    with pytest.raises(AssertionError):
        steps.certificate_contestants(here, ran)["assert_allclose"]()
    assert worst_share(ran, here) > 1


def worst_share(ran, here):
    """The largest share of a bound that a port used at the first of these steps."""
    start, _, traces = ran[0]
    compared = certify_steps([start], [traces], here[0].host.arithmetic("cpu", "float64")).compared
    return max(of_quantity.held.shares.max() for of_quantity in compared)
