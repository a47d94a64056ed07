"""What a port, a host and a framework are.

A port is a module with the note's parts in its framework:

    spiral(noise) -> (X, y)
    softmax_step(params, X, y, reg, step_size) -> {quantity: tensor}
    two_layer_step(params, X, y, reg, step_size) -> {quantity: tensor}

and one more `{model}_step` for each further model that it knows. A step is a function or a class. The
compiled mode compiles a function whole. A class is instantiated once per run with the mode's `compile`,
so that it can keep state and choose what to compile. `hidden_quantities` names what the port's library
does not show, with the reason. A mixed-precision port declares which of its numbers are narrower than
its parameters (`ports.mixed`).

A host is what the ports of one framework share: its devices, dtypes, transfer and precision settings. A
`Framework` names its host and its ports. Both are imported when a port runs, and not before.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias, cast

from ports.messages import missing_packages
from ports.mixed import OWN_DTYPE, Mixed, declared_by
from reference.agreement.arithmetic import Arithmetic, by_device
from reference.arrays import Plain
from reference.models import Model

#: A framework's own array.
Tensor: TypeAlias = Any
Step: TypeAlias = Callable[[Mapping[str, Tensor], Tensor, Tensor, float, float], dict[str, Tensor]]


class Absent(Exception):
    """A framework, device or compiler is not here; the message says what to do about it."""


class PortError(ValueError):
    """A port or host does not keep to the contract; the message tells its author what is wrong."""


class ProcessSetting(NamedTuple):
    """A setting of a framework that holds for the whole process.

    Attributes:
        name: what it is, for messages.
        get: returns its value.
        set: sets it to a value that `get` has returned.
    """

    name: str
    get: Callable[[], Any]
    set: Callable[[Any], Any]


class Host(ABC):
    """A framework's devices, dtypes, transfer and precision settings.

    Attributes:
        natural_mode: the mode in which its users run it, "eager" or "compiled".
        modes: the modes that it has.
        precision: how precise float32 products are, a key of PRODUCT_PRECISIONS.
        immutable: whether nothing can write to what `get` returned, not even a later step.
        process_settings: what a user's file may not change where it shares the process with other ports.
            Precision settings are not among them: `exact_settings` restores these.
    """

    natural_mode: str = "eager"
    modes: tuple[str, ...] = ("eager",)
    precision: str = "highest"
    immutable: bool = False
    process_settings: tuple[ProcessSetting, ...] = ()

    @abstractmethod
    def devices(self) -> list[str]:
        """Names of the devices found, the CPU first."""

    @abstractmethod
    def dtypes(self, device: str) -> tuple[str, ...]:
        """The dtypes of the matrix that the device computes in."""

    @abstractmethod
    def arithmetic(self, device: str, dtype: str) -> Arithmetic:
        """What the framework promises on that device in that dtype, under `exact_settings`."""

    @abstractmethod
    def exact_settings(self) -> AbstractContextManager[None]:
        """Full-precision products, float64 allowed; the caller's settings are restored afterwards."""

    def products_in(self, precision: str) -> AbstractContextManager[None]:
        """float32 products in that precision, within `exact_settings`; no framework needs to have it."""
        return nullcontext()

    @contextmanager
    def settings_with(self, precision: str) -> Iterator[None]:
        """`exact_settings` but for the precision of float32 products, which `arithmetic` then knows."""
        before = self.precision
        with self.exact_settings(), self.products_in(precision):
            self.precision = precision
            try:
                yield
            finally:
                self.precision = before

    @abstractmethod
    def put(self, array: Plain, device: str, dtype: str) -> Tensor:
        """Copy floats to the device, in that dtype."""

    @abstractmethod
    def put_labels(self, y: Plain, device: str) -> Tensor:
        """Copy labels to the device, in the framework's index dtype."""

    @abstractmethod
    def get(self, tensor: Tensor) -> Plain:
        """A NumPy view or copy of a tensor, once it is computed; raises TypeError if it is no tensor."""

    @abstractmethod
    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compile a function with the framework's compiler."""

    @abstractmethod
    def compiler_absence(self) -> str | None:
        """Why the compiled mode cannot run, or None."""

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """Versions, devices, threads and precision settings, for the record."""


class PortModule(NamedTuple):
    """A port's module, and the packages that it imports beside its framework's."""

    module: str
    packages: tuple[str, ...] = ()


class Template(NamedTuple):
    """What `lockstep check --new` writes about a framework into the template of a port.

    Attributes:
        to: what the template is a port to.
        given: a sentence on the tensors that a step is given.
        imports: the import statement.
        relu: the ReLU of X @ W + b.
    """

    to: str
    given: str
    imports: str
    relu: str


@dataclass(frozen=True)
class Framework:
    """A framework: its host, its ports, and how it is described to users.

    Attributes:
        name: its key, as in `framework = "torch"` at the top of a user's file.
        packages: what its host imports beside NumPy.
        host_path: "module:class" of its `Host`.
        modules: its ports by name.
        tensors: what kind of tensors a step of a user's file is given.
        template: what `lockstep check --new` writes.
        promises: from a device and a dtype to what its host promises there, known without importing it:
            recordings are judged where the framework is not installed.
    """

    name: str
    packages: tuple[str, ...]
    host_path: str
    modules: Mapping[str, PortModule]
    tensors: str
    template: Template
    promises: Callable[[str, str], Arithmetic] = by_device

    def absence(self) -> str | None:
        """Why the framework cannot be used here (a package is not installed), or None."""
        return missing_packages(self.name, self.packages)

    @property
    def host(self) -> Host:
        """Its host, imported now. Raises PortError if that is not a host."""
        return load_host(self.host_path)

    @property
    def ports(self) -> list[Port]:
        """Its ports, none of them imported."""
        return [Port(name, at.module, self, at.packages) for name, at in self.modules.items()]


@functools.cache
def load_host(path: str) -> Host:
    """Import a host's "module:class" and make one. Raises PortError if that is not a host."""
    module, _, name = path.partition(":")
    try:
        made_by = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as why:
        raise PortError(f"{path} is no host: there is no module {why.name}") from None
    if not (inspect.isclass(made_by) and issubclass(made_by, Host)):
        raise PortError(f"{path} is no host: expected a subclass of ports.contract.Host")
    missing = sorted(made_by.__abstractmethods__)
    if missing:
        raise PortError(f"the host {path} lacks {', '.join(missing)}: see ports.contract.Host")
    return made_by()


@dataclass(frozen=True)
class Port:
    """A port: where its module is, its framework, and what it imports beside that."""

    name: str
    module_name: str
    framework: Framework
    packages: tuple[str, ...] = ()

    def absence(self) -> str | None:
        """Why the port cannot run here (a package is not installed), or None."""
        return missing_packages(self.name, (*self.framework.packages, *self.packages))

    @property
    def module(self) -> ModuleType:
        """The port's module, imported now."""
        return importlib.import_module(self.module_name)

    @property
    def host(self) -> Host:
        """The framework's host, imported now."""
        return self.framework.host

    def arithmetic(self, mode: str, device: str, dtype: str) -> Arithmetic:
        """What the port's numbers keep to in one cell: its framework's promise.

        In eager mode each operation is a kernel, which stores its result. That is known of the project's
        own ports; code from outside may compile some part of itself in any mode.
        """
        own = self.keeping_to(self.host.arithmetic(device, dtype), mode)
        if self.mixed is None:
            return own
        narrow = self.host.arithmetic(device, self.mixed.dtype)
        return self.mixed.applied(own, self.keeping_to(narrow, mode))

    def keeping_to(self, promised: Arithmetic, mode: str) -> Arithmetic:
        """`arithmetic`, from its framework's promise."""
        is_own = self.module_name.startswith("ports.")
        return promised.storing_all() if mode == "eager" and is_own else promised

    @property
    def mixed(self) -> Mixed | None:
        """What a mixed-precision port declares, or None. This imports the port."""
        return declared_by(self.module)

    def dtypes(self, device: str) -> tuple[str, ...]:
        """The dtypes of its parameters on a device. Those of a mixed-precision port are float32."""
        here = self.host.dtypes(device)
        if self.mixed is None:
            return here
        return (OWN_DTYPE,) if {OWN_DTYPE, self.mixed.dtype} <= {*here} else ()

    def narrowest(self, dtype: str) -> str:
        """The dtype of its narrowest numbers in a cell of that dtype."""
        return self.mixed.dtype if self.mixed else dtype

    @property
    def hidden_quantities(self) -> Mapping[str, str]:
        """Quantities that the port declares its library hides, with the reason."""
        return getattr(self.module, "hidden_quantities", {})

    def has(self, model: Model) -> bool:
        """Whether the port has a step for the model. This imports the port."""
        return hasattr(self.module, model.step_name)

    def make_step(self, model: Model, mode: str) -> Step:
        """The model's step in eager or compiled mode, with fresh state."""
        return in_mode(mode, getattr(self.module, model.step_name), self.host)

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


def _as_written(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def prepared_step(port: Port, model: Model, mode: str) -> Step:
    """The port's step. If it cannot be made, it is one that raises the reason: only this cell fails."""
    try:
        return port.make_step(model, mode)
    except (Exception, SystemExit) as error:
        why = error

    def broken(*_: Any) -> dict[str, Tensor]:
        raise why

    return broken
