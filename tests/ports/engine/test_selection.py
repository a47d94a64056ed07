"""Which cells run: the words of the options, and why they may be refused."""

import pytest

from ports.commands.arguments import select
from ports.engine.selection import plan, ports_of
from reference.models import SOFTMAX


def test_said_twice_counts_once():
    """A repeated word adds no cell, and no step is counted twice."""
    twice = ["softmax"] * 2, ["numpy"] * 2, ["eager"] * 2, ["cpu"] * 2, ["float64"] * 2
    cells, _ = plan(select(*twice))
    assert [str(p.cell) for p in cells] == ["softmax-numpy-eager-cpu-float64"]


def test_two_ports_of_one_name_are_refused(tmp_path):
    """Rows go by the port's name, so two ports of one name could not be told apart."""
    files = [tmp_path / folder / "my_port.py" for folder in ("right", "wrong")]
    for file in files:
        file.parent.mkdir()
        file.write_text("def softmax_step(params, X, y, reg, step_size):\n    return {}\n")
    with pytest.raises(ValueError, match=r"two ports are called my_port\.py: .* rename one"):
        select(ports=map(str, files))


def test_ports_that_are_not_named_have_the_dtype():
    """NumPy is left out in 16 bits; where no port has the dtype, each can say why."""
    pytest.importorskip("torch")
    everywhere, in_16_bits, nowhere = (
        {port.name for port in ports_of(SOFTMAX, "cpu", dtype)}
        for dtype in ("float64", "float16", "float8")
    )
    assert everywhere - in_16_bits == {"numpy"}
    assert nowhere == everywhere
