"""How tight the bounds are: the figures of `lockstep bounds`."""

from pathlib import Path

import numpy as np
import pytest

from ports.contract import Absent
from ports.engine.accuracy import accuracy_table, steps_mid_training
from ports.engine.matrix import exact_settings_of
from ports.engine.selection import natural_cells
from ports.registry import PORTS
from ports.user_port import find_port
from reference.agreement.arithmetic import Arithmetic
from reference.models import SOFTMAX, TWO_LAYER
from reference.runs import draw

ROOT = Path(__file__).parents[3]


def table(steps=(3,), ports=("numpy",), dtypes=("float32",), model=TWO_LAYER):
    """The accuracy in these ports, by step and dtype."""
    cells = natural_cells(model, [find_port(name) for name in ports], dtypes)
    problem = draw(np.random.RandomState(0)).problem(model)
    with exact_settings_of([port for _, port in cells]):
        return list(accuracy_table(problem, cells, steps))


def rows(*args, **kwargs):
    """The accuracy at the one step in the one dtype, as {quantity: row}."""
    (step,) = table(*args, **kwargs)
    assert not step.error
    return {row.quantity: row for row in step.rows}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_probable_bounds_lie_below_the_worst_case(dtype):
    """Everywhere at most, in a sum of 300 terms clearly; and no error is larger than its bound."""
    found = rows(dtypes=[dtype])
    assert list(found) == list(TWO_LAYER.quantities)
    for row in found.values():
        for certified in (row.local, row.end_to_end):
            assert max(certified.observed, certified.probable) <= certified.bound
    assert found["db"].local.probable < 0.5 * found["db"].local.bound
    assert found["loss"].local.probable == found["loss"].local.bound  # a single rounding


def test_wider_rule_moves_the_ratio(monkeypatch):
    """Negative control: ten times the constant of sums makes their bounds ten times less tight."""
    before, gamma_of = rows(), Arithmetic.gamma_of
    monkeypatch.setattr(Arithmetic, "gamma_of", lambda *args: 10 * gamma_of(*args))
    after = rows()
    assert after["db2"].local.ratio == pytest.approx(10 * before["db2"].local.ratio, rel=0.01)
    assert after["b_next"].local.ratio == before["b_next"].local.ratio


def test_error_larger_than_the_bound_shows():
    """Negative control: a ReLU that is wrong at 0 gives a ratio below 1, there alone."""
    pytest.importorskip("torch")
    found = rows((0,), ["numpy", str(ROOT / "docs/examples/my_port_wrong.py")])
    assert found["dhidden"].local.ratio < 1
    assert found["dhidden"].local.port == "my_port_wrong.py"
    assert all(row.local.ratio >= 1 for name, row in found.items() if name != "dhidden")


def test_nan_is_not_overlooked(tmp_path):
    """Negative control: a NaN takes the place of any number, of whichever port that is."""
    file, right = tmp_path / "nan.py", "db = np.sum(dscores, axis=0, keepdims=True)"
    source = (ROOT / "docs/examples/my_port_numpy.py").read_text(encoding="utf-8")
    assert source.count(right) == 1
    file.write_text(source.replace(right, f"{right} * np.nan"), encoding="utf-8")
    for ports in (["numpy", str(file)], [str(file), "numpy"]):
        found = rows((0,), ports, model=SOFTMAX)["db"].local
        assert found.port == "nan.py"
        assert np.isnan(found.observed)


def test_default_steps_lie_where_the_dtype_can_follow():
    """A tenth and half of the run; in 16 bits, of the part that is followed."""
    assert steps_mid_training(TWO_LAYER, "float32") == (1000, 5000)
    assert steps_mid_training(TWO_LAYER, "bfloat16") == (20, 100)
    assert steps_mid_training(SOFTMAX, "float64") == (20, 100)


def test_step_without_a_bound_says_so():
    """In float16, at step 900 of the run, exp overflows; the other steps have their figures."""
    pytest.importorskip("torch")
    first, last = table((10, 900), ["torch_manual"], ["float16"])
    assert first.rows
    assert not first.error
    assert last.error.startswith("step 900: exp(")
    assert not last.rows


def test_named_port_that_cannot_run_is_absent():
    """It is an error, and not left out; so is a dtype that no port has."""
    with pytest.raises(Absent, match="numpy"):
        natural_cells(TWO_LAYER, [PORTS["numpy"]], ["bfloat16"])
