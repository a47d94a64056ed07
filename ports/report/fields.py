"""Fields of a JSON object, each of its type. Where one is not, a ValueError says so in one sentence."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ports.messages import brief

Value = TypeVar("Value")

#: The numbers that JSON cannot hold, as they are written.
NUMBERS = ("nan", "inf", "-inf")


def field_of(place: Mapping[str, Any], name: str) -> Any:
    """A field of whatever type."""
    if name not in place:
        raise ValueError(f"the field {name} is missing")
    return place[name]


def as_object(value: Any) -> dict[str, Any]:
    """An entry that must be an object."""
    return _typed(value, "an entry", dict, "an object")


def as_text(value: Any) -> str:
    """An entry that must be text."""
    return _typed(value, "an entry", str, "text")


def as_whole(value: Any, name: str) -> int:
    """A whole number that is not negative."""
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is {_shown(value)}, expected a whole number")
    return value


def object_of(place: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A field that must be an object."""
    return _typed(field_of(place, name), name, dict, "an object")


def text_of(place: Mapping[str, Any], name: str) -> str:
    """A field that must be text."""
    return _typed(field_of(place, name), name, str, "text")


def whole_of(place: Mapping[str, Any], name: str) -> int:
    """A field that must be a whole number, not negative."""
    return as_whole(field_of(place, name), name)


def number_of(place: Mapping[str, Any], name: str) -> float:
    """A field that is a number, or the name of one that JSON cannot hold."""
    value = field_of(place, name)
    if type(value) in (int, float) or value in NUMBERS:
        return float(value)
    raise ValueError(f"{name} is {_shown(value)}, expected a number")


def texts_of(place: Mapping[str, Any], name: str) -> dict[str, str]:
    """A field that must be an object of texts."""
    return {key: text_of(object_of(place, name), key) for key in object_of(place, name)}


def each_of(place: Mapping[str, Any], name: str, convert: Callable[[Any], Value]) -> list[Value]:
    """Each entry of a field that must be a list, converted."""
    return [convert(value) for value in _typed(field_of(place, name), name, list, "a list")]


def _typed(value: Any, name: str, kind: type[Value], called: str) -> Value:
    if not isinstance(value, kind):
        raise ValueError(f"{name} is {_shown(value)}, expected {called}")
    return value


def _shown(value: Any) -> str:
    return brief(ValueError(json.dumps(value)))
