"""The reference's own line for a quantity: cut from the source of its step, run again, shown.

A line is the statements that lead from what the step recorded to one quantity. They are syntax
trees, so that an edit of one can be run on the port's recorded tensors, and be shown as code.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from reference.models import MODELS
from reference.spiral import spiral

#: Where a node stands in a list of statements: the field names and indices that lead to it.
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Line:
    """Statements that compute `target`, a variable, for one quantity."""

    target: str
    statements: tuple[ast.stmt, ...]

    def run(self, names: Mapping[str, Any]) -> Any:
        """Run the statements on these names; returns what `target` then holds."""
        return self.compiled()(names)

    def compiled(self) -> Callable[[Mapping[str, Any]], Any]:
        """The statements as a function of the names that they read."""
        module = ast.Module(body=list(self.statements), type_ignores=[])
        code = compile(module, "<the reference's line>", "exec")

        def run(names: Mapping[str, Any]) -> Any:
            scope = dict(names)
            with np.errstate(all="ignore"):
                exec(code, scope)
            return scope[self.target]

        return run

    def shown(self) -> list[str]:
        """The statements as code, without those that unpack the parameters or take sizes."""
        shown = [ast.unparse(s) for s in self.statements if is_editable(s) and not _is_size(s)]
        shown = [text.replace(".T.T", "") for text in shown]
        return [text for part in shown for text in part.splitlines()]

    def nodes(self) -> Iterator[tuple[Path, ast.AST]]:
        """Every statement and expression that may be edited, and where it stands."""
        for i, statement in enumerate(self.statements):
            if is_editable(statement):
                yield from _below((i,), statement)

    def replaced(self, path: Path, new: ast.AST) -> "Line":
        """The same line with another node at a place."""
        return Line(self.target, tuple(_replaced(list(self.statements), path, new)))


def located(node: ast.AST) -> dict[str, int]:
    """A place in a file, for a new node: a compiler wants one. (ast.fix_missing_locations is slow.)"""
    return {"lineno": 1, "col_offset": 0} if "lineno" in node._attributes else {}


def name_node(identifier: str, context: ast.expr_context | None = None) -> ast.Name:
    """A name as a node."""
    return ast.Name(identifier, context or ast.Load(), lineno=1, col_offset=0)


def assignment(variable: str, value: ast.expr) -> ast.Assign:
    """`variable = value` as a node."""
    return ast.Assign([name_node(variable, ast.Store())], value, lineno=1, col_offset=0)


def is_editable(statement: ast.stmt) -> bool:
    """Whether a statement computes something, and does more than unpack the parameters and the batch."""
    return names_in(statement).isdisjoint({"params", "batch"})


def _is_size(statement: ast.stmt) -> bool:
    """Whether a statement takes sizes from a shape."""
    match statement:
        case ast.Assign(
            value=ast.Attribute(attr="shape") | ast.Subscript(value=ast.Attribute(attr="shape"))
        ):
            return True
    return False


def names_in(node: ast.AST) -> set[str]:
    """Every name in a piece of code."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _below(path: Path, node: ast.AST) -> Iterator[tuple[Path, ast.AST]]:
    if isinstance(node, ast.stmt | ast.Subscript) or (
        isinstance(node, ast.expr) and not is_assigned(node)
    ):
        yield path, node
    for field, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            yield from _below((*path, field), value)
        elif isinstance(value, list):
            for i, item in enumerate(value):
                if isinstance(item, ast.AST):
                    yield from _below((*path, field, i), item)


def _replaced(old: Any, path: Path, new: ast.AST) -> Any:
    """A copy of a tree along the path; what is beside the path is shared."""
    if not path:
        return new
    first, *rest = path
    if isinstance(first, int):
        return [_replaced(x, tuple(rest), new) if i == first else x for i, x in enumerate(old)]
    fields = dict(ast.iter_fields(old))
    fields[first] = _replaced(fields[first], tuple(rest), new)
    return type(old)(**fields, **located(old))


# Cutting a line out of a step


def formula(model: str, quantity: str) -> list[str]:
    """The lines, as code, that compute a quantity of a model or of the spiral; none if unknown."""
    try:
        return line_of(MODELS[model].step if model in MODELS else spiral, quantity).shown()
    except KeyError:
        return []


def ingredients(model: str, quantity: str) -> list[str]:
    """What the lines of a quantity use, in their order: quantities, parameters, X, y, reg and step_size.

    An array that lends its shape alone is not among them.
    """
    step = MODELS[model].step
    quantities = {variable: name for name, variable in variables_of(step).items()}
    given = {name: name for name in ("X", "y", "reg", "step_size", *MODELS[model].parameters)}
    known = quantities | given
    source = "\n".join(formula(model, quantity))
    used = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]
    used.sort(key=lambda node: (node.lineno, node.col_offset))
    found = dict.fromkeys(known[node.id] for node in used if node.id in known)
    return [name for name in found if name != quantity]


class NoLine(KeyError):
    """A step has no statements that compute a quantity and nothing else."""

    def __str__(self) -> str:
        return str(self.args[0])


class _Statement(NamedTuple):
    """One statement of a step without its tap, and the quantity that it computes, if any."""

    code: ast.stmt
    assigns: set[str]
    variable: str = ""
    quantity: str = ""


def line_of(step: Callable[..., Any], quantity: str, anew: Collection[str] = ()) -> Line:
    """The statements of `step` that compute a quantity from the quantities before it.

    Those in `anew` are computed too, not taken as recorded. Raises NoLine, a KeyError, where there is
    none.
    """
    statements = _statements(step)
    end = next((i for i, s in enumerate(statements) if s.quantity == quantity), None)
    if end is None:
        raise NoLine(f"no single line computes {quantity}: it is tapped in a loop, or nowhere")
    target = statements[end].variable
    needed, chosen = {target}, list[ast.stmt]()
    for statement in reversed(statements[: end + 1]):
        recorded = statement.quantity not in ("", quantity, *anew)
        if recorded and statement.variable in needed:
            needed.discard(statement.variable)
            chosen.insert(0, assignment(statement.variable, name_node(statement.quantity)))
        elif not recorded and statement.assigns & needed:
            chosen.insert(0, statement.code)
            if isinstance(statement.code, ast.Assign) and not _writes_into(statement.code):
                needed -= statement.assigns
            needed |= names_in(statement.code)
    return Line(target, tuple(s for s in chosen if not _says_nothing(s)))


def variables_of(step: Callable[..., Any]) -> dict[str, str]:
    """The variable in which a step holds each of its quantities."""
    return {s.quantity: s.variable for s in _statements(step) if s.quantity}


@cache
def _statements(step: Callable[..., Any]) -> list[_Statement]:
    """The statements of a step in their order, without taps."""
    (function,) = ast.parse(textwrap.dedent(inspect.getsource(step))).body
    assert isinstance(function, ast.FunctionDef)
    return [found for statement in function.body for found in _untapped(statement)]


def _untapped(statement: ast.stmt) -> Iterator[_Statement]:
    match statement:
        case ast.Assign(targets=[ast.Name(variable)], value=value) if quantity := _tapped(value):
            yield _computes(variable, quantity, value)
        case ast.Expr(value=value) | ast.Return(value=value) if value is not None:
            taps = [node for node in ast.walk(value) if _tapped(node)]
            yield from (_computes(_tapped(tap), _tapped(tap), tap) for tap in taps)
            if isinstance(statement, ast.Return) and not taps:
                names = value.elts if isinstance(value, ast.Tuple) else [value]
                yield from (_computes(q, q, node) for q, node in zip("Xy", names, strict=False))
            elif not taps and not isinstance(value, ast.Constant):  # not a docstring
                yield _Statement(statement, assigned_in(statement))
        case _:
            yield _Statement(statement, assigned_in(statement))


def _computes(variable: str, quantity: str, value: ast.AST) -> _Statement:
    computed = value.args[1] if _tapped(value) and isinstance(value, ast.Call) else value
    assert isinstance(computed, ast.expr)
    return _Statement(assignment(variable, computed), {variable}, variable, quantity)


def _tapped(node: ast.AST) -> str:
    """The quantity that a call of the tap names, or an empty string."""
    match node:
        case ast.Call(func=ast.Name("tap"), args=[ast.Constant(value=str(name)), _]):
            return name
    return ""


def _says_nothing(statement: ast.stmt) -> bool:
    """Whether a statement is `x = x`, which is left of a tap on a variable."""
    match statement:
        case ast.Assign(targets=[ast.Name(target)], value=ast.Name(value)):
            return target == value
    return False


def assigned_in(statement: ast.stmt) -> set[str]:
    """The names that a statement binds, or whose arrays and lists it writes into."""
    found = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and is_assigned(n)}
    for node in ast.walk(statement):
        match node:
            case ast.Subscript(value=ast.Name(name), ctx=ast.Store()):
                found.add(name)
            case ast.Call(func=ast.Attribute(value=ast.Name(name), attr="append")):
                found.add(name)
    return found


def _writes_into(statement: ast.Assign) -> bool:
    return any(isinstance(target, ast.Subscript) for target in statement.targets)


def is_assigned(node: ast.AST) -> bool:
    """Whether an expression is what a statement assigns to."""
    return isinstance(getattr(node, "ctx", None), ast.Store)
