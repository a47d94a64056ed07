"""The mutator: what it changes, what it leaves alone, and how it tells a survivor from a kill."""

import ast
import random
import subprocess

import mutation
import pytest

SNIPPET = b'''\
def step(W: Array, b: Array, reg: float, scale: float = 0.5) -> Array:
    """W - b: not to be changed."""
    N = W.shape[0]
    loss = -reg * W.sum(axis=0) + b
    if N <= 3 and not scale:
        raise ValueError(f"{N + 1} is too few" + "!")
    return loss**2
'''

#: (line, kind): the lines that the mutants put in its place.
EXPECTED = {
    (1, "constant"): ["def step(W: Array, b: Array, reg: float, scale: float = 1.0) -> Array:"],
    (3, "name"): ["N = b.shape[0]"],
    (3, "constant"): ["N = W.shape[1]"],
    (4, "arithmetic"): [
        "loss = reg * W.sum(axis=0) + b",
        "loss = -reg / W.sum(axis=0) + b",
        "loss = -reg * W.sum(axis=0) - b",
    ],
    (4, "axis"): ["loss = -reg * W.sum(axis=1) + b"],
    (4, "name"): [
        "loss = -scale * W.sum(axis=0) + b",
        "loss = -reg * b.sum(axis=0) + b",
        "loss = -reg * W.sum(axis=0) + W",
    ],
    (5, "comparison"): [
        "if N < 3 and not scale:",
        "if N <= 3 or not scale:",
        "if N <= 3 and scale:",
    ],
    (5, "constant"): ["if N <= 4 and not scale:"],
    (5, "name"): ["if N <= 3 and not reg:"],
    (7, "arithmetic"): ["return (loss * 2)"],
    (7, "constant"): ["return loss**3"],
    (7, "name"): ["return b**2"],
}


def test_every_mutant_of_a_snippet():
    """One change each; docstring, annotations and the message of the error stay as they are."""
    found = {}
    for mutant in mutation.mutants("snippet.py", SNIPPET):
        line = mutant.applied(SNIPPET).decode().splitlines()[mutant.line - 1].strip()
        found.setdefault((mutant.line, mutant.kind), []).append(line)
    assert found == EXPECTED


def test_what_is_not_computed_is_left_alone():
    """Decorators, `__repr__`, `if TYPE_CHECKING` and raised errors have no mutants."""
    source = b"""\
if TYPE_CHECKING:
    N = 1
@lru_cache(maxsize=64)
class Array:
    size: "int | 1"
    def __repr__(self):
        return 1 + 1
    def fail(self):
        raise ValueError(1 + 1)
"""
    assert mutation.mutants("snippet.py", source) == []


@pytest.mark.parametrize("target", mutation.TARGETS)
def test_every_target_has_mutants_that_are_python(target):
    """A sample of them differs from the source as a program, and the tests that judge them exist."""
    todo = mutation.chosen(mutation.ROOT, [target])
    for mutant in random.Random(0).sample(todo, 15):
        source = (mutation.ROOT / mutant.path).read_bytes()
        assert ast.dump(ast.parse(mutant.applied(source))) != ast.dump(ast.parse(source)), mutant
        for battery in mutation.batteries(mutant.path):
            assert all((mutation.ROOT / name).is_file() for name in battery if name.endswith(".py"))


@pytest.fixture
def checkout(tmp_path):
    """A checkout with one function, one test of it, and a file that git ignores."""
    root = tmp_path / "root"
    (root / "reference").mkdir(parents=True)
    files = {
        "reference/__init__.py": "",
        "reference/area.py": "def area(a, b):\n    c = 0\n    return a * b + c\n",
        "test_area.py": "from reference.area import area\n\n\ndef test():\n    assert area(2, 3) == 6\n",
        ".gitignore": "ignored\n",
        "ignored": "",
    }
    for name, text in files.items():
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


def test_survivor_is_told_from_a_kill(checkout, tmp_path):
    """`a / b` fails the test, `- c` does not; the checkout is never written to, the copy is restored."""
    before = {path: path.read_bytes() for path in checkout.glob("*/*.py")}
    copy = mutation.copy_checkout(checkout, (tmp_path / "copy").resolve())
    assert not (copy / "ignored").exists()
    outcome = {
        mutant.told((copy / mutant.path).read_bytes()).splitlines()[-1]: mutation.survives(
            copy, mutant, [("test_area.py",)], limit=60
        )
        for mutant in mutation.chosen(copy, ["reference/area.py"])
        if mutant.kind == "arithmetic"
    }
    assert outcome == {"    + return a / b + c": False, "    + return a * b - c": True}
    for path, text in before.items():
        assert path.read_bytes() == text
        assert (copy / path.relative_to(checkout)).read_bytes() == text


def test_test_that_never_ends_is_stopped(checkout, tmp_path):
    """A test that runs out of time has not passed."""
    (checkout / "test_area.py").write_text("def test():\n    while True:\n        pass\n")
    copy = mutation.copy_checkout(checkout, (tmp_path / "copy").resolve())
    assert not mutation.passes(copy, ("test_area.py",), limit=3)


def test_slow_run_is_no_kill(checkout, tmp_path, monkeypatch):
    """A run that waits and computes nothing is given up at last, without a verdict."""
    (checkout / "test_area.py").write_text("import time\n\n\ndef test():\n    time.sleep(600)\n")
    copy = mutation.copy_checkout(checkout, (tmp_path / "copy").resolve())
    monkeypatch.setattr(mutation, "PATIENCE", 1)
    assert mutation.passes(copy, ("test_area.py",), limit=2)
