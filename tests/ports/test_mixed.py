"""A port in mixed precision declares its formats; the cells, the forms and the bounds follow that."""

from types import ModuleType

import pytest

from ports.contract import LoadedPort
from ports.engine.matrix import chosen_by
from ports.engine.selection import Absent, choose, one_cell, plan
from ports.mixed import declared, declared_by, problem_of
from ports.registry import FRAMEWORKS, PORTS
from reference.agreement.arithmetic import BFLOAT16, FLOAT16, FLOAT32
from reference.models import SOFTMAX, TWO_LAYER

LAYERS = {"scores": "bfloat16", "dscores": "bfloat16"}
KNOWN = tuple(TWO_LAYER.quantities)


def port_with(**names):
    """A NumPy port whose module has these names."""
    module = ModuleType("mine")
    vars(module).update(names, softmax_step=lambda *_: {})
    return LoadedPort("mine", "mine", FRAMEWORKS["numpy"], loaded=module)


@pytest.mark.parametrize(
    ("dtypes", "scales", "sentence"),
    [
        (["scores"], {}, "quantity_dtypes is of type list, expected a dict by quantity"),
        ({}, 1024.0, "quantity_scales is of type float, expected a dict by quantity"),
        ({"score": "bfloat16"}, {}, "names 'score', which is no quantity: did you mean scores?"),
        ({"scores": "float32"}, {}, "says scores is 'float32', expected bfloat16 or float16"),
        ({"scores": "bfloat16", "dscores": "float16"}, {}, "expected one 16-bit dtype"),
        (LAYERS, {"dhidden": 2.0}, "names 'dhidden', which is not among quantity_dtypes"),
        ({"products": "float16"}, {"products": 2.0}, "names 'products', which is not among"),
        (LAYERS, {"dscores": 1000.0}, "says dscores is stored times 1000.0, expected a power of 2"),
        (LAYERS, {"dscores": 0}, "expected a power of 2"),
        (LAYERS, {"dscores": float("inf")}, "expected a power of 2"),
        (LAYERS, {"dscores": "1024"}, "expected a power of 2"),
    ],
)
def test_wrong_declaration_gets_a_sentence(dtypes, scales, sentence):
    """It says what was found and what was expected."""
    assert sentence in problem_of(dtypes, scales, KNOWN)


@pytest.mark.parametrize(
    "dtypes", [{}, LAYERS, {"products": "bfloat16"}, LAYERS | {"products": "bfloat16"}]
)
def test_right_declaration_gets_none(dtypes):
    """Quantities, the products alone, both, or nothing at all."""
    scales = {"dscores": 2.0**10} if "dscores" in dtypes else {}
    assert problem_of(dtypes, scales, KNOWN) is None


def test_declaration_is_read_from_the_module():
    """What is narrower, and times what. Without the names, nothing is."""
    module = ModuleType("mine")
    assert declared_by(module) is None
    module.quantity_dtypes, module.quantity_scales = LAYERS, {"dscores": 8.0}
    mixed = declared_by(module)
    assert mixed.dtypes == {"products": "bfloat16"} | LAYERS
    assert [mixed.dtype_of(name) for name in ("scores", "dscores", "W")] == [
        "bfloat16",
        "float32",
        "float32",
    ]
    assert declared(mixed.dtypes, mixed.scales) == mixed


def test_arithmetic_follows_the_declaration():
    """The products, and the named quantities, are computed in what the host promises of the dtype."""
    mixed = declared({"scores": "float16", "dscores": "float16"}, {"dscores": 2.0**10})
    made = mixed.applied(FLOAT32, FLOAT16)
    assert made.name == "float32"
    assert made.of_products == made.format_of("scores") == FLOAT16
    assert made.format_of("dscores") == FLOAT16.scaled(2.0**10)
    assert made.format_of("probs") is made
    assert [made.dtype_of(name) for name in ("scores", "dscores")] == ["float16", "float32"]
    assert mixed.applied(FLOAT32, FLOAT16) == made != mixed.applied(FLOAT32, BFLOAT16)


def test_range_of_scaled_numbers_moves():
    """Of what is multiplied by 1024, numbers a 1024th as large are lost, and a 1024th overflow."""
    scaled = FLOAT16.scaled(2.0**10)
    assert scaled.roundoff == FLOAT16.roundoff
    assert scaled.flush * 2**10 == FLOAT16.flush
    assert scaled.largest * 2**10 == FLOAT16.largest
    assert scaled.inside.largest * 2**10 == FLOAT32.largest
    assert scaled.scaled(2.0**-10) == FLOAT16


def test_port_runs_where_its_host_has_both_dtypes():
    """NumPy's has no 16 bits: its ports in mixed precision are not in the matrix."""
    assert port_with(quantity_dtypes=LAYERS).dtypes("cpu") == ()
    planned, skipped = plan(choose(["softmax"], [port_with(quantity_dtypes=LAYERS)]))
    assert not planned
    assert [skip.reason for skip in skipped] == ["cpu has no bfloat16"]


def test_other_dtype_is_refused_in_a_sentence():
    """It says which dtype to ask for."""
    sentence = "it computes in bfloat16 with float32 parameters: --dtype float32 runs it"
    with pytest.raises(Absent, match=f"^mine cannot run here: {sentence}$"):
        one_cell(SOFTMAX, port_with(quantity_dtypes=LAYERS), None, "cpu", "float64")


def test_cells_of_the_mixed_ports():
    """float32, in the natural mode, at steps that 16 bits can follow; both modes if asked for."""
    ports = [port for port in PORTS.values() if not port.absence() and port.mixed]
    if not ports:
        pytest.skip("no framework with a port in mixed precision is here")
    planned, _ = plan(choose(["two_layer"], ports))
    assert {p.cell.dtype for p in planned} == {"float32"}
    assert all(p.cell.mode == p.port.host.natural_mode for p in planned)
    assert {max(chosen_by(p)) for p in planned} == {199}
    both, _ = plan(choose(["two_layer"], ports, dtypes=["float32"]))
    assert len(both) > len(planned) == len(ports)
