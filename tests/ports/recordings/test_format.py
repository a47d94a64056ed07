"""The texts of a recording keep to their schemas, and docs/recordings.md has all that there is."""

import json
import re
from pathlib import Path

import pytest
from recorded import inputs, recorded, taken_apart

from ports.recordings.container import open_container
from ports.recordings.format import INPUTS, PROBLEM, RECORDING, RUN
from ports.recordings.numbers import FORMATS

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "recordings.md").read_text(encoding="utf-8")
SCHEMAS = {
    name: json.loads((DOCS / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
    for name in ("recording", "inputs")
}


@pytest.fixture(params=SCHEMAS)
def texts(request, tmp_path):
    """The name of a schema and texts that keep to it, with all that may be there."""
    path = tmp_path / "file"
    if request.param == "inputs":
        return "inputs", dict(open_container(inputs(path)).metadata)
    more = {"hidden/dW": "inside the optimizer", "error": "step 3: stopped"}
    return "recording", more | open_container(recorded(path)).metadata


@pytest.fixture
def is_valid():
    """A function from a schema's name and texts to whether it allows them."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema holds texts to their schemas")
    judges = {name: jsonschema.Draft202012Validator(schema) for name, schema in SCHEMAS.items()}
    return lambda name, texts: judges[name].is_valid(texts)


def test_texts_keep_to_their_schema(texts, is_valid):
    """What is written is what the schema says."""
    assert is_valid(*texts)


def test_other_texts_are_caught(texts, is_valid):
    """Negative control: a text more, a text less, a number in the place of a text, an empty one."""
    name, right = texts
    assert not is_valid(name, right | {"surprise": "1"})
    for required in SCHEMAS[name]["required"]:
        assert not is_valid(name, {n: text for n, text in right.items() if n != required})
    for changed in right:
        assert not is_valid(name, right | {changed: 1})
        assert not is_valid(name, right | {changed: ""})


def test_schemas_have_the_texts_of_the_reader():
    """The required texts are those that are asked for, and the version is this one."""
    assert tuple(SCHEMAS["recording"]["required"]) == (*PROBLEM, *RUN)
    assert tuple(SCHEMAS["inputs"]["required"]) == PROBLEM
    versions = [SCHEMAS[name]["properties"]["schema"]["const"] for name in SCHEMAS]
    assert versions == [RECORDING, INPUTS]


def test_page_has_every_text_and_tensor(tmp_path):
    """By name: a program in another language is written from it."""
    named = set(re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)))
    for schema in SCHEMAS.values():
        patterns = {pattern.strip("^$.+") for pattern in schema["patternProperties"]}
        assert {*schema["properties"], *patterns} <= named
    assert {RECORDING, INPUTS, "F64", "F32", "F16", "BF16", "I64"} <= named
    assert {"F64", "F32", "F16", "BF16", "I64"} <= set(FORMATS)
    assert {"steps", "X", "y", "W", "b", "scores"} <= named & set(
        taken_apart(recorded(tmp_path / "f").read_bytes()).tensors
    )


def test_links_lead_somewhere():
    """Every relative link of the page names a file of the repository."""
    targets = re.findall(r"\]\(([^)#:]+)[)#]", PAGE)
    assert targets
    assert all((DOCS / target).exists() for target in targets)
