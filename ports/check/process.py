"""The parent's side of `ports.check.worker`: a user's file in a process of its own.

An endless loop, a crash or a flood of prints ends in one sentence, and costs no other result.
"""

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from traceback import FrameSummary
from types import TracebackType
from typing import IO, BinaryIO, Self, cast

import ports
from ports.check.worker import Message, receive, send
from ports.user_code import UserCodeError, at_line
from reference.arrays import Plain

#: How much is shown of what the user's code prints, in bytes and in lines.
KEPT, KEPT_LINES = 1000, 10
#: How many seconds late the child's own watchdog may be; only that one knows the user's line.
GRACE = 5.0
_ROOT = str(Path(ports.__file__).parents[1])
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from ports.check.worker import main; main()"


def command(path: Path, timeout: float, reference: str = "") -> list[str]:
    """The command that starts a worker on a file, without the current folder in its import path (-P)."""
    words = [_ROOT, str(path), str(timeout), *filter(None, [reference])]
    return [sys.executable, "-u", "-P", "-c", _START, *words]


class UserProcess:
    """One run of a user's file: loaded on entry, ended on exit.

    `reference` is the file that it is a port of, if that is not the note.
    """

    def __init__(self, path: Path, timeout: float, reference: str = "") -> None:
        self.path, self.timeout = path, timeout
        self.child = subprocess.Popen(
            command(path, timeout, reference),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.alive = True
        self.printed = Printed(cast(IO[bytes], self.child.stderr))
        self.replies: queue.Queue[tuple[Message, dict[str, Plain]] | None] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def loaded(self) -> Message:
        """What the file holds, once it is imported. Raises UserCodeError."""
        return self._reply("loading the file")[0]

    def ask(
        self, what: str, request: Message, arrays: Mapping[str, Plain]
    ) -> tuple[Message, dict[str, Plain]]:
        """Send a request and wait for the answer; `what` names it in messages.

        Raises UserCodeError if the user's code raises an error, hangs, or ends the process.
        """
        with contextlib.suppress(OSError):  # it has ended: the reply says how
            send(cast(BinaryIO, self.child.stdin), request, arrays)
        return self._reply(what)

    def end(self) -> None:
        """End the process, and those it started."""
        self.alive = False
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.child.pid, signal.SIGKILL)
        self.child.kill()
        self.child.wait()
        self.reader.join(timeout=1)
        with contextlib.suppress(OSError):
            cast(BinaryIO, self.child.stdin).close()
        self.printed.finish()

    def _read(self) -> None:
        """Pass replies on, then None when there will be no more."""
        with (
            cast(BinaryIO, self.child.stdout) as stream,
            contextlib.suppress(EOFError, ValueError, MemoryError),
        ):
            while True:
                self.replies.put(receive(stream))
        self.replies.put(None)

    def _reply(self, what: str) -> tuple[Message, dict[str, Plain]]:
        try:
            reply = self.replies.get(timeout=self.timeout + GRACE)
        except queue.Empty:
            reply = {"hung": self.path.name}, {}
        if reply is None:
            raise UserCodeError(self._ended(what))
        if "hung" in reply[0]:
            self.end()
            raise UserCodeError(
                f"{reply[0]['hung']}: {what} did not finish in {self.timeout:g} seconds "
                "(--timeout gives it more)"
            )
        if "failed" in reply[0]:
            raise UserCodeError(reply[0]["failed"])
        return reply

    def _ended(self, what: str) -> str:
        """Say how the process ended by itself."""
        try:
            code = self.child.wait(timeout=GRACE)
        except subprocess.TimeoutExpired:
            code = None
        self.end()
        where = self._crash_line() or self.path.name
        if code is None:
            return f"{where}: {what} closed its streams"
        if code < 0:
            return f"{where}: {what} crashed ({_signal_name(-code)})"
        return f"{where}: {what} ended the process with status {code} (os._exit?)"

    def _crash_line(self) -> str | None:
        """The user's line in the traceback that faulthandler printed."""
        file = re.escape(str(self.path.resolve()))
        found = re.search(rf'File "{file}", line (\d+)', self.printed.tail())
        frame = FrameSummary(str(self.path.resolve()), int(found[1]), "") if found else None
        return at_line(frame, self.path) if frame else None


class Printed:
    """Reads a stream to its end, so that the writer never blocks; keeps its beginning and its end."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.head, self.last, self.total = b"", b"", 0
        self.thread = threading.Thread(target=self._drain, daemon=True)
        self.thread.start()

    def _drain(self) -> None:
        with self.stream as stream:
            while chunk := os.read(stream.fileno(), 65536):
                self.total += len(chunk)
                self.head += chunk[: KEPT - len(self.head)]
                self.last = (self.last + chunk)[-4 * KEPT :]

    def finish(self) -> None:
        """Wait for what is still under way, but not for a grandchild that keeps the stream open."""
        self.thread.join(timeout=1)

    def tail(self) -> str:
        """The end of what was printed."""
        self.finish()
        return self.last.decode(errors="replace")

    def text(self) -> str:
        """The beginning of what was printed, with the full size if there was more."""
        head, crash, _ = self.head.decode(errors="replace").partition("Fatal Python error: ")
        lines = head.splitlines()
        shown = "\n".join(lines[:KEPT_LINES]).rstrip()
        if crash or self.total == len(shown.encode()) or (self.total <= KEPT and shown == head.rstrip()):
            return shown
        return f"{shown}\n... ({self.total:,} bytes in all)"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
