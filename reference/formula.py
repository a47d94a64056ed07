"""The reference's own lines for a quantity, as they stand in its source."""

import ast
import inspect
from collections.abc import Iterator
from functools import cache

from reference.models import MODELS
from reference.spiral import spiral


def formula(model: str, quantity: str) -> list[str]:
    """Return the lines, without their taps, that compute a quantity of a model or of the spiral.

    An unknown quantity has no lines.
    """
    function = MODELS[model].step if model in MODELS else spiral
    return [line for name, line in _lines(inspect.getsource(function)) if name == quantity]


@cache
def _lines(source: str) -> list[tuple[str, str]]:
    return [pair for statement in ast.walk(ast.parse(source)) for pair in _quantities(statement)]


def _quantities(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield (quantity, line) for what one statement or tap computes."""
    if isinstance(node, ast.Assign | ast.AugAssign):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        name = ast.unparse(target).partition("[")[0]
        if not _taps(node.value):
            yield name, ast.unparse(node)
    elif isinstance(node, ast.Call) and _taps(node):
        name, value = ast.literal_eval(node.args[0]), ast.unparse(node.args[1])
        if value != name:
            yield name, f"{name} = {value}"


def _taps(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tap"
