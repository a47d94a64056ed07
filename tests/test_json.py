"""The JSON reports keep to docs/json.md and to the schemas that it names."""

import json
import re
from pathlib import Path

import pytest
from reports import compare, disagreeing, renamed, written

from ports.__main__ import main

ROOT = Path(__file__).parent.parent
DOCUMENTED = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
SCHEMAS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "docs" / "schemas").glob("*.json"))
    if path.stem not in ("recording", "inputs")  # no reports: see tests/ports/recordings/test_format.py
}
OWN = "tests/data/own"
EXAMPLES = "docs/examples/my_port"
FEW = ["--steps", "1", "--points", "5"]
#: A right run and a wrong one of each command, so that findings and explanations are in the reports.
REPORTS = {
    "compare": ["compare", "--port", "numpy", "--model", "softmax", *FEW],
    "compare_against": [
        "compare",
        "--port",
        "numpy",
        "--model",
        "softmax",
        *FEW,
        "--against",
        "{there}",
    ],
    "compare_wrong": ["compare", "--port", f"{EXAMPLES}_wrong.py", "--dtype", "float64", *FEW],
    "merge": ["merge", "{here}", "{there}"],
    "check": ["check", f"{EXAMPLES}_numpy.py", *FEW],
    "check_wrong": ["check", f"{EXAMPLES}_wrong.py", *FEW],
    "check_unfinished": ["check", "tests/data/unfinished.py", "--partial", *FEW],
    "check_own": ["check", "--reference", f"{OWN}_network.py", f"{OWN}_port.py", "--partial", *FEW],
    "compare_own": ["compare", "--reference", f"{OWN}_network.py", "--port", f"{OWN}_port.py", *FEW],
    "traps": ["traps", "loss_not_averaged", "--steps", "2"],
    "bounds": ["bounds", "--port", "numpy", "--points", "5", "--step", "2"],
    "bench": ["bench", "--quick", "--only", "reference"],
}
#: Objects whose keys are names of settings, checks or quantities.
KEYED_BY_NAMES = {
    *("provenance", "shares", "machine", "totals", "naive", "states", "hidden", "unreadable", "detail"),
    "says_little",
}


@pytest.fixture(scope="module", params=REPORTS)
def report(request, tmp_path_factory):
    """What a command writes, as (command, the object)."""
    if "wrong" in request.param or request.param == "traps":
        pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("json")
    path = folder / "report.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        words = REPORTS[request.param]
        if any("{" in word for word in words):
            reports = two_machines(folder)
            words = [word.format(**reports) for word in words]
        main([*words, "--json", str(path)])
    return request.param.partition("_")[0], json.loads(path.read_text(encoding="utf-8"))


def two_machines(folder):
    """The paths of two machines' reports. The second disagrees in one cell, so they differ."""
    here = compare(folder / "here.json")
    there = disagreeing(renamed(here, "there"), "softmax-numpy-eager-cpu-float32", "dW")
    return {"here": str(folder / "here.json"), "there": written(folder / "there.json", there)}


@pytest.fixture(scope="module")
def is_valid():
    """A function from a command and its report to whether the schema allows it."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema holds reports to their schemas")
    from referencing import Registry, Resource

    resources = [(f"{name}.json", Resource.from_contents(schema)) for name, schema in SCHEMAS.items()]
    registry = Registry().with_resources(resources)

    judges = {
        command: jsonschema.Draft202012Validator({"$ref": f"{command}.json"}, registry=registry)
        for command in SCHEMAS
    }
    return lambda command, written: judges[command].is_valid(written)


def objects(value):
    """All objects with fixed keys in a value, itself included."""
    if isinstance(value, list):
        for item in value:
            yield from objects(item)
    if isinstance(value, dict):
        yield value
        for key, item in value.items():
            if key not in KEYED_BY_NAMES:
                yield from objects(item)


def one_of_each(written):
    """One object of each kind: those with the same keys are alike."""
    return list({tuple(sorted(place)): place for place in objects(written)}.values())


def properties(schema):
    """The names of the fields that a schema has at any depth."""
    if isinstance(schema, list):
        return set().union(*map(properties, schema))
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", ())).union(*map(properties, schema.values()))


def test_report_keeps_to_its_schema(report, is_valid):
    """Every field is there and of its type, and no other."""
    assert is_valid(*report)


def test_another_field_is_caught(report, is_valid):
    """Negative control: one field more or less, in any kind of object, is caught."""
    command, written = report
    for place in one_of_each(written):
        place["surprise"] = None
        assert not is_valid(command, written), f"a surprise in {list(place)} went through"
        del place["surprise"]
        name, value = place.popitem()
        assert not is_valid(command, written), f"a missing {name} went through"
        place[name] = value
    assert is_valid(command, written)


def test_another_type_is_caught(report, is_valid):
    """Negative control: no field, of whatever type, may be an object of unknown keys."""
    command, written = report
    for place in one_of_each(written):
        for name, value in place.items():
            if name not in KEYED_BY_NAMES:
                place[name] = {"surprise": 1}
                assert not is_valid(command, written), f"{name} may be anything"
                place[name] = value


@pytest.mark.parametrize("command", SCHEMAS)
def test_schema_is_one(command):
    """It is valid JSON Schema of the draft that it names, and fixes its keys wherever it lists them."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema holds reports to their schemas")
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[command])
    assert SCHEMAS[command]["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    for place in objects(SCHEMAS[command]):
        if isinstance(place.get("properties"), dict):
            assert place["additionalProperties"] is False
            assert place["required"] == list(place["properties"])


def test_every_report_has_a_schema():
    """The commands that write JSON, and no others."""
    assert {name.partition("_")[0] for name in REPORTS} == set(SCHEMAS)


@pytest.mark.parametrize("command", SCHEMAS)
def test_schema_is_documented(command):
    """docs/json.md has the schema's name, its file, and every field."""
    assert f'`"{SCHEMAS[command]["properties"]["schema"]["const"]}"`' in DOCUMENTED
    assert f"schemas/{command}.json" in DOCUMENTED
    assert properties(SCHEMAS[command]) <= set(re.findall(r"`(\w+)`", DOCUMENTED))


def test_report_is_documented(report):
    """Every field that is written is in docs/json.md. This test does not need jsonschema."""
    _, written = report
    assert f'`"{written["schema"]}"`' in DOCUMENTED
    assert set().union(*objects(written)) <= set(re.findall(r"`(\w+)`", DOCUMENTED))
