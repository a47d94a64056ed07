"""Read what a port has returned, or say in a sentence what is wrong with it or what the port raised."""

from collections.abc import Mapping
from typing import Any

from ports.contract import Host, PortError, Tensor
from ports.messages import brief
from reference.arrays import Plain


def named_tensors(returned: Any, what: str) -> Mapping[str, Tensor]:
    """Return what a step has returned. Raises PortError if it is not a dict with names as keys."""
    if not isinstance(returned, Mapping):
        lost = ": is there a return?" if returned is None else ""
        raise PortError(f"{what} returned {_a(returned)}, expected a dict {{quantity: tensor}}{lost}")
    for name in returned:
        if not isinstance(name, str):
            raise PortError(f"{what} returned the key {name!r}, expected names")
    return returned


def points_and_labels(returned: Any) -> tuple[Tensor, Tensor]:
    """Return what a spiral has returned. Raises PortError if it is not X, y."""
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise PortError(f"spiral returned {_a(returned)}, expected X, y")
    return returned[0], returned[1]


def read(host: Host, name: str, tensor: Any) -> Plain:
    """Read a tensor that a port has returned under that name. Raises PortError if it is none."""
    try:
        return host.get(tensor)
    except TypeError as why:
        raise PortError(f"{name} {unreadable(tensor, why)}") from None


def unreadable(value: Any, why: Exception) -> str:
    """Say why a value is no tensor; for a number, also which call may have made it from one."""
    said = str(why) or type(why).__name__
    return f"{said}: leave out float() or .item()" if isinstance(value, int | float) else said


def what_went_wrong(error: BaseException) -> str:
    """Say in a sentence what a port raised."""
    if isinstance(error, PortError):
        return str(error)
    return f"the port raised {type(error).__name__}: {brief(error)}"


def _a(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
