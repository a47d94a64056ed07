"""Ports from outside the project: a path to a .py file, or an installed package's entry point.

A file is the user's own code and runs with the user's rights. It is imported only when it is asked for
by name.

A user's port is a .py file with a `softmax_step`, a `two_layer_step`, or both, and optionally a
`spiral` and `hidden_quantities` (see `ports.contract`). `framework = "torch"` or `"jax"` at its top
gives it that framework's tensors; otherwise it is given NumPy arrays.

An installed port is an entry point of the group `lockstep.ports` that names a module like such a file.
"""

import ast
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from ports.contract import Absent, Framework, LoadedPort, Port, Step, Tensor
from ports.messages import brief, did_you_mean, either, missing_packages
from ports.mixed import DTYPES_NAME, SCALES_NAME, problem_of
from ports.registry import FRAMEWORKS, PORTS
from ports.shared_process import left_alone
from ports.user_code import UserCodeError, users_code
from reference.models import MODELS, Model

GROUP = "lockstep.ports"


def step_names() -> list[str]:
    """The names that a port's steps may have."""
    return [model.step_name for model in MODELS.values()]


@dataclass(frozen=True)
class UserPort(LoadedPort):
    """A port loaded from a user's file. An error in its code is reported with the user's own line.

    If the process is not its own, its code must leave that as it was (see `ports.shared_process`).
    """

    path: Path = field(kw_only=True)
    own_process: bool = field(kw_only=True)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path: another process loads the file anew."""
        return load_port, (str(self.path),)

    def make_step(self, model: Model, mode: str) -> Step:
        """The model's step, guarded: it raises only UserCodeError, even for sys.exit."""
        step = self._guarded(super().make_step, model.step_name)(model, mode)
        return self._guarded(step, model.step_name)

    def make_spiral(self, mode: str) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """The spiral, guarded in the same way."""
        return self._guarded(super().make_spiral(mode), "spiral")

    def _guarded(self, function: Callable[..., Any], what: str) -> Callable[..., Any]:
        """Wrap a function of the file so that it raises only UserCodeError."""

        def call(*arguments: Any) -> Any:
            with (
                watched(self.path, what, self.own_process),
                self.host.settings_with(self.host.precision),
                users_code(self.path, what),
            ):
                return function(*arguments)

        return call


def find_port(name_or_path: str) -> Port:
    """The port of that name (registered or installed), or in that .py file.

    Raises ValueError for an unknown name, with the known ones; UserCodeError for a file that is no
    port; Absent if its framework is not installed.
    """
    if name_or_path in PORTS:
        return PORTS[name_or_path]
    installed = installed_ports()
    if name_or_path in installed:
        return load_installed(installed[name_or_path])
    if name_or_path.endswith(".py") or os.sep in name_or_path or Path(name_or_path).exists():
        return load_port(name_or_path)
    names = [*PORTS, *installed]
    raise ValueError(
        f"unknown port {name_or_path!r}: {did_you_mean(name_or_path, names)}there are "
        f"{', '.join(names)}, or give a path to a .py file"
    )


def installed_ports() -> dict[str, EntryPoint]:
    """The entry points of installed packages, by name; none of them is imported."""
    return {point.name: point for point in entry_points(group=GROUP)}


def load_installed(point: EntryPoint) -> Port:
    """Import an installed port, a module like a user's file. Raises ValueError if it is not one."""
    package = point.dist.name if point.dist else point.value
    try:
        found = point.load()
    except Exception as why:
        raise ValueError(
            f"the installed port {point.name} (from {package}) cannot be imported: "
            f"{type(why).__name__}: {brief(why)}"
        ) from why
    if not isinstance(found, ModuleType):
        raise ValueError(
            f"the installed port {point.name} (from {package}) is a {type(found).__name__}, "
            "expected a module: its entry point is the name of one, without a colon"
        )
    name = getattr(found, "framework", "numpy")
    if name not in FRAMEWORKS:
        raise UserCodeError(f"{point.name}: framework is {name!r}, expected {', '.join(FRAMEWORKS)}")
    check_contract(found, point.name)
    return Port(point.name, found.__name__, FRAMEWORKS[name])


def load_port(path: str | os.PathLike[str], own_process: bool = False) -> UserPort:
    """Import a port from a .py file: this runs the file.

    `own_process` says that nothing else is computed in this process.

    Raises UserCodeError (a ValueError) or OSError in one sentence for a file that is no port,
    and Absent where the framework that it names is not installed.
    """
    file = Path(path)
    tree = parsed(file)
    framework = declared_framework(tree, file.name)
    absence = missing_packages(file.name, framework.packages)
    if absence:
        raise Absent(absence)
    if not own_process:
        for other in imported_frameworks(tree):
            _ = other.absence() or other.host  # before the file runs, so that its changes are seen
    with watched(file, "its import", own_process):
        module = executed(tree, file, framework)
    check_contract(module, file.name)
    return UserPort(
        file.name,
        module.__name__,
        framework,
        loaded=module,
        path=file.resolve(),
        own_process=own_process,
    )


def watched(file: Path, what: str, own_process: bool) -> AbstractContextManager[None]:
    """The context in which the file's code runs: the process stays as it is, unless it is its own."""
    return nullcontext() if own_process else left_alone(file, what)


def parsed(file: Path, new: str = "lockstep check --new") -> ast.Module:
    """Read and parse a file, without running it. `new` is the command that writes such a file."""
    if file.is_dir():
        raise UserCodeError(f"{file} is a folder: give the path of a .py file")
    if file.suffix != ".py":
        raise UserCodeError(f"{file} is not a .py file: give the path of one")
    if not file.exists():
        near = [p.name for p in file.parent.glob("*.py")] if file.parent.is_dir() else []
        raise UserCodeError(
            f"{file} does not exist: {did_you_mean(file.name, near)}{new} {file} writes a template"
        )
    try:
        return ast.parse(file.read_bytes(), filename=str(file.resolve()))
    except SyntaxError as why:
        line = f": `{why.text.strip()}`" if why.text and why.text.strip() else ""
        raise UserCodeError(f"{file.name}:{why.lineno or 1} is not Python: {why.msg}{line}") from None
    except (ValueError, RecursionError, MemoryError) as why:
        raise UserCodeError(f"{file.name} is not Python: {brief(why)}") from None


def declared_framework(tree: ast.Module, name: str) -> Framework:
    """The framework that `framework = ...` at the top of the file names, found without running it."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(isinstance(t, ast.Name) and t.id == "framework" for t in targets):
                return _framework(statement.value, f"{name}:{statement.lineno}")
    return FRAMEWORKS["numpy"]


def _framework(value: ast.expr, where: str) -> Framework:
    said = value.value if isinstance(value, ast.Constant) else None
    if not isinstance(said, str) or said not in FRAMEWORKS:
        meant = did_you_mean(said, FRAMEWORKS) if isinstance(said, str) else ""
        quoted = either(f'"{name}"' for name in FRAMEWORKS)
        raise UserCodeError(
            f"{where}: framework is {ast.unparse(value)}, expected {quoted}: {meant}"
            'a port in another framework is given NumPy arrays, so it says "numpy"'
        )
    return FRAMEWORKS[said]


def executed(tree: ast.Module, file: Path, framework: Framework) -> ModuleType:
    """Run a parsed file as a module, under its framework's exact settings.

    The import system is not used: its bytecode cache compares times in whole seconds, so an edit within
    the same second would be missed.
    """
    module = ModuleType(f"lockstep_user_port_{file.stem}")
    module.__file__ = str(file.resolve())
    sys.modules[module.__name__] = module
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # its neighbours, as `python file.py` would find them
    with framework.host.exact_settings(), users_code(file, "its import"):
        exec(compile(tree, module.__file__, "exec"), module.__dict__)
    return module


def check_contract(module: ModuleType, name: str) -> None:
    """Refuse a module that is no port. Raises UserCodeError."""
    known = step_names()
    steps = [step for step in known if hasattr(module, step)]
    if not steps:
        near = [did_you_mean(n, known, f"{n} is there, ") for n in vars(module) if n[0] != "_"]
        if hasattr(module, "step") and "step" not in known:
            near = ["step is there: --reference FILE names the reference that it is a port of; "]
        raise UserCodeError(
            f"{name} defines neither {' nor '.join(known)}: "
            f"{next(filter(None, near), '')}lockstep check --new writes a template"
        )
    for part in (*steps, "spiral"):
        if not callable(getattr(module, part, callable)):
            found = type(getattr(module, part)).__name__
            raise UserCodeError(f"{name}: {part} is of type {found}, expected a function")
    check_hidden(getattr(module, "hidden_quantities", {}), name)
    check_mixed(module, name)
    check_convention(getattr(module, "convention", {}), name)


def check_hidden(hidden: Any, name: str) -> None:
    """Refuse `hidden_quantities` that do not map known names to reasons. Raises UserCodeError."""
    if not isinstance(hidden, Mapping):
        raise UserCodeError(
            f"{name}: hidden_quantities is of type {type(hidden).__name__}, "
            "expected a dict {name: reason}"
        )
    known = quantity_names()
    for quantity, reason in hidden.items():
        if quantity not in known:
            raise UserCodeError(
                f"{name}: hidden_quantities names {quantity!r}, which is no quantity: "
                f"{did_you_mean(str(quantity), known)}there are {', '.join(known)}"
            )
        if not isinstance(reason, str) or not reason.strip():
            raise UserCodeError(f"{name}: hidden_quantities gives no reason for {quantity}")


def check_mixed(module: ModuleType, name: str) -> None:
    """Refuse a wrong declaration of mixed precision (see `ports.mixed`). Raises UserCodeError."""
    dtypes, scales = (getattr(module, what, {}) for what in (DTYPES_NAME, SCALES_NAME))
    problem = problem_of(dtypes, scales, quantity_names())
    if problem:
        raise UserCodeError(f"{name}: {problem}")


def quantity_names() -> list[str]:
    """The quantities of all models."""
    return list(dict.fromkeys(name for model in MODELS.values() for name in model.quantities))


def check_convention(convention: Any, name: str) -> None:
    """Refuse a `convention` that does not map names to values. Raises UserCodeError."""
    is_dict = isinstance(convention, Mapping)
    if not is_dict or any(type(word) is not str for item in convention.items() for word in item):
        raise UserCodeError(
            f"{name}: convention is {convention!r}, expected a dict such as {{'reg': 'full'}}"
        )


def undeclared_framework(path: Path, framework: str) -> str | None:
    """The registered framework that a file imports but does not declare, or None."""
    if framework != "numpy":
        return None
    return next((other.name for other in imported_frameworks(ast.parse(path.read_bytes()))), None)


def imported_frameworks(tree: ast.Module) -> list[Framework]:
    """The registered frameworks that a file imports, NumPy aside."""
    nodes = list(ast.walk(tree))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    imported = {name.partition(".")[0] for name in names}
    return [known for name, known in FRAMEWORKS.items() if known.packages and name in imported]
