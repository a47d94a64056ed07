"""Edits of a line: every place where a row of the grammar fits, and the line that it gives."""

import ast
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

from ports.diagnosis.grammar import Rule
from reference.line import Line, Path, assigned_in, assignment, is_assigned, located, name_node

#: What the rules call a number that is still to be found, and its name in an edited line, which no line
#: of a network has.
WRITTEN, FREE = "C", "number_to_be_found"

Bindings = dict[str, ast.expr]


@dataclass(frozen=True)
class Names:
    """What the special names of the grammar stand for in one step.

    Attributes:
        tensors: the names of arrays and numbers in the line that may be exchanged.
        lists: the names that stand for each of several, such as WEIGHTS.
        functions: what last(n), after(n) and before(n) are, as code, for each tensor n that has one.
        parameter: the parameter whose gradient or next value the line computes, or an empty string.
    """

    tensors: Collection[str]
    lists: Mapping[str, Sequence[str]]
    functions: Mapping[str, Mapping[str, str]]
    parameter: str = ""


#: For changes in which every name stands for itself.
NO_NAMES = Names((), {}, {})


@dataclass(frozen=True)
class Applied:
    """A rule as it was applied: what its names stand for, and its free number once that is known."""

    rule: Rule
    bound: Mapping[str, ast.expr]
    number: str = ""

    def said(self, text: str) -> str:
        """A text of the rule with the names and the number filled in."""
        for name, node in self.bound.items():
            text = text.replace(f"{{{name}}}", ast.unparse(node))
        return text.replace(f"{{{WRITTEN}}}", self.number)


@dataclass(frozen=True)
class Edit:
    """A line changed by a rule, or by several one after the other.

    `line` may still have a free number, `C`, of the last rule. `fitted` says whether a number was
    chosen to suit the port's tensor.
    """

    line: Line
    applied: tuple[Applied, ...]
    fitted: bool = False

    @property
    def rule(self) -> Rule:
        """The last rule."""
        return self.applied[-1].rule

    @property
    def number(self) -> str:
        """The number of the last rule, once it is known."""
        return self.applied[-1].number

    @property
    def is_free(self) -> bool:
        """Whether a number is still to be found."""
        return not self.number and (self.rule.fits or bool(self.rule.numbers))

    def with_number(self, code: str, fitted: bool) -> "Edit":
        """The edit with its free number written as this code."""
        number = {FREE: ast.parse(code, mode="eval").body}
        statements = tuple(_Filled(number).visit(_copied(s)) for s in self.line.statements)
        *before, last = self.applied
        applied = (*before, replace(last, number=code))
        return Edit(Line(self.line.target, statements), applied, fitted)

    @property
    def cause(self) -> str:
        """The short key of the first rule."""
        return self.applied[0].said(self.applied[0].rule.cause)

    @property
    def says(self) -> str:
        """The rules' phrases."""
        return ", and ".join(applied.said(applied.rule.says) for applied in self.applied)

    def changed_in(self, line: Line) -> str:
        """The variable of the first statement that is not the same in a line."""
        before, after = ({ast.unparse(s): s for s in x.statements} for x in (line, self.line))
        for code, statement in {**before, **after}.items():
            if (code in before) != (code in after):
                return next(iter(assigned_in(statement)), self.line.target)
        return self.line.target


def edits_of(
    line: Line, rules: Sequence[Rule], names: Names, after: Edit | None = None
) -> Iterator[Edit]:
    """Every edit of a line by one rule, in the order of the rules; `after` is an edit made before."""
    nodes = list(line.nodes())
    for rule in rules:
        pattern, replacement = _parsed(rule.change)
        if pattern is WHOLE:
            made = _of_the_whole(line, replacement, names)
        elif isinstance(pattern, ast.Name) and pattern.id in ONE_NAME:
            made = _of_each_name(line, nodes, pattern.id, replacement, names)
        else:
            made = _of_each_node(line, nodes, pattern, replacement, names)
        for changed, bound in made:
            before = after.applied if after else ()
            yield Edit(changed, (*before, Applied(rule, bound)), fitted=bool(after and after.fitted))


#: A pattern that stands for what the line computes.
WHOLE = name_node("WHOLE")


#: Patterns that stand for a single name.
ONE_NAME = ("_n", "_m")

Changed = tuple[Line, Bindings]
Nodes = Sequence[tuple[Path, ast.AST]]


def _of_each_node(
    line: Line, nodes: Nodes, pattern: ast.AST, replacement: Sequence[ast.AST], names: Names
) -> Iterator[Changed]:
    matching = []
    for path, node in nodes:
        bound = Bindings()
        if _matches(pattern, node, bound, names):
            matching.append((path, node, bound))
    for path, node, bound in matching:
        for filled, more in _filled(replacement, bound, names):
            if isinstance(node, ast.stmt):
                yield _with_statements(line, path, filled), more
            elif not is_assigned(node):
                yield line.replaced(path, filled[0]), more
            elif isinstance(filled[0], ast.Subscript):  # the target of an assignment
                filled[0].ctx = ast.Store()
                yield line.replaced(path, filled[0]), more
    if len(matching) > 1 and not any(isinstance(n, ast.stmt) or is_assigned(n) for _, n, _ in matching):
        yield from _everywhere(line, matching, replacement, names)


def _everywhere(
    line: Line,
    matching: Sequence[tuple[Path, ast.AST, Bindings]],
    replacement: Sequence[ast.AST],
    names: Names,
) -> Iterator[Changed]:
    """Change all places at once, if none lies within another."""
    paths = [path for path, _, _ in matching]
    if any(a != b and b[: len(a)] == a for a in paths for b in paths):
        return
    changed, said = line, Bindings()
    for path, _, bound in matching:
        filled = next(_filled(replacement, bound, names), None)
        if filled is None:
            return
        changed = changed.replaced(path, filled[0][0])
        said = said or filled[1]
    yield changed, said


def _with_statements(line: Line, path: Path, new: Sequence[ast.AST]) -> Line:
    """Replace a statement by none, one or two."""
    *above, field_or_index = path
    if above:  # within a loop
        return line.replaced(path, new[0]) if new else line
    at = cast(int, field_or_index)
    return Line(
        line.target, (*line.statements[:at], *cast(list[ast.stmt], new), *line.statements[at + 1 :])
    )


def _of_each_name(
    line: Line, nodes: Nodes, pattern: str, replacement: Sequence[ast.AST], names: Names
) -> Iterator[Changed]:
    """Change a tensor wherever it occurs, and then at each single place."""
    places: dict[str, list[Path]] = {}
    for path, node in nodes:
        if isinstance(node, ast.Name) and node.id in names.tensors:
            places.setdefault(node.id, []).append(path)
    for name, paths in places.items():
        bound: Bindings = {pattern: name_node(name)}
        for filled, more in _filled(replacement, bound, names):
            for chosen in [paths, *([path] for path in paths if len(paths) > 1)]:
                changed = line
                for path in chosen:
                    changed = changed.replaced(path, filled[0])
                yield changed, more


def _of_the_whole(line: Line, replacement: Sequence[ast.AST], names: Names) -> Iterator[Changed]:
    """Change what the last statement gives: within a plain assignment, or else after it."""
    *before, last = line.statements
    match last:
        case ast.Assign(targets=[ast.Name(variable)], value=value) if variable == line.target:
            whole, rest = value, before
        case _:
            whole, rest = name_node(line.target), [*before, last]
    bound: Bindings = {"WHOLE": whole, "_q": name_node(line.target)}
    for filled, more in _filled(replacement, bound, names):
        assigned = assignment(line.target, cast(ast.expr, filled[0]))
        yield Line(line.target, (*rest, assigned)), more


def rewritten(tree: ast.AST, changes: Iterable[str]) -> ast.AST:
    """A tree with each `pattern -> replacement`, one after the other, made wherever the pattern fits.

    Raises LookupError with the pattern if that is nowhere.
    """
    changed = _copied(tree)
    for change in changes:
        rewriting = _Rewriting(*_parsed(change))
        changed = rewriting.visit(changed)
        if not rewriting.places:
            raise LookupError(change.partition(" -> ")[0])
    return ast.fix_missing_locations(changed)


class _Rewriting(ast.NodeTransformer):
    """Puts a replacement in the place of each node that has the pattern's form."""

    def __init__(self, pattern: ast.AST, replacement: Sequence[ast.AST]) -> None:
        self.pattern, self.replacement, self.places = pattern, replacement, 0

    def visit(self, node: ast.AST) -> Any:
        bound = Bindings()
        if not _matches(self.pattern, node, bound, NO_NAMES):
            return self.generic_visit(node)
        self.places += 1
        filled, _ = next(_filled(self.replacement, bound, NO_NAMES))
        return filled if isinstance(node, ast.stmt) else filled[0]


# Patterns


@cache
def _parsed(change: str) -> tuple[ast.AST, tuple[ast.AST, ...]]:
    """A rule's pattern and its replacement, a statement or an expression each."""
    before, after = change.split(" -> ")
    pattern, replacement = _code(before), _code(re.sub(rf"\b{WRITTEN}\b", FREE, after))
    (first,) = pattern
    is_whole = isinstance(first, ast.Name) and first.id == "WHOLE"
    return (WHOLE if is_whole else first), replacement


def _code(text: str) -> tuple[ast.AST, ...]:
    statements = ast.parse(text.strip()).body
    return tuple(s.value if isinstance(s, ast.Expr) else s for s in statements)


def _matches(pattern: ast.AST, node: ast.AST, bound: Bindings, names: Names) -> bool:
    """Whether a node has the pattern's form; `bound` then says what the pattern's names stand for."""
    if isinstance(pattern, ast.Name) and (pattern.id.startswith("_") or pattern.id in names.lists):
        if pattern.id in bound:
            return ast.dump(bound[pattern.id]) == ast.dump(_read(node))
        if not isinstance(node, ast.expr) or not _may_be(pattern.id, node, names):
            return False
        bound[pattern.id] = _read(node)
        return True
    if type(pattern) is not type(node):
        return False
    return all(
        _matching(getattr(pattern, field), getattr(node, field), bound, names)
        for field in pattern._fields
        if field not in ("ctx", "kind", "type_comment")
    )


def _may_be(name: str, node: ast.expr, names: Names) -> bool:
    """Whether a name of a pattern may stand for a node."""
    if name in names.lists:
        return isinstance(node, ast.Name) and node.id in names.lists[name]
    return name not in ONE_NAME or (isinstance(node, ast.Name) and node.id != "np")


def _matching(pattern: object, node: object, bound: Bindings, names: Names) -> bool:
    if isinstance(pattern, ast.AST) and isinstance(node, ast.AST):
        return _matches(pattern, node, bound, names)
    if isinstance(pattern, list) and isinstance(node, list):
        same = len(pattern) == len(node)
        return same and all(_matching(p, n, bound, names) for p, n in zip(pattern, node, strict=True))
    return type(pattern) is type(node) and pattern == node


def _read(node: ast.AST) -> ast.expr:
    """The same expression where it is read, not assigned to."""
    copied = _copied(node)
    if isinstance(copied, ast.Name | ast.Subscript | ast.Attribute):
        copied.ctx = ast.Load()
    assert isinstance(copied, ast.expr)
    return copied


# Replacements


def _filled(
    replacement: Sequence[ast.AST], bound: Bindings, names: Names
) -> Iterator[tuple[list[ast.AST], Bindings]]:
    """The replacement with its names filled in, once for each choice of WEIGHTS and the like."""
    used = {n.id for part in replacement for n in ast.walk(part) if isinstance(n, ast.Name)}
    lists = [name for name in names.lists if name in used and name not in bound]
    if "parameter" in used and not names.parameter:
        return
    for choice in itertools.product(*(names.lists[name] for name in lists)):
        more = bound | {n: name_node(c) for n, c in zip(lists, choice, strict=True)}
        if names.parameter:
            more["parameter"] = name_node(names.parameter)
        filling = _Filled(more, names.functions)
        filled = [filling.visit(_copied(part)) for part in replacement]
        if not filling.failed:
            yield [part for part in filled if not isinstance(part, ast.Pass)], more


class _Filled(ast.NodeTransformer):
    """Puts code in the place of names, and tensors in the place of last(n), after(n), before(n)."""

    def __init__(
        self, bound: Mapping[str, ast.expr], functions: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self.bound, self.functions, self.failed = bound, functions or {}, False

    def visit_Name(self, node: ast.Name) -> ast.AST:
        found = self.bound.get(node.id)
        if found is None:
            return node
        copied = _copied(found)
        if isinstance(copied, ast.Name | ast.Subscript):
            copied.ctx = type(node.ctx)()
        return copied

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(function), args=[argument]) if function in self.functions:
                code = self.functions[function].get(ast.unparse(argument))
                if code is None:
                    self.failed = True
                    return node
                return ast.parse(code, mode="eval").body
        return node


def _copied(node: ast.AST) -> ast.AST:
    """A deep copy, faster than copy.deepcopy."""
    fields = {
        name: [_copied(x) if isinstance(x, ast.AST) else x for x in value]
        if isinstance(value, list)
        else _copied(value)
        if isinstance(value, ast.AST)
        else value
        for name, value in ast.iter_fields(node)
    }
    return type(node)(**fields, **located(node))
