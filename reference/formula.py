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


def ingredients(model: str, quantity: str) -> list[str]:
    """Return what the reference's lines compute a quantity of a model from.

    These are quantities, parameters, X, y, reg and step_size. What lies between them, such as
    `exp_scores`, is followed to them. An array that lends its shape alone is not among them.
    """
    known = {"X", "y", "reg", "step_size", *MODELS[model].parameters, *MODELS[model].quantities}
    found: list[str] = []
    followed = [quantity]
    for name in followed:
        for used in _names("\n".join(formula(model, name))):
            if used in known - {*found, quantity}:
                found.append(used)
            elif used not in known and used not in followed:
                followed.append(used)
    return found


def _names(source: str) -> list[str]:
    """The names whose values some lines use, in the order of the text."""
    nodes = list(ast.walk(ast.parse(source)))
    measured = {
        id(node.value) for node in nodes if isinstance(node, ast.Attribute) and node.attr == "shape"
    }
    used = [node for node in nodes if isinstance(node, ast.Name) and id(node) not in measured]
    return [node.id for node in sorted(used, key=lambda node: (node.lineno, node.col_offset))]


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
