"""Errors planted in a port's own source: one quantity goes wrong, and the port goes on with it.

The source is changed as a syntax tree and executed as a fresh module, so that all that comes after
the planted quantity is computed from it. Nothing else may go wrong: a planted value is differentiated
as the value it replaces, and where a gradient is planted the value stays.
"""

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from ports.contract import LoadedPort, Port
from reference.models import MODELS, Model

#: What a port calls if its framework differentiates.
DIFFERENTIATORS = {"grad", "value_and_grad", "vjp", "jacrev", "jacfwd", "backward"}
#: nn.CrossEntropyLoss runs twice: for the mean, and for each example's loss, which is to be read. An
#: error in it is an error in both.
TOGETHER = {("torch_library", "correct_logprobs"): ("correct_logprobs", "data_loss")}


def plant(port: Port, model: str, quantity: str, relative: float) -> LoadedPort:
    """The port with a relative error in one quantity of one model, and in nothing else."""
    tree = source_tree(port.module)
    at = gradient_at(MODELS[model])
    if quantity in at and differentiates(tree):
        plant_in(tree, model, at[quantity], "planted_backward")
    else:
        for name in TOGETHER.get((port.name, quantity), (quantity,)):
            plant_in(tree, model, name, "planted")
    return loaded(port, tree, planted=forward(relative), planted_backward=backward(relative))


def source_tree(module: ModuleType) -> ast.Module:
    """The module's source, with that of the ports that it imports more of than their spiral."""
    return ast.Module(list(with_imported(module)), [])


def with_imported(module: ModuleType) -> Iterator[ast.stmt]:
    """The module's statements, in place of the import of another port those of that one."""
    for statement in ast.parse(inspect.getsource(module)).body:
        names = [n.name for n in getattr(statement, "names", [])]
        path = getattr(statement, "module", None) or ""
        if path.startswith("ports.in_") and names != ["spiral"]:
            yield from with_imported(importlib.import_module(path))
        else:
            yield statement


def gradient_at(model: Model) -> dict[str, str]:
    """The tensor at which an error in each gradient is planted, if the framework differentiates."""
    return {"dscores": "scores"} | {relu.gradient: name for name, relu in model.relus.items()}


def rewritten(port: Port, old: str, new: str, **names: Any) -> LoadedPort:
    """The port with a piece of its source replaced, wherever it stands."""
    source = ast.unparse(source_tree(port.module))
    assert old in source
    return loaded(port, ast.parse(source.replace(old, new)), **names)


def loaded(port: Port, tree: ast.Module, **names: Any) -> LoadedPort:
    """A port made from a changed source, in which `names` are known."""
    module = ModuleType(port.module_name)
    vars(module).update(names)
    exec(compile(ast.fix_missing_locations(tree), port.module_name, "exec"), vars(module))
    return LoadedPort(port.name, port.module_name, port.framework, port.packages, loaded=module)


# What is planted


def forward(relative: float) -> Callable[[Any], Any]:
    """x (1 + relative), whose gradient is that of x."""
    return lambda x: x + constant(relative * x)


def backward(relative: float) -> Callable[[Any], Any]:
    """x itself, whose gradient is that of x (1 + relative): what is added is 0."""
    return lambda x: x + relative * (x - constant(x))


def constant(x: Any) -> Any:
    """The same numbers, which the framework differentiates as constants."""
    if type(x).__module__.startswith("jax"):
        from jax.lax import stop_gradient

        return stop_gradient(x)
    return x.detach() if hasattr(x, "detach") else x


# Where it is planted


def differentiates(tree: ast.Module) -> bool:
    """Whether gradients are the framework's: jax.grad, torch.autograd.grad, loss.backward."""
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(isinstance(f, ast.Attribute) and f.attr in DIFFERENTIATORS for f in calls)


def plant_in(tree: ast.Module, model: str, quantity: str, by: str) -> None:
    """Pass a quantity of a model through the function called `by`, as soon as it is made."""
    functions = reachable(tree, f"{model}_step")
    for way in (plant_shown_variable, plant_variable, plant_shown_gradient, plant_shown, plant_tapped):
        if any(way(function, quantity, by) for function in functions):
            return
    raise LookupError(f"no {quantity} of {model} is made in {[f.name for f in functions]}")


def plant_shown_variable(function: ast.FunctionDef, quantity: str, by: str) -> bool:
    """{"probs": probs} or {"db": d["b"]}: after the last assignment to it in the same function."""
    places = [display.values[i] for display, i in shown(function, quantity)]
    return any(
        insert_after(function, lambda s, p=place: base(p) in assigned(s), passed(place, by))
        for place in places
        if base(place)
    )


def plant_variable(function: ast.FunctionDef, quantity: str, by: str) -> bool:
    """probs = ...: after the last assignment to it."""
    place = ast.Name(quantity, ast.Load())
    return insert_after(function, lambda s: quantity in assigned(s), passed(place, by))


def plant_shown_gradient(function: ast.FunctionDef, quantity: str, by: str) -> bool:
    """{"db": bias.grad[None, :]}: after loss.backward() has made it."""
    places = [
        node
        for display, i in shown(function, quantity)
        for node in ast.walk(display.values[i])
        if isinstance(node, ast.Attribute) and node.attr == "grad"
    ]
    return any(insert_after(function, runs_backward, passed(place, by)) for place in places)


def plant_shown(function: ast.FunctionDef, quantity: str, by: str) -> bool:
    """{"probs": torch.softmax(scores, dim=1)}: around the expression; a parameter is not made here."""
    for display, i in shown(function, quantity):
        if not isinstance(display.values[i], ast.Name):
            display.values[i] = call(by, display.values[i])
            return True
    return False


def plant_tapped(function: ast.FunctionDef, quantity: str, by: str) -> bool:
    """step(..., trace.tap): a tap that plants, and hands on what it planted."""
    for node in ast.walk(function):
        for i, argument in enumerate(getattr(node, "args", []) if isinstance(node, ast.Call) else []):
            if isinstance(argument, ast.Attribute) and argument.attr == "tap":
                node.args[i] = expression(
                    f"lambda name, value: {ast.unparse(argument)}"
                    f"(name, {by}(value) if name == {quantity!r} else value)"
                )
                return True
    return False


# Syntax trees


def reachable(tree: ast.Module, name: str) -> list[ast.FunctionDef]:
    """The module's functions and methods that the definition of that name may call."""
    definitions = {d.name: d for d in tree.body if isinstance(d, ast.FunctionDef | ast.ClassDef)}
    found, names = {}, [name]
    while names:
        name = names.pop()
        if name in definitions and name not in found:
            found[name] = definitions[name]
            names += [n.id for n in ast.walk(found[name]) if isinstance(n, ast.Name)]
    nodes = (node for definition in found.values() for node in ast.walk(definition))
    return [node for node in nodes if isinstance(node, ast.FunctionDef)]


def shown(function: ast.FunctionDef, quantity: str) -> Iterator[tuple[ast.Dict, int]]:
    """Entries of that name in the function's dictionary displays."""
    for node in ast.walk(function):
        for i, key in enumerate(node.keys if isinstance(node, ast.Dict) else []):
            if isinstance(key, ast.Constant) and key.value == quantity:
                yield node, i


def base(place: ast.expr) -> str:
    """The variable that a name or an item of a variable belongs to, if it is one: d for d["b"]."""
    match place:
        case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)):
            return name
    return ""


def assigned(statement: ast.stmt) -> set[str]:
    """The variables that a statement assigns to, in whole or in part."""
    match statement:
        case ast.Assign(targets=targets):
            return {base(t) for target in targets for t in leaves(target)}
        case ast.AugAssign(target=target):
            return {base(target)}
    return set()


def leaves(target: ast.expr) -> Iterator[ast.expr]:
    """What a tuple unpacks into."""
    if isinstance(target, ast.Tuple):
        for element in target.elts:
            yield from leaves(element)
    else:
        yield target


def runs_backward(statement: ast.stmt) -> bool:
    """loss.backward()."""
    return isinstance(statement, ast.Expr) and ast.unparse(statement).endswith(".backward()")


def insert_after(function: ast.FunctionDef, which: Callable[[ast.stmt], bool], new: ast.stmt) -> bool:
    """Insert a statement after the last one of a kind; return whether there is one."""
    blocks = [n.body for n in ast.walk(function) if isinstance(n, ast.FunctionDef | ast.With)]
    spots = [(s.lineno, block, s) for block in blocks for s in block if which(s)]
    if not spots:
        return False
    _, block, statement = max(spots, key=lambda spot: spot[0])
    block.insert(block.index(statement) + 1, new)
    return True


def passed(place: ast.expr, by: str) -> ast.stmt:
    """place = by(place)"""
    return ast.parse(f"{ast.unparse(place)} = {by}({ast.unparse(place)})").body[0]


def call(function: str, argument: ast.expr) -> ast.expr:
    """function(argument)"""
    return expression(f"{function}({ast.unparse(argument)})")


def expression(text: str) -> ast.expr:
    """Python text as a syntax tree."""
    return ast.parse(text, mode="eval").body
