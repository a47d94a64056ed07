"""The words of the breaks: each break of the lesson has its own, and no other has."""

import pytest

pytest.importorskip("jinja2", reason="the lesson needs jinja2: pip install jinja2")

from ports.lesson.breaks import BREAKS
from ports.report.lesson.words import LANGUAGES, words


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_break_has_words(language):
    """A title and a text for each name in `BREAKS`, in this order, and for nothing else."""
    keys = [key for key in words(language) if key.startswith("breaks.")]
    assert keys == [f"breaks.{name}.{part}" for name in BREAKS for part in ("title", "text")]
