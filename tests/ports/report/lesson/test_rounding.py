"""The section on rounding: the numbers of its data, words that exist, tables that can be read."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jinja2", reason="the lesson needs jinja2: pip install jinja2")

import jinja2
from elements import Elements
from markupsafe import Markup

import ports.report.lesson
from ports.engine.free_run import Flip, run_free
from ports.engine.lockstep import natural_cell
from ports.lesson.exponentials import exponentials
from ports.lesson.rounding import DTYPE, Errors, Rounding
from ports.lesson.sums import fused, sums
from ports.registry import PORTS
from ports.report.lesson.figures import rounding_figures
from ports.report.lesson.words import LANGUAGES, words
from reference.models import SOFTMAX, TWO_LAYER
from reference.runs import draw

FOLDER = Path(ports.report.lesson.__file__).parent
TEMPLATE = "rounding.html.j2"


WORDS = {language: dict(words(language)) for language in LANGUAGES}


@pytest.fixture(scope="module")
def data():
    """The data, of few steps."""
    draws = draw(np.random.RandomState(0))
    problem = draws.problem(TWO_LAYER)
    cell = natural_cell(problem.model.name, PORTS["numpy"], DTYPE)
    runs = run_free(problem, [(cell, PORTS["numpy"])], 5, members=1)
    errors = [Errors(name, [1, 2], [1e-5, 2e-5], {"numpy": [1e-8, 3e-8]}, []) for name in ("loss", "dW")]
    exps, absent = exponentials(draws.problem(SOFTMAX)), {"boxed": "boxed needs a <box>"}
    return Rounding(sums(problem), fused(problem), exps, errors, runs, absent)


def rendered(data) -> str:
    """The section with both languages."""

    def say(key, **given):
        texts = {lang: WORDS[lang][key].format(**given) for lang in WORDS}
        spans = (Markup('<span lang="{}">{}</span>').format(*text) for text in texts.items())
        return Markup("").join(spans)

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined
    )
    figures = {lang: rounding_figures(data, WORDS[lang].__getitem__) for lang in WORDS}
    return environment.get_template(TEMPLATE).render(rounding=data, say=say, figures=figures)


def test_every_number_stands_on_the_page(data):
    """Each digit of the data, with the digits that differ marked, and not by colour alone."""
    page = rendered(data)
    for one in data.sums:
        for row in (*one.running, *one.totals):
            marked = f"<mark><u>{row.sum.differs}</u></mark>" if row.sum.differs else ""
            assert f"<code>{row.sum.same}{marked}</code>" in page
    assert data.fused.exact in page
    assert f"{data.fused.separate.same}<mark><u>{data.fused.separate.differs}</u></mark>" in page
    for one in data.exponentials:
        assert all(row.exact in page for row in one.shown)
    assert "boxed needs a &lt;box&gt;" in page


def test_the_page_is_well_formed_and_named(data):
    """Tags match, no id occurs twice, every table has a caption, headers and a scroll box of its own."""
    page = Elements(rendered(data))
    assert len(set(page.ids)) == len(page.ids)
    tables = page.all("table")
    assert len(tables) == len(page.all("caption")) == len(page.all("thead"))
    boxes = [attrs for attrs in page.all("div") if attrs.get("class") == "scroll"]
    assert [box["aria-labelledby"] in page.ids for box in boxes] == [True] * len(tables)
    assert all(attrs["scope"] in ("row", "col") for attrs in page.all("th"))
    assert page.all("script") == []
    assert len(page.all("svg")) == 2 * 3


def test_both_languages_have_the_same_words():
    """No key is missing in one of them, and Korean words are Korean."""
    mine = [{key for key in words if key.startswith("rounding")} for words in WORDS.values()]
    assert mine[0] == mine[1] != set()
    for key in mine[0]:
        assert re.search("[가-힣]", WORDS["ko"][key]) or key == "rounding.exp.ulps", key
        assert not re.search("[가-힣]", WORDS["en"][key]), key


def test_every_word_is_used(data):
    """Words that no page shows would be left behind."""
    said = set()

    class Recording(dict):
        def __getitem__(self, key):
            said.add(key)
            return super().__getitem__(key)

    before = WORDS["en"]
    WORDS["en"] = Recording(before)
    try:
        rendered(data)
    finally:
        WORDS["en"] = before
    unsaid = {key for key in before if key.startswith("rounding")} - said
    assert unsaid == {"rounding.exp.agree", "rounding.drift.flip"}  # neither holds of this data


def test_a_flip_is_drawn_and_told(data):
    """With a flip, the chart has its line and the table its numbers."""
    flip = Flip(3, 40, 19, 1, -1.143e-6, 1.013e-6)
    page = rendered(replace(data, drifts=[replace(data.drifts[0], first_flip=flip)]))
    assert WORDS["en"]["rounding.drift.flip"] in page
    assert WORDS["en"]["rounding.drift.none"] not in page
    assert "-1.14e-06" in page
