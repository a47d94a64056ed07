"""The step, the model and the arrays as a convention has them."""

import ast
import inspect
import linecache
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import FunctionType
from typing import Any, cast

from ports.conventions.known import Convention, Conventions
from ports.diagnosis.edits import rewritten
from reference.agreement.rounded import Rounded
from reference.agreement.routes import (
    Quantities,
    Route,
    regularized_gradient,
    regularized_loss,
)
from reference.arrays import Plain
from reference.models import WEIGHTS, Model

Routes = dict[str, tuple[Route, ...]]


@cache
def following(model: Model, conventions: Conventions) -> Model:
    """The model as these conventions have it.

    Raises ValueError if the model's step has no line that a convention changes.
    """
    if not any(convention.edits for convention in conventions):
        return model
    routes = dict(model.routes)
    step = _edited(model, conventions)
    for convention in conventions:
        if convention.regularizes_all:
            routes |= regularized_loss(list(model.parameters))
            for bias in model.biases:
                routes |= regularized_gradient(bias, routes.get(f"d{bias}", ()))
            roles = {n: p._replace(role=WEIGHTS) for n, p in model.parameters.items()}
            model = replace(model, parameters=roles)
        routes = _changed(routes, convention, model.weights)
    return replace(model, step=step, routes=routes)


# The step


def _edited(model: Model, conventions: Conventions) -> Callable[..., Any]:
    """The model's step with the conventions' edits. Its source can be read, as that of any function."""
    tree: ast.AST = _definition(model.step)
    for convention in conventions:
        try:
            tree = rewritten(tree, _edits(model, convention, conventions))
        except LookupError as pattern:
            raise ValueError(
                f"{convention} does not apply to {model.name}: its step has no {pattern.args[0]}"
            ) from None
    where = f"<the step of {model.name} with {', '.join(map(str, conventions))}>"
    return _compiled(ast.unparse(tree) + "\n", where, cast(FunctionType, model.step))


@cache
def _definition(step: Callable[..., Any]) -> ast.stmt:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(step))).body
    return definition


def _edits(model: Model, convention: Convention, conventions: Conventions) -> Iterator[str]:
    """A convention's edits, for each parameter that they are about."""
    all_of_them = any(one.regularizes_all for one in conventions)
    regularized = list(model.parameters) if all_of_them else model.weights
    for edit in convention.edits:
        if "{weights}" in edit:
            yield from (edit.format(weights=name) for name in regularized)
        elif "{bias}" in edit:
            yield from (edit.format(bias=name) for name in model.biases)
        else:
            yield edit


def _compiled(source: str, where: str, original: FunctionType) -> Callable[..., Any]:
    """A function from source that `inspect` finds, with the names that the original one knows."""
    linecache.cache[where] = len(source), None, source.splitlines(keepends=True), where
    names = dict(original.__globals__)
    exec(compile(source, where, "exec"), names)
    return cast(Callable[..., Any], names[original.__name__])


# The other ways to compute its quantities


def _changed(routes: Routes, convention: Convention, weights: Sequence[str]) -> Routes:
    """The routes as one convention has them."""
    gradients = ["reg_loss", *(f"d{name}" for name in weights)]
    strengths = dict.fromkeys(gradients, convention.gradient)
    strengths |= dict.fromkeys((f"{name}_next" for name in weights), convention.update)

    def changed(quantity: str, route: Route) -> Route:
        if quantity in convention.times_examples:
            route = times_examples(route)
        strength = strengths.get(quantity, 1.0)
        return route if strength == 1 else at_strength(strength, route)

    return {name: tuple(changed(name, route) for route in of_it) for name, of_it in routes.items()}


def times_examples(route: Route) -> Route:
    """The route to N times a quantity, without the division by N that comes last in the quantity.

    N times its bound holds: each rounding before the division is the same but for the factor. The
    division's own rounding is left out. That makes room for the two of this function, in float64.
    """

    def multiplied(computed: Rounded, q: Quantities) -> Rounded:
        N = q["num_examples"]
        once = route(Rounded(computed.value / N, computed.errors() / N, **_rest(computed)), q)
        return Rounded(N * once.value, N * once.errors(), **_rest(once))

    return multiplied


def _rest(rounded: Rounded) -> dict[str, Any]:
    """All that a `Rounded` has beside value and error."""
    return {
        "arithmetic": rounded.arithmetic,
        "products": rounded.products,
        "stacked": rounded.stacked,
    }


def at_strength(factor: float, route: Route) -> Route:
    """The route with so many times the note's regularization strength."""
    return lambda computed, q: route(computed, {**q, "reg": factor * q["reg"]})


# The arrays


def given(
    conventions: Conventions, arrays: Mapping[str, Plain], letters: Mapping[str, str]
) -> dict[str, Plain]:
    """Arrays of the note's shapes as the step is given them."""
    changed = dict(arrays)
    for layout in (c.layout for c in conventions if c.layout):
        changed = {name: layout.given(array, letters[name]) for name, array in changed.items()}
    return changed


def returned(
    conventions: Conventions, arrays: Mapping[str, Plain], letters: Mapping[str, str]
) -> dict[str, Plain]:
    """What the step has returned in the note's shapes, if it had the right ones."""
    changed = dict(arrays)
    for layout in reversed([c.layout for c in conventions if c.layout]):
        changed = {n: layout.returned(array, letters.get(n, "")) for n, array in changed.items()}
    return changed
