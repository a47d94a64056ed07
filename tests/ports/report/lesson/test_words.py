"""The words of the page: every language has the same keys, and the templates use all of them."""

import re
from importlib.resources import files

import pytest

from ports.lesson.breaks import BREAKS
from ports.lesson.script import CHAPTERS, SPIRAL
from ports.report.lesson import words as module
from ports.report.lesson.words import LANGUAGES, MissingWords, plain, said, say, words

pytest.importorskip("markupsafe")

PLACE = re.compile(r"\{(\w+)\}")


def differing(languages):
    """Keys that some of the languages lack, and keys whose words have other places to fill in."""
    tables = [words(language) for language in languages]
    every = set().union(*tables)
    missing = {key for key in every if not all(key in table for table in tables)}
    places = {
        key
        for key in every - missing
        if len({frozenset(PLACE.findall(table[key])) for table in tables}) > 1
    }
    return missing, places


def test_every_language_has_the_same_keys():
    """No words are missing in a language, and each has the same numbers to fill in."""
    assert differing(LANGUAGES) == (set(), set())
    assert len(words("en")) > 100


def test_a_missing_key_is_found(monkeypatch):
    """The check above finds words that one language lacks, and a number that one forgets."""
    lacking = {key: text for key, text in words("ko").items() if key != "page.title"}
    lacking["page.made"] = "lockstep"
    tables = {"en": words("en"), "ko": lacking}
    monkeypatch.setattr(f"{__name__}.words", tables.__getitem__)
    assert differing(LANGUAGES) == ({"page.title"}, {"page.made"})


def test_korean_is_korean():
    """No words were left in English, beyond those that are code or names."""
    same = {key for key, text in words("ko").items() if text == words("en")[key]}
    assert same <= {"controls.autograd", "controls.grad"} | {
        k for k in same if k.endswith((".loss", ".dW"))
    }


def asking():
    """The text of everything that asks for words."""
    folder = files(module.__package__).iterdir()
    return "".join(entry.read_text("utf-8") for entry in folder if entry.name.endswith((".j2", ".py")))


def test_every_key_is_used():
    """Each key, or its beginning, stands in a template or in the code that draws the page."""
    text = asking()
    generated = {f"rows.{row.key}" for chapter in CHAPTERS for row in (SPIRAL, *chapter.rows)}
    generated |= {f"chapters.{chapter.model.name}" for chapter in CHAPTERS}

    def is_used(key):
        stem = key.rpartition(".")[0]
        return key in text or stem in generated or f'"{stem}." ~' in text or f"{stem}.{{" in text

    unused = [key for key in words("en") if not is_used(key) and not any(b in key for b in BREAKS)]
    assert unused == []
    assert not is_used("page.nothing")


def test_words_become_html():
    """Backticks mark code, links lead within the page, and everything else is escaped."""
    assert say("page.made", seconds=3).count("<span lang=") == len(LANGUAGES)
    assert "<code>lockstep lesson</code> in 3 seconds" in said("page.made", "en", seconds=3)
    assert '<a href="#rounding">' in said("training.text", "en")
    assert "<b>" not in said("page.made", "en", seconds="<b>")
    assert plain("en")("data.title") == "The data"


def test_unknown_words_are_an_error():
    """A key without words is told by its name."""
    with pytest.raises(MissingWords, match=r"en.toml has no words for page.nothing"):
        say("page.nothing")
