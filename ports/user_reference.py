"""A reference from outside the project: a network of one's own in a .py file (see `reference.own`).

The file is the user's own code and runs with the user's rights. It is read only when a command names it
with --reference. It then takes the place of the note's networks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from ports.messages import brief
from ports.registry import FRAMEWORKS
from ports.user_code import UserCodeError, users_code, users_line
from ports.user_port import executed, parsed
from reference.models import MODELS
from reference.own import ITERATIONS, OwnModel, ReferenceError, own_model

#: What a reference has to define.
FUNCTIONS = {"init": "init(rng)", "batch": "batch(rng)", "step": "step(params, batch, tap)"}


def load_reference(path: str | Path) -> OwnModel:
    """Import a reference from a .py file, and try it: this runs the file.

    Raises UserCodeError (a ValueError), in one sentence, for a file that is no reference.
    """
    file = Path(path)
    module = executed(parsed(file, "lockstep check --new-reference"), file, FRAMEWORKS["numpy"])
    for name, signature in FUNCTIONS.items():
        if not callable(getattr(module, name, None)):
            raise UserCodeError(
                f"{file.name} is no reference: it has no function {signature}; "
                "lockstep check --new-reference writes a template"
            )
    with users_code(file, "the reference"):
        try:
            return replace(model_of(module, file), file=str(file.resolve()))
        except (ReferenceError, TypeError) as why:
            raise UserCodeError(f"{users_line(why, file) or file.name}: {brief(why)}") from why


def model_of(module: ModuleType, file: Path) -> OwnModel:
    """The model that a module's functions make. It has its file's name; reference.py its folder's."""
    name = file.stem if file.stem != "reference" else file.resolve().parent.name
    title = (module.__doc__ or name).strip().splitlines()[0].rstrip(".")
    iterations = getattr(module, "iterations", ITERATIONS)
    if not (isinstance(iterations, int) and iterations > 0):
        raise ReferenceError(f"iterations is {iterations!r}, expected a positive number of steps")
    routes = getattr(module, "routes", {})
    return own_model(name, title, module.init, module.batch, module.step, routes, iterations)


def take_its_place(model: OwnModel) -> None:
    """Put a model in the place of the note's networks."""
    MODELS.clear()
    MODELS[model.name] = model


@contextmanager
def reference(path: str | None) -> Iterator[None]:
    """The context in which a file's network takes the place of the note's; for None nothing changes."""
    before = dict(MODELS)
    try:
        if path is not None:
            take_its_place(load_reference(path))
        yield
    finally:
        MODELS.clear()
        MODELS.update(before)


def reference_here() -> str:
    """The file whose network has taken the place of the note's, or an empty string."""
    return next((model.file for model in MODELS.values() if isinstance(model, OwnModel)), "")
