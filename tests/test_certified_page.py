"""docs/certified.md keeps its word: its code runs, and its messages and its table are what comes out."""

import re
from pathlib import Path

import numpy as np
import pytest

from ports import pytest_plugin
from reference import Agreement, Disagreement, assert_agrees, certified

PAGE = (Path(__file__).parents[1] / "docs" / "certified.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
SHOWN = re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)


def test_code_runs():
    """The blocks run one after the other in one namespace; its tests compare something."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("jax")
    names = {"__name__": "page"}
    torch.manual_seed(0)
    for code in CODE:
        line = PAGE[: PAGE.index(code)].count("\n")
        exec(compile("\n" * line + code, "docs/certified.md", "exec"), names)
    lockstep = pytest_plugin.Lockstep()
    names["test_layer_norm"](lockstep)
    assert [one.elements for one in lockstep.agreements] == [64 * 16]


def test_failure_is_shown_as_it_is():
    """But for the digits, which depend on the processor, and the file's name."""
    torch = pytest.importorskip("torch")
    names = {}
    exec(CODE[0].partition("\n\n\nx =")[0], names)
    x = torch.linspace(-1, 1, 12).reshape(3, 4)
    with pytest.raises(Disagreement) as caught:
        assert_agrees(torch.softmax(x, dim=0), names["softmax"], x)
    shown = SHOWN[0].replace("test_softmax.py:7", "<string>:6").removeprefix("reference.Disagreement: ")
    assert without_digits(str(caught.value)) == without_digits(shown.rstrip())


def test_summary_is_shown_as_it_is():
    """The plugin's two lines, from what one test compared."""
    one = "test_norm.py::test_layer_norm", Agreement(1024, 0.47, "[49, 5]", 0)
    assert SHOWN[1].splitlines()[1:] == list(pytest_plugin.summary([one]))


def without_digits(text):
    """The text with # for each number."""
    return re.sub(r"\d+(\.\d+)?(e[+-]\d+)?", "#", text)


def table():
    """The page's table: dot products of k random numbers."""
    rng = np.random.default_rng(0)
    for k in (10, 30, 100, 300, 1000, 3000, 10_000):
        A, B = (rng.standard_normal(shape, dtype=np.float32) for shape in ((20, k), (k, 20)))
        dots = certified(np.dot, A, B)
        products = A[:, :, None] * B
        one_by_one = np.cumsum(products, axis=1, dtype=np.float32)[:, -1]
        share = np.max(np.abs(one_by_one - dots.value) / dots.error)
        typical, bound = np.median(np.abs(dots.value)), np.median(dots.error)
        figures = (f"{figure:.2g}" for figure in (typical, bound, bound / typical, share))
        yield " | ".join([f"| {k:,}", *figures, f"{dots.vacuous:.2%} |"])


def test_table_is_what_the_code_computes():
    """Each row, digit by digit."""
    assert "\n".join(table()) in PAGE


def test_table_is_held_digit_by_digit():
    """Negative control: another bound is not what the page shows."""
    first, *_ = table()
    assert first in PAGE
    assert first.replace("e-06", "e-07", 1) not in PAGE


def test_links_lead_somewhere():
    """Every relative link names a file."""
    targets = re.findall(r"\]\(([^)#:]+)\)", PAGE)
    assert targets
    assert all((Path(__file__).parents[1] / "docs" / target).exists() for target in targets)
