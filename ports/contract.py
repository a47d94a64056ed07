"""What a port is: a module with the document's three parts, in its framework.

A port module defines

    spiral(noise) -> (X, y)
    softmax_step(params, X, y, reg, step_size) -> {quantity: tensor}
    two_layer_step(params, X, y, reg, step_size) -> {quantity: tensor}

A step is a function, which the compiled mode compiles whole, or a class, created once per
run with the mode's `compile`, so that it can keep state and choose what to compile.
`hidden_quantities` names what the port's library does not show, with the reason.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

if TYPE_CHECKING:  # NumPy is imported when a port runs, not for `lockstep --help`
    from reference.agreement.arithmetic import Arithmetic
    from reference.arrays import Plain

#: Frameworks write long messages; one sentence is wanted.
LONGEST_MESSAGE = 300
#: A framework's own array.
Tensor: TypeAlias = Any
Step: TypeAlias = Callable[[Mapping[str, Tensor], Tensor, Tensor, float, float], dict[str, Tensor]]


class Absent(Exception):
    """A framework, device or compiler is not here; the message says what to do about it."""


class PortError(ValueError):
    """A port is not one, or returned what no port returns; the message says so to its author."""


class Host(Protocol):
    """A framework's devices, dtypes, transfer and precision settings (`torch_host`, `jax_host`, ...)."""

    NATURAL_MODE: str
    MODES: tuple[str, ...]
    IMMUTABLE: bool  #: whether nobody can write to what `get` returned, not even a later step

    def devices(self) -> list[str]:
        """Names of the devices found, the CPU first."""

    def dtypes(self, device: str) -> tuple[str, ...]:
        """Which of the suite's dtypes the device computes in."""

    def arithmetic(self, device: str, dtype: str) -> Arithmetic:
        """What the framework promises there, under `exact_settings`."""

    def exact_settings(self) -> AbstractContextManager[None]:
        """Full-precision products, float64 allowed; the caller's settings are restored afterwards."""

    def put(self, array: Plain, device: str, dtype: str) -> Tensor:
        """Copy floats to the device, in that dtype."""

    def put_labels(self, y: Plain, device: str) -> Tensor:
        """Copy labels to the device, in the framework's index dtype."""

    def get(self, tensor: Tensor) -> Plain:
        """A NumPy view or copy of a tensor, once it is computed; raises TypeError if it is no tensor."""

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The framework's compiler."""

    def compiler_absence(self) -> str | None:
        """Why the compiled mode cannot run, or None."""

    def settings(self) -> dict[str, str]:
        """Versions, devices, threads and precision settings, for the record."""


@dataclass(frozen=True)
class Port:
    """A registered port: where its module and its host are, and what they import."""

    name: str
    module_name: str
    host_name: str
    requires: tuple[str, ...] = ()

    def absence(self) -> str | None:
        """Why the port cannot run here (a package is not installed), or None."""
        return missing_packages(self.name, self.requires)

    @property
    def module(self) -> ModuleType:
        """The port's module, imported now."""
        return importlib.import_module(self.module_name)

    @property
    def host(self) -> Host:
        """The framework's host module, imported now."""
        return cast(Host, importlib.import_module(self.host_name))

    @property
    def hidden_quantities(self) -> Mapping[str, str]:
        """Quantities that the port declares its library hides, with the reason."""
        return getattr(self.module, "hidden_quantities", {})

    def make_step(self, model: str, mode: str) -> Step:
        """The model's step in eager or compiled mode, with fresh state."""
        return in_mode(mode, getattr(self.module, f"{model}_step"), self.host)

    def make_spiral(self, mode: str) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """The spiral in eager or compiled mode."""
        return in_mode(mode, self.module.spiral, self.host)


@dataclass(frozen=True)
class LoadedPort(Port):
    """A port whose module is already here: loaded from a file, or made from a changed source."""

    loaded: ModuleType = field(kw_only=True)

    @property
    def module(self) -> ModuleType:
        """The module as loaded."""
        return self.loaded


def in_mode(mode: str, definition: Any, host: Host) -> Callable[..., Any]:
    """Turn what a port defines, a function or a class, into a callable in the given mode."""
    compile_ = host.compile if mode == "compiled" else _as_written
    made_by: Any = definition if inspect.isclass(definition) else None
    return cast(Callable[..., Any], made_by(compile_) if made_by else compile_(definition))


def prepared_step(port: Port, model: str, mode: str) -> Step:
    """The port's step. Where it cannot be made, one that raises why: that costs this cell alone."""
    try:
        return port.make_step(model, mode)
    except (Exception, SystemExit) as error:
        why = error

    def broken(*_: Any) -> dict[str, Tensor]:
        raise why

    return broken


def named_tensors(returned: Any, what: str) -> Mapping[str, Tensor]:
    """What a step has returned, if that is a dict of names. Raises PortError."""
    if not isinstance(returned, Mapping):
        lost = ": is there a return?" if returned is None else ""
        raise PortError(f"{what} returned {_a(returned)}, expected a dict {{quantity: tensor}}{lost}")
    for name in returned:
        if not isinstance(name, str):
            raise PortError(f"{what} returned the key {name!r}, expected names")
    return returned


def points_and_labels(returned: Any) -> tuple[Tensor, Tensor]:
    """What a spiral has returned, if that is X, y. Raises PortError."""
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise PortError(f"spiral returned {_a(returned)}, expected X, y")
    return returned[0], returned[1]


def read(host: Host, name: str, tensor: Any) -> Plain:
    """A tensor that a port has returned under that name, as `Host.get` gives it. Raises PortError."""
    try:
        return host.get(tensor)
    except TypeError as why:
        raise PortError(f"{name} {unreadable(tensor, why)}") from None


def unreadable(value: Any, why: Exception) -> str:
    """Why a value is no tensor, and what a number may have been made of one by."""
    said = str(why) or type(why).__name__
    return f"{said}: leave out float() or .item()" if isinstance(value, int | float) else said


def what_went_wrong(error: BaseException) -> str:
    """What a port raised, in a sentence."""
    if isinstance(error, PortError):
        return str(error)
    return f"the port raised {type(error).__name__}: {brief(error)}"


def _a(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def brief(error: BaseException) -> str:
    """The first line of an exception's message, of bearable length."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
    return text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + "..."


def missing_packages(who: str, packages: Iterable[str]) -> str | None:
    """One sentence on the packages that are not installed, or None."""
    missing = [p for p in packages if importlib.util.find_spec(p) is None]
    if not missing:
        return None
    return f"{who} needs {' and '.join(missing)}, not installed here: pip install {' '.join(missing)}"


def _as_written(function: Callable[..., Any]) -> Callable[..., Any]:
    return function
