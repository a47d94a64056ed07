"""The section with the exercise and the golden values: they stand there, or what disagrees does."""

from dataclasses import replace

import pytest

pytest.importorskip("jinja2", reason="the lesson needs jinja2: pip install jinja2")

import jinja2
from elements import Elements

from ports.lesson.golden import Golden, GoldenStep, GoldenValues
from ports.report.lesson.words import say
from reference.models import SOFTMAX

VALUES = [
    Golden("scores", "(15, 3)", {"[1, 0]": "0.00110", "[1, 1]": "0.00229"}, "0.2193"),
    Golden("loss", "()", {"": "1.0984"}, ""),
]
GOLDEN = GoldenValues([GoldenStep(SOFTMAX, i, VALUES) for i in range(2)], ["numpy", "jax_manual"], [])


def rendered(golden) -> str:
    """The section."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ports.report.lesson", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("exercise.html.j2").render(golden=golden, say=say)


def test_values_are_shown():
    """Every number with its index, in a table for each step with a caption of its own."""
    html = rendered(GOLDEN)
    page = Elements(html)
    assert len(page.all("table")) == len(page.all("caption")) == 2
    assert len(set(page.ids)) == len(page.ids)
    assert "<code>[1, 0] 0.00110</code><br>" in html
    assert "<code> 1.0984</code>" in html
    assert html.count("0.2193") == 2
    assert "lockstep check --partial" in html


def test_values_that_a_port_contradicts_are_not_shown():
    """The page says what disagrees, in the place of the numbers."""
    html = rendered(replace(GOLDEN, disagreements=["numpy: softmax, step 0: dW <disagrees>"]))
    assert "numpy: softmax, step 0: dW &lt;disagrees&gt;" in html
    assert "0.00110" not in html
    assert Elements(html).all("table") == []
