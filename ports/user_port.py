from ports import PORTS
from ports.port import Port


def find_port(name: str) -> Port:
    if name not in PORTS:
        raise ValueError(f"unknown port {name!r}: expected one of {', '.join(PORTS)}")
    return PORTS[name]
