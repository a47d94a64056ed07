"""A progress line for long work: only on a terminal, and never in the results."""

import sys
import time
from collections.abc import Callable
from typing import Self, TextIO

INTERVAL = 0.2  # seconds between two redraws


class Progress:
    """Counts units of work; shows share done, elapsed, remaining and rate on a terminal."""

    def __init__(self, label: str, total: int = 0, stream: TextIO | None = None) -> None:
        self.label, self.total = label, total
        self.stream = sys.stderr if stream is None else stream
        self.shown = self.stream is not None and self.stream.isatty()  # None if it was closed
        self.started = time.monotonic()
        self.drawn_at = self.started
        self.done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, total: int) -> Callable[[], None]:
        """Set how much there is to do, if that is only known now; return `advance`."""
        self.total = total
        return self.advance

    def advance(self, units: int = 1) -> None:
        """Count work done, and redraw if it is time."""
        self.done += units
        if self.shown and time.monotonic() - self.drawn_at > INTERVAL:
            self.drawn_at = time.monotonic()
            self.stream.write(f"\r\x1b[K{self.line()}")
            self.stream.flush()

    def line(self) -> str:
        """The progress line as text."""
        elapsed = time.monotonic() - self.started
        rate = self.done / elapsed if elapsed else 0.0
        remaining = (self.total - self.done) / rate if rate else 0.0
        return (
            f"{self.label}  {self.done}/{self.total}  {self.done / max(self.total, 1):4.0%}  "
            f"{elapsed:.0f}s elapsed  {remaining:.0f}s left  {rate:.0f} steps/s"
        )

    def close(self) -> None:
        """Wipe the line."""
        if self.shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
