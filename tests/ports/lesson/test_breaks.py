"""The breaks of the lesson: chosen widely, made as the gallery declares, and else refused."""

from dataclasses import replace

import pytest

from ports import contract
from ports.lesson import breaks
from ports.lesson.breaks import BREAKS, UPDATES, absent_breaks, break_of, changed_lines, made_breaks
from ports.registry import FRAMEWORKS
from ports.traps import GALLERY, run, wrong_port
from ports.traps.outcome import Judge
from reference.agreement.judge import LOCAL

TIES = {
    "numpy": "tie_gradient_one_numpy",
    "torch": "tie_gradient_half",
    "jax": "tie_gradient_half_jax",
}


@pytest.fixture(scope="module")
def made():
    """Every break that can be made here, by name."""
    return {one.name: one for one in made_breaks()}


def test_breaks_cover_models_and_frameworks():
    """At least 12, of both models and all frameworks, with a tie of the ReLU in each framework."""
    traps = [GALLERY[name] for name in BREAKS]
    assert len(set(BREAKS)) == len(BREAKS) >= 12
    assert {trap.model for trap in traps} == {"softmax", "two_layer"}
    assert {trap.twin.framework.name for trap in traps} == set(FRAMEWORKS)
    assert set(TIES.values()) <= set(BREAKS)


def test_every_break_is_made(made):
    """Those whose packages are here are made, and the others are named with the reason."""
    assert list(made) == [name for name in BREAKS if name not in absent_breaks()]
    for one in made.values():
        trap = GALLERY[one.name]
        assert (one.step, one.blamed, one.states[one.blamed]) == (trap.step, trap.blames, "wrong")
        assert one.right != one.wrong
        assert one.blamed in one.sentence
        assert len(one.naive) == 3


def test_states_are_those_of_the_run(made):
    """What fails locally in a run of the gallery is wrong; what fails end to end alone follows."""
    for name in ("regularized_with_the_gradient", "averaged_in_every_layer"):
        result = run(wrong_port(GALLERY[name]), GALLERY[name], 1)
        failed = {key for key, verdict in result.verdicts.items() if not verdict.agrees}
        wrong = {quantity for quantity, certificate in failed if certificate == LOCAL}
        expected = {quantity: "wrong" if quantity in wrong else "follows" for quantity, _ in failed}
        assert made[name].states == expected
        assert set(expected.values()) == {"wrong", "follows"}


def test_ties_are_blamed_on_the_gradient_behind_the_relu(made):
    """d2l's relu in each framework: a half in PyTorch and JAX, and 1 for `z < 0` in NumPy."""
    causes = {"numpy": "ties one", "torch": "ties half", "jax": "ties half"}
    for framework, name in TIES.items():
        if name in made:
            assert (made[name].blamed, made[name].cause) == ("dhidden", causes[framework])


def test_a_loss_curve_tells_some_breaks_and_not_others(made):
    """Both curves have every update; one silent break is on the reference's, one loud break is not."""
    for one in made.values():
        assert len(one.losses.port) == len(one.losses.reference) == UPDATES
    silent = made["tie_gradient_one_numpy"].losses
    assert silent.port == pytest.approx(silent.reference, rel=1e-9)
    loud = made["averaged_in_every_layer"].losses
    assert loud.port[-1] > 1.2 * loud.reference[-1]


def test_changed_lines_are_whole_lines_of_the_file():
    """The line around a snippet, before and after."""
    right, wrong = changed_lines(GALLERY["averaged_in_every_layer"])
    assert right == ("dhidden = np.dot(dscores, W2.T)",)
    assert wrong == ("dhidden = np.dot(dscores, W2.T) / num_examples",)


def test_changed_lines_may_be_more_or_fewer_than_before():
    """Three lines for one, and none for one."""
    pytest.importorskip("torch")
    right, wrong = changed_lines(GALLERY["tie_gradient_half"])
    assert (len(right), len(wrong)) == (1, 3)
    right, wrong = changed_lines(GALLERY["gradient_not_averaged"])
    assert (right, wrong) == (("dscores /= num_examples  # (N, K)",), ())


def test_what_is_not_caught_as_declared_is_no_break():
    """A right port, and a trap that blames another quantity, are refused by name."""
    trap = GALLERY["averaged_in_every_layer"]
    for other in (replace(trap, wrong=trap.right), replace(trap, blames="dW")):
        with pytest.raises(ValueError, match="averaged_in_every_layer is not caught"):
            break_of(Judge(2).outcome(other))


def test_a_break_of_a_wrong_port_is_left_out(monkeypatch):
    """If the right twin disagrees too, the port itself is wrong, and the other breaks are made."""
    outcome, done = Judge.outcome, []

    def twin_is_wrong(self, trap):
        made = outcome(self, trap)
        return replace(made, twin_agrees=trap.name != "tie_gradient_one_numpy")

    monkeypatch.setattr(Judge, "outcome", twin_is_wrong)
    names = ("tie_gradient_one_numpy", "averaged_in_every_layer")
    assert [made.name for made in made_breaks(lambda: done.append(1), names)] == [names[1]]
    assert len(done) == 2


def test_an_absent_framework_is_skipped_and_named(monkeypatch):
    """Without PyTorch, its breaks are left out, with the reason, and the others are made."""
    missing = contract.missing_packages
    monkeypatch.setattr(
        contract,
        "missing_packages",
        lambda who, packages: f"{who} needs torch" if "torch" in packages else missing(who, packages),
    )
    monkeypatch.setattr(breaks, "break_of", lambda outcome: outcome.trap.name)
    names = ("tie_gradient_half", "averaged_in_every_layer")
    done = []
    assert made_breaks(lambda: done.append(1), names) == ["averaged_in_every_layer"]
    assert done == [1]
    assert absent_breaks()["tie_gradient_half"] == "torch_autograd needs torch"
