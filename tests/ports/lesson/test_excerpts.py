"""Code is cut from the sources, and follows them when they change."""

import inspect
from pathlib import Path

import pytest

from ports.lesson.excerpts import ROOT, NoExcerpt, Source
from ports.lesson.lesson import REFERENCE, code_of, ports_here, reference_code, spiral_code
from ports.registry import PORTS
from ports.traps.gallery import executed
from reference.models import MODELS


def shown(code, quantity):
    """The text of an excerpt."""
    return [line.text for line in code.lines[quantity]]


@pytest.fixture(scope="module")
def code():
    """Every excerpt of the ports that are here, by part and port."""
    return reference_code() | {
        key: value for port in ports_here() for key, value in code_of(port).items()
    }


def test_every_line_is_the_files_own(code):
    """A line stands in its file under its number, with less indentation at most."""
    assert code
    for excerpts in code.values():
        text = Path(ROOT, excerpts.file).read_text().splitlines()
        for lines in excerpts.lines.values():
            for line in lines:
                assert text[line.number - 1].endswith(line.text)
                assert text[line.number - 1].strip() == line.text.strip()


def test_every_quantity_that_a_port_shows_has_lines(code):
    """Each quantity of each model has lines that name it, unless the port declares it hidden."""
    for (part, port), excerpts in code.items():
        if part in MODELS:
            hidden = {} if port == REFERENCE else PORTS[port].hidden_quantities
            assert {*excerpts.lines} == {*MODELS[part].quantities} - {*hidden}
            assert all(excerpts.lines.values())


def test_what_leads_to_a_quantity_is_shown():
    """A quantity is followed back through its own names, and no farther than other quantities."""
    two_layer = reference_code()["two_layer", REFERENCE]
    assert shown(two_layer, "probs")[0] == "exp_scores = np.exp(scores)"
    assert [text.split(" ")[0] for text in shown(two_layer, "dhidden")] == [
        "dhidden",
        "dhidden[hidden_layer",
        "dhidden",
    ]
    assert len(shown(two_layer, "dW")) == 1


def test_gradients_by_autograd_show_the_call():
    """The gradient of a port with autograd shows what it differentiates, and its call."""
    pytest.importorskip("torch")
    autograd = code_of(PORTS["torch_autograd"])["softmax", "torch_autograd"]
    assert any("torch.autograd.grad(" in text for text in shown(autograd, "dscores"))
    library = code_of(PORTS["torch_library"])["softmax", "torch_library"]
    assert 'trace["data_loss"].backward()' in shown(library, "dscores")
    assert "self.optimizer.step()" not in shown(library, "dscores")
    assert "self.optimizer.step()" in shown(library, "W_next")


def test_a_function_of_the_same_file_is_followed():
    """Of a function that a step calls, the lines that compute the quantity are shown."""
    pytest.importorskip("torch")
    autograd = code_of(PORTS["torch_autograd"])["softmax", "torch_autograd"]
    assert any(text.startswith("exp_scores = torch.exp(scores - ") for text in shown(autograd, "probs"))
    assert not any("torch.log" in text for text in shown(autograd, "probs"))


def test_the_generator_is_shown_whole_without_its_docstring():
    """All lines of the spiral but its docstring."""
    lines = shown(spiral_code(PORTS["numpy"].module.reference_spiral), "X")
    assert lines[0] == "def spiral("
    assert not any('"""' in text for text in lines)
    assert "return np.concatenate" in lines[-1]


def changed(old, new):
    """The source of the reference's two-layer step with something else in it."""
    text = inspect.getsource(inspect.getmodule(MODELS["two_layer"].step))
    assert old in text
    return Source(executed("changed", text.replace(old, new), f"<changed {new}>"), "step")


def test_a_change_in_the_source_changes_the_excerpt():
    """What is cut is the source as it is now."""
    source = changed(
        "exp_scores = np.exp(scores)", "shifted = scores - 1\n    exp_scores = np.exp(shifted)"
    )
    texts = [line.text for line in source.excerpts(["scores", "probs"])["probs"]]
    assert texts[:2] == ["shifted = scores - 1", "exp_scores = np.exp(shifted)"]


def test_a_quantity_that_is_not_computed_is_an_error():
    """A step without a tap is told by the quantity's name."""
    source = changed('tap("dW2", ', '(lambda _, value: value)("dW2", ')
    with pytest.raises(NoExcerpt, match="step computes no dW2"):
        source.excerpts(["dW2"])
