"""Ports from outside the project: a path to a .py file, or an installed package's entry point.

A file is the user's own code and runs with the user's rights. It is imported when it is asked
for by name, and never otherwise.

A user's port is a .py file with a `softmax_step`, a `two_layer_step`, or both, and optionally a
`spiral` and `hidden_quantities` (see `ports.contract`). `framework = "torch"` or `"jax"` at its top
gives it that framework's tensors; otherwise it is given NumPy arrays.

An installed port is an entry point of the group `lockstep.ports`: a module like such a file, or
a `ports.contract.Port`.
"""

import ast
import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from ports import PORTS
from ports.contract import (
    Absent,
    Host,
    LoadedPort,
    Port,
    PortError,
    Step,
    Tensor,
    brief,
    missing_packages,
)
from reference.trace import QUANTITIES

GROUP = "lockstep.ports"
STEPS = tuple(f"{model}_step" for model in QUANTITIES)
#: What a file may say in `framework`, and whose host then gives it its tensors.
HOSTS = {
    "numpy": "ports.in_numpy.array_host",
    "torch": "ports.in_torch.host",
    "jax": "ports.in_jax.host",
}


class UserCodeError(PortError):
    """A user's file cannot be used, or its code went wrong; the message says where, in their lines."""


@dataclass(frozen=True)
class UserPort(LoadedPort):
    """A port loaded from a user's file. What its code raises is told with the user's own line."""

    path: Path = field(kw_only=True)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process loads the file anew."""
        return load_port, (str(self.path),)

    @property
    def framework(self) -> str:
        """Whose tensors it is given."""
        return next(name for name, host in HOSTS.items() if host == self.host_name)

    def make_step(self, model: str, mode: str) -> Step:
        """The model's step, guarded: it raises UserCodeError alone, even for sys.exit."""
        with users_code(self.path, f"{model}_step"):
            step = super().make_step(model, mode)
        return self._guarded(step, f"{model}_step")

    def make_spiral(self, mode: str) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """The spiral, guarded likewise."""
        return self._guarded(super().make_spiral(mode), "spiral")

    def _guarded(self, function: Callable[..., Any], what: str) -> Callable[..., Any]:
        """A function of the file that raises UserCodeError alone."""

        def call(*arguments: Any) -> Any:
            with users_code(self.path, what):
                return function(*arguments)

        return call


def find_port(name_or_path: str) -> Port:
    """The port of that name (registered or installed), or in that .py file.

    Raises ValueError for an unknown one, with the names there are; UserCodeError for a file
    that is no port; Absent where its framework is not installed.
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
    """Import an installed port: a `Port`, or a module like a user's file."""
    package = point.dist.name if point.dist else point.value
    try:
        found = point.load()
    except Exception as why:
        raise ValueError(
            f"the installed port {point.name} (from {package}) cannot be imported: "
            f"{type(why).__name__}: {brief(why)}"
        ) from why
    if isinstance(found, Port):
        return found
    if not isinstance(found, ModuleType):
        raise ValueError(
            f"the installed port {point.name} (from {package}) is a {type(found).__name__}, "
            "expected a module or a ports.contract.Port"
        )
    framework = getattr(found, "framework", "numpy")
    check_contract(found, point.name, framework)
    return Port(point.name, found.__name__, HOSTS[framework], requires(framework))


def load_port(path: str | os.PathLike[str]) -> UserPort:
    """Import a port from a .py file: this runs the file.

    Raises UserCodeError (a ValueError) or OSError in one sentence for a file that is no port,
    and Absent where the framework that it names is not installed.
    """
    file = Path(path)
    tree = parsed(file)
    framework = declared_framework(tree, file.name)
    absence = missing_packages(file.name, requires(framework))
    if absence:
        raise Absent(absence)
    module = executed(tree, file, framework)
    check_contract(module, file.name, framework)
    return UserPort(
        file.name,
        module.__name__,
        HOSTS[framework],
        requires(framework),
        loaded=module,
        path=file.resolve(),
    )


def parsed(file: Path) -> ast.Module:
    """Read and parse a file, without running it."""
    if file.is_dir():
        raise UserCodeError(f"{file} is a folder: give the path of a .py file")
    if file.suffix != ".py":
        raise UserCodeError(f"{file} is not a .py file: give the path of one")
    if not file.exists():
        near = [p.name for p in file.parent.glob("*.py")] if file.parent.is_dir() else []
        raise UserCodeError(
            f"{file} does not exist: {did_you_mean(file.name, near)}"
            f"lockstep check --new {file} writes a template"
        )
    try:
        return ast.parse(file.read_bytes(), filename=str(file.resolve()))
    except SyntaxError as why:
        line = f": `{why.text.strip()}`" if why.text and why.text.strip() else ""
        raise UserCodeError(f"{file.name}:{why.lineno or 1} is not Python: {why.msg}{line}") from None
    except (ValueError, RecursionError, MemoryError) as why:
        raise UserCodeError(f"{file.name} is not Python: {brief(why)}") from None


def declared_framework(tree: ast.Module, name: str) -> str:
    """What `framework = ...` at the top of the file says: known before the file runs."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(isinstance(t, ast.Name) and t.id == "framework" for t in targets):
                return _framework(statement.value, f"{name}:{statement.lineno}")
    return "numpy"


def _framework(value: ast.expr, where: str) -> str:
    said = value.value if isinstance(value, ast.Constant) else None
    if not isinstance(said, str) or said not in HOSTS:
        meant = did_you_mean(said, HOSTS) if isinstance(said, str) else ""
        raise UserCodeError(
            f'{where}: framework is {ast.unparse(value)}, expected "torch", "jax" or "numpy": {meant}'
            'a port in another framework is given NumPy arrays, so it says "numpy"'
        )
    return said


def executed(tree: ast.Module, file: Path, framework: str) -> ModuleType:
    """Run a parsed file as a module, under its framework's exact settings.

    Not through the import system, whose bytecode cache goes by whole seconds: an edit within
    the second would be checked as it was before.
    """
    module = ModuleType(f"lockstep_user_port_{file.stem}")
    module.__file__ = str(file.resolve())
    sys.modules[module.__name__] = module
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # its neighbours, as `python file.py` would find them
    host = cast(Host, importlib.import_module(HOSTS[framework]))
    with host.exact_settings(), users_code(file, "its import"):
        exec(compile(tree, module.__file__, "exec"), module.__dict__)
    return module


def check_contract(module: ModuleType, name: str, framework: str) -> None:
    """Refuse a module that is no port. Raises UserCodeError."""
    if framework not in HOSTS:
        raise UserCodeError(f"{name}: framework is {framework!r}, expected {', '.join(HOSTS)}")
    steps = [step for step in STEPS if hasattr(module, step)]
    if not steps:
        near = [did_you_mean(n, STEPS, f"{n} is there, ") for n in vars(module) if n[0] != "_"]
        raise UserCodeError(
            f"{name} defines neither softmax_step nor two_layer_step: "
            f"{next(filter(None, near), '')}lockstep check --new writes a template"
        )
    for part in (*steps, "spiral"):
        if not callable(getattr(module, part, callable)):
            found = type(getattr(module, part)).__name__
            raise UserCodeError(f"{name}: {part} is of type {found}, expected a function")
    check_hidden(getattr(module, "hidden_quantities", {}), name)


def check_hidden(hidden: Any, name: str) -> None:
    """`hidden_quantities` maps known names to reasons. Raises UserCodeError."""
    if not isinstance(hidden, Mapping):
        raise UserCodeError(
            f"{name}: hidden_quantities is of type {type(hidden).__name__}, "
            "expected a dict {name: reason}"
        )
    known = dict.fromkeys(q for quantities in QUANTITIES.values() for q in quantities)
    for quantity, reason in hidden.items():
        if quantity not in known:
            raise UserCodeError(
                f"{name}: hidden_quantities names {quantity!r}, which is no quantity: "
                f"{did_you_mean(str(quantity), known)}there are {', '.join(known)}"
            )
        if not isinstance(reason, str) or not reason.strip():
            raise UserCodeError(f"{name}: hidden_quantities gives no reason for {quantity}")


def requires(framework: str) -> tuple[str, ...]:
    """The packages that a framework's host imports, beyond NumPy."""
    return () if framework == "numpy" else (framework,)


@contextmanager
def users_code(file: Path, what: str) -> Iterator[None]:
    """Anything that the user's code raises, sys.exit included, becomes a UserCodeError."""
    try:
        yield
    except (KeyboardInterrupt, UserCodeError):
        raise
    except BaseException as error:
        raise UserCodeError(told(error, file, what)) from error


def told(error: BaseException, file: Path, what: str) -> str:
    """One sentence on what the user's code raised, and on which of the user's lines."""
    lines = [f for f in traceback.extract_tb(error.__traceback__) if is_in(f.filename, file)]
    where = at_line(lines[-1], file) if lines else f"{file.name}, in {what}"
    if isinstance(error, SystemExit):
        return f"{where}: {what} called sys.exit({error.code!r})"
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return f"{where}: {error.name} is not installed here: pip install {package}"
    return f"{where}: {what} raised {type(error).__name__}: {brief(error)}"


def at_line(frame: traceback.FrameSummary, file: Path) -> str:
    """The file's name and line, with the source line where there is one."""
    return (
        f"{file.name}:{frame.lineno} (`{frame.line}`)" if frame.line else f"{file.name}:{frame.lineno}"
    )


def is_in(filename: str, file: Path) -> bool:
    """Whether a frame is one of that file's."""
    return filename == str(file.resolve())


def did_you_mean(word: str, words: Iterable[str], before: str = "") -> str:
    """`did you mean ...? `, or nothing where no known word is near."""
    near = difflib.get_close_matches(word, list(words), n=1)
    return f"{before}did you mean {near[0]}? " if near else ""


def undeclared_framework(path: Path, framework: str) -> str | None:
    """The framework with a host that a file imports without saying so, if there is one."""
    nodes = list(ast.walk(ast.parse(path.read_bytes()))) if framework == "numpy" else []
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    imported = {name.partition(".")[0] for name in names}
    return next((name for name in HOSTS if name != "numpy" and name in imported), None)
