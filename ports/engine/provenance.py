"""Where results come from: versions, processor and precision settings of everything that ran."""

import os
import platform
from collections.abc import Iterable

from ports.contract import Port
from ports.registry import FRAMEWORKS


def provenance(ports: Iterable[Port]) -> dict[str, str]:
    """Versions, BLAS, CPU features and precision settings of everything that ran.

    Call it inside the hosts' exact settings, so that it records those in force.
    """
    facts = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": str(os.cpu_count()),
    } | FRAMEWORKS["numpy"].host.settings()
    for port in ports:
        if not port.absence():
            facts |= port.host.settings()
    return facts
