"""What a port has returned or raised: taken in if it has the form, and told in a sentence if not."""

from collections.abc import Mapping
from typing import Any

from ports.contract import Host, PortError, Tensor
from ports.messages import brief
from reference.arrays import Plain


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
