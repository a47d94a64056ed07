"""The very lines of a port that compute a quantity, cut from its source.

A quantity is computed where the reference's step taps it, or where a port's step gives it its key in the
trace. From there, what is read is followed backwards, as far as other quantities: these have lines of
their own. What is cut is text, with its comments and line numbers: a change in a port changes it.
"""

import ast
import inspect
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

#: The folder that holds `reference` and `ports`, from which files are named.
ROOT = Path(__file__).parents[2]


class NoExcerpt(ValueError):
    """A step does not show where it computes a quantity."""


class SourceLine(NamedTuple):
    """A line of a file, without the indentation that it shares with its neighbours."""

    number: int
    text: str


class Place(NamedTuple):
    """Where a function computes something: an expression, or the statement that assigns `name`."""

    function: ast.FunctionDef
    node: ast.stmt | ast.expr
    name: str = ""

    @property
    def lines(self) -> range:
        """The lines on which it stands."""
        return lines_of(self.node)


@dataclass(frozen=True)
class Source:
    """A step's source: its functions, and those of the same file that they mention.

    `name` is that of the step, a function or a class.
    """

    module: ModuleType
    name: str

    @cached_property
    def text(self) -> list[str]:
        """The lines of the file."""
        return inspect.getsource(self.module).splitlines()

    @cached_property
    def file(self) -> str:
        """The path of the file, from the folder of the project."""
        return Path(inspect.getfile(self.module)).relative_to(ROOT).as_posix()

    @cached_property
    def definitions(self) -> dict[str, list[ast.FunctionDef]]:
        """By name: a function of the file, or the methods of a class."""
        found = {}
        for node in ast.parse("\n".join(self.text)).body:
            if isinstance(node, ast.FunctionDef):
                found[node.name] = [node]
            elif isinstance(node, ast.ClassDef):
                found[node.name] = [part for part in node.body if isinstance(part, ast.FunctionDef)]
        return found

    @cached_property
    def functions(self) -> list[ast.FunctionDef]:
        """The functions that the step may run, its own first."""
        names = [self.name]
        for name in names:  # which grows meanwhile
            mentioned = {read for function in self.definitions[name] for read in names_read(function)}
            names += [n for n in self.definitions if n in mentioned and n not in names]
        return [function for name in names for function in self.definitions[name]]

    def excerpts(self, quantities: Iterable[str]) -> dict[str, list[SourceLine]]:
        """The lines for each quantity, in this order. What leads to several is shown once.

        Raises NoExcerpt for a quantity that the step does not compute.
        """
        places = {quantity: self.place(quantity) for quantity in quantities}
        shown = set[int]()
        found = {}
        for quantity, place in places.items():
            behind = self.behind(place, places.keys() - {quantity})
            found[quantity] = self.cut({*place.lines} | (behind - shown))
            shown |= behind | {*place.lines}
        return found

    def whole(self) -> list[SourceLine]:
        """The step's lines, without its docstring."""
        (function,) = self.definitions[self.name]
        head = function.body[0]
        docstring = {*lines_of(head)} if ast.get_docstring(function) else set()
        return self.cut({*lines_of(function)} - docstring)

    def cut(self, numbers: Collection[int]) -> list[SourceLine]:
        """Some lines of the file."""
        lines = {n: self.text[n - 1] for n in sorted(numbers)}
        indent = min(len(text) - len(text.lstrip()) for text in lines.values() if text)
        return [SourceLine(n, text[indent:]) for n, text in lines.items()]

    def place(self, quantity: str) -> Place:
        """Where a quantity is computed. Its key may stand where it is only passed on."""
        values = [(function, v) for function in self.functions for v in values_of(function, quantity)]
        for function, value in values:
            if place := place_of(function, value):
                return place
        for function in self.functions:
            for _, value in values:
                if place := place_of(function, value):
                    return place
        raise NoExcerpt(f"{self.module.__name__}: {self.name} computes no {quantity}")

    def behind(self, place: Place, others: Collection[str]) -> set[int]:
        """The lines of the statements that lead to a place, as far as `others`."""
        found, needed = set[int](), names_read(place.node) - {*others}
        found.update(self.behind_calls(place.node, {place.name}, others))
        for statement in reversed(statements(place.function)):
            if statement.lineno >= place.lines.start or is_unpacking(statement):
                continue
            assigned = names_assigned(statement)
            if needed & assigned:
                found.update(lines_of(statement), self.behind_calls(statement, needed, others))
                needed -= assigned
                needed |= names_read(statement) - {*others}
            elif changes_state(statement) and reads_state_after(place, statement):
                found.update(lines_of(statement))
        return found

    def behind_calls(
        self, node: ast.AST, needed: Collection[str], others: Collection[str]
    ) -> Iterator[int]:
        """The lines of the file's own functions that are called, as far as their result is needed."""
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                for function in self.definitions.get(call.func.id, [])[:1]:
                    for result in results(function, node, needed):
                        if place := place_of(function, result):
                            yield from place.lines
                            yield from self.behind(place, others)


def place_of(function: ast.FunctionDef, value: ast.expr) -> Place | None:
    """Where a function computes a value that it returns or taps; None if the value is an argument."""
    if not isinstance(value, ast.Name):
        return Place(function, value)
    assigned = assignments(function, value.id)
    return Place(function, assigned[-1], value.id) if assigned else None


def lines_of(node: ast.stmt | ast.expr) -> range:
    """The lines on which a piece of code stands."""
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def statements(function: ast.FunctionDef) -> list[ast.stmt]:
    """The statements of a function in order, those inside `with` and `if` too."""
    return sorted(
        (
            n
            for n in ast.walk(function)
            if isinstance(n, ast.stmt) and n is not function and not hasattr(n, "body")
        ),
        key=lambda statement: statement.lineno,
    )


def values_of(function: ast.FunctionDef, quantity: str) -> Iterator[ast.expr]:
    """What a function taps under that name, or returns in a dictionary with that key."""
    returned = [s.value for s in statements(function) if isinstance(s, ast.Return) and s.value]
    for value in returned:
        for node in ast.walk(value):
            if isinstance(node, ast.Dict):
                entries = zip(node.keys, node.values, strict=True)
                yield from (v for k, v in entries if isinstance(k, ast.Constant) and k.value == quantity)
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Name("tap"), args=[ast.Constant(name), value]) if name == quantity:
                yield value if isinstance(value, ast.Name) else node


def assignments(function: ast.FunctionDef, name: str) -> list[ast.stmt]:
    """The statements of a function that assign a name, or a part of what it holds."""
    return [statement for statement in statements(function) if name in names_assigned(statement)]


def names_assigned(statement: ast.stmt) -> set[str]:
    """The names that a statement assigns, wholly or in part."""
    match statement:
        case ast.Assign(targets=targets):
            return {name for target in targets for name in names_held(target)}
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target, value=ast.expr()):
            return names_held(target)
    return set()


def names_held(target: ast.expr) -> set[str]:
    """The names that hold the target of an assignment."""
    match target:
        case ast.Name(name):
            return {name}
        case ast.Tuple(elements):
            return {name for element in elements for name in names_held(element)}
        case ast.Subscript(value=value):
            return names_held(value)
    return set()


def names_read(node: ast.AST) -> set[str]:
    """The names whose values a piece of code reads."""
    read = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return read | names_held(node.target) if isinstance(node, ast.AugAssign) else read


def is_unpacking(statement: ast.stmt) -> bool:
    """Whether a statement only gives the parameters, or a size, their names."""
    match statement:
        case ast.Assign(value=ast.Tuple(elements)):
            return all(isinstance(e, ast.Subscript) and names_read(e) == {"params"} for e in elements)
        case ast.Assign(value=ast.Subscript(value=ast.Attribute(attr="shape"))):
            return True
    return False


def results(function: ast.FunctionDef, node: ast.AST, needed: Collection[str]) -> list[ast.expr]:
    """What a function returns, as far as a statement that calls it assigns a needed name.

    A dictionary is left out: its quantities have places of their own.
    """
    returned: ast.expr | None = None
    for statement in statements(function):
        if isinstance(statement, ast.Return):
            returned = statement.value
    match node, returned:
        case _, ast.Dict():
            return []
        case ast.Assign(targets=[ast.Tuple(targets)]), ast.Tuple(elements):
            return [e for to, e in zip(targets, elements, strict=True) if names_held(to) & {*needed}]
    return [returned] if returned else []


def changes_state(statement: ast.stmt) -> bool:
    """Whether a statement is a call whose result nobody reads, such as `optimizer.step()`."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)


def reads_state_after(place: Place, statement: ast.stmt) -> bool:
    """Whether a place reads an attribute of an object that a statement before it may have changed.

    What follows the call of `backward` leaves a gradient, `.grad`, as it is.
    """
    attributes = [n for n in ast.walk(place.node) if isinstance(n, ast.Attribute)]
    if not any(assignments(place.function, name) for a in attributes for name in names_read(a)):
        return False
    if not any(a.attr == "grad" for a in attributes):
        return True
    backward = [s for s in statements(place.function) if ".backward(" in ast.unparse(s)]
    return statement.lineno <= backward[-1].lineno
