"""The machine that figures were measured on."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path


def machine(facts: Mapping[str, str], thread_settings: Sequence[str]) -> dict[str, str]:
    """What the figures were measured on: processor, versions and settings, threads, load."""
    threads = " ".join(f"{name}={os.environ[name]}" for name in thread_settings if name in os.environ)
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return {
        "processor": processor(),
        **facts,
        "thread settings": threads or "each library's default",
        "load before": load,
    }


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
