"""The parser of pages finds elements, and tags that do not match."""

import pytest
from elements import Elements


def test_elements_are_found():
    """Elements by their name, with attributes; ids in their order."""
    page = Elements('<p id="a">x<br><b class="c">y</b></p><p id="b"></p>')
    assert page.all("p") == [{"id": "a"}, {"id": "b"}]
    assert page.all("b") == [{"class": "c"}]
    assert page.ids == ["a", "b"]


def test_a_page_with_tags_that_do_not_match_is_noticed():
    """An end tag in the wrong place, and a missing one."""
    with pytest.raises(AssertionError):
        Elements("<p><b>two</p></b>")
    with pytest.raises(AssertionError):
        Elements("<p>one")
