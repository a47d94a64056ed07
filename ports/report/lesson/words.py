"""The words of the page, one TOML file for each language. All languages are in the page at once."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup, escape

LANGUAGES = {"en": "English", "ko": "한국어"}

_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[([^\]]+)\]\((#[\w-]+)\)")


class MissingWords(KeyError):
    """A key is in no file of words, or not in all of them."""


@cache
def words(language: str) -> dict[str, str]:
    """The words of a language by key: `rows.scores.title`."""
    text = files(__package__).joinpath("words", f"{language}.toml").read_text("utf-8")
    return dict(_flat(tomllib.loads(text)))


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def plain(language: str) -> Callable[[str], str]:
    """From a key to the words of a language, as text."""
    return words(language).__getitem__


def said(key: str, language: str, **given: object) -> Markup:
    """Words as HTML, with `{name}` filled in. Raises MissingWords."""
    try:
        text = words(language)[key]
    except KeyError:
        raise MissingWords(f"{language}.toml has no words for {key}") from None
    html = str(escape(text))
    html = _CODE.sub(r"<code>\1</code>", html)
    html = _LINK.sub(r'<a href="\2">\1</a>', html)
    return Markup(html).format(**given)


def say(key: str, **given: object) -> Markup:
    """Words in every language; the page's style shows one. Raises MissingWords."""
    spans = (f'<span lang="{language}">{said(key, language, **given)}</span>' for language in LANGUAGES)
    return Markup("".join(spans))
