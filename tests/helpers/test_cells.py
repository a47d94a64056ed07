"""How the plan is cut for the tests: each piece has its own name, and tests of a run stay together."""

from cells import pieces, scopes

from ports.engine.selection import Selection, plan
from ports.registry import PORTS

PLANNED, _ = plan(Selection(ports=(PORTS["numpy"],)))


def test_every_piece_has_its_own_name():
    """The long run is cut in two; nothing else has its steps in its name."""
    names = [str(piece) for piece in pieces(PLANNED)]
    assert len(set(names)) == len(names) == len(PLANNED) + 1
    assert [name for name in names if "steps" in name] == [
        "two_layer-numpy-eager-cpu-float64-steps_0_to_4999",
        "two_layer-numpy-eager-cpu-float64-steps_5000_to_9999",
    ]


def test_tests_of_one_run_stay_together():
    """The tests of half a run share a scope, the two halves do not; any other test is alone."""
    scope_of = scopes(PLANNED)
    cell = "two_layer-numpy-eager-cpu-float64"
    first, second = (f"{cell}-steps_{steps}" for steps in ("0_to_4999", "5000_to_9999"))
    claim = "tests/test_lockstep.py::test_"
    assert scope_of(f"{claim}lockstep[{first}-db-local]") == scope_of(f"{claim}every_step_ran[{first}]")
    assert scope_of(f"{claim}lockstep[{first}-db-local]") != scope_of(
        f"{claim}lockstep[{second}-db-local]"
    )
    planted = "tests/test_planted.py::test_planted_error["
    assert scope_of(f"{planted}{cell}-db]") == scope_of(f"{planted}{cell}-loss]")
    assert (
        scope_of("tests/ports/traps/test_traps.py::test_cause[a]") == "tests/ports/traps/test_traps.py"
    )
    alone = "tests/reference/test_runs.py::test_first_biases_are_zero[softmax]"
    assert scope_of(alone) == alone
