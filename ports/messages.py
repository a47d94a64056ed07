"""Sentences that several parts of the project say in the same words."""

import importlib.util
from collections.abc import Collection, Iterable

#: Frameworks write long messages: longer ones are cut.
LONGEST_MESSAGE = 300


def brief(error: BaseException) -> str:
    """The first line of an exception's message, cut if it is too long."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
    return text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + "..."


def missing_packages(who: str, packages: Iterable[str]) -> str | None:
    """One sentence on the packages that are not installed, or None."""
    missing = [p for p in packages if importlib.util.find_spec(p) is None]
    if not missing:
        return None
    return f"{who} needs {' and '.join(missing)}, not installed here: pip install {' '.join(missing)}"


def did_you_mean(word: str, words: Iterable[str], before: str = "") -> str:
    """`did you mean ...? `, or nothing where no known word is near."""
    import difflib  # only a wrong word needs it

    near = difflib.get_close_matches(word, list(words), n=1)
    return f"{before}did you mean {near[0]}? " if near else ""


def unknown(kind: str, word: str, words: Collection[str]) -> str:
    """One sentence on a word that is not among the known ones."""
    return f"unknown {kind} {word!r}: {did_you_mean(word, words)}expected one of {', '.join(words)}"


def either(words: Iterable[str]) -> str:
    """Words as a sentence lists them: a, b or c."""
    return _listed(words, "or")


def both(words: Iterable[str]) -> str:
    """Words as a sentence lists them: a, b and c."""
    return _listed(words, "and")


def _listed(words: Iterable[str], conjunction: str) -> str:
    *most, last = words
    return f"{', '.join(most)} {conjunction} {last}" if most else last
