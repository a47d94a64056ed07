"""Keep freed memory in the process.

glibc returns freed arrays of a few hundred kilobytes to the system at once and takes them back,
page by page, at the next step: that costs several times the arithmetic on them.
"""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT = 1 << 28  # bytes


def keep_freed_memory() -> None:
    """Tell glibc to reuse freed memory below 256 MiB. Elsewhere this does nothing."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # absent in musl
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
