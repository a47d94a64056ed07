"""The child process in which `lockstep check` runs a user's file.

It answers requests on private copies of its standard streams. What the user's code prints goes
to the standard error stream, which the parent reads and bounds; its standard input is empty.

A message is one line of JSON, then the arrays that it lists.
"""

import faulthandler
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ports.contract import Absent
from ports.engine.lockstep import put_batch
from ports.engine.memory import keep_freed_memory
from ports.extensions import load_extensions
from ports.mixed import DTYPES_NAME, SCALES_NAME
from ports.returned import named_tensors, points_and_labels, unreadable
from ports.user_code import at_line, is_in
from ports.user_port import load_port
from ports.user_reference import load_reference, take_its_place
from reference.arrays import Plain, numpy_dtype
from reference.models import MODELS, Problem

Message = dict[str, Any]

#: A tensor of more bytes than this is not sent, so not compared.
LARGEST = 1 << 30


def send(stream: BinaryIO, message: Message, arrays: Mapping[str, Plain]) -> None:
    """Write one message. The arrays' bytes follow it, in order."""
    listed = [(name, spelled(array.dtype), array.shape) for name, array in arrays.items()]
    stream.write(json.dumps(message | {"arrays": listed}).encode() + b"\n")
    for array in arrays.values():
        stream.write(array.tobytes())
    stream.flush()


def receive(stream: BinaryIO) -> tuple[Message, dict[str, Plain]]:
    """Read one message. Raises EOFError if the other side has gone."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    message: Message = json.loads(line)
    return message, {name: _array(stream, dtype, shape) for name, dtype, shape in message["arrays"]}


def spelled(dtype: np.dtype[Any]) -> str:
    """A dtype as text, with its byte order, which bfloat16 does not spell out."""
    return dtype.name if dtype.name == "bfloat16" else dtype.str


def _array(stream: BinaryIO, dtype: str, shape: Sequence[int]) -> Plain:
    kind = numpy_dtype(dtype)
    size = kind.itemsize * int(np.prod(shape, dtype=np.int64))
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return np.frombuffer(data, kind).reshape(shape)


def main() -> None:
    """Serve the port in the file that the command line names, until the parent hangs up."""
    requests, replies = private_streams()
    faulthandler.enable()  # a crash prints the user's line, where the parent finds it
    path, timeout, *reference = Path(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:]
    reply = Reply(replies, path, timeout)
    worker = Worker()
    reply.to(lambda: worker.load(path, *reference))
    while True:
        try:
            request, arrays = receive(requests)
        except EOFError:
            return
        reply.to(lambda: worker.answer(request, arrays))  # noqa: B023 (called at once)


def private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take stdin and stdout for the protocol. The user's code reads nothing and prints to stderr."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(2, 1)
    return requests, replies


@dataclass
class Reply:
    """Sends exactly one reply per request: the answer, what went wrong, or where it hangs."""

    stream: BinaryIO
    path: Path
    timeout: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    answered: int = 0

    def to(self, answer: Callable[[], tuple[Message, Mapping[str, Plain]]]) -> None:
        """Send what `answer` returns. A watchdog replies with the user's line if it hangs."""
        watchdog = threading.Timer(self.timeout, self.hung, (self.answered,))
        watchdog.daemon = True
        watchdog.start()
        try:
            message, arrays = answer()
        except (ValueError, Absent, OSError) as why:
            message, arrays = {"failed": str(why)}, {}
        watchdog.cancel()
        with self.lock:
            send(self.stream, message, arrays)
            self.answered += 1

    def hung(self, answered: int) -> None:
        """Say where the main thread is, unless it has just answered. The parent then ends us."""
        with self.lock:
            if self.answered > answered:
                return
            try:
                send(self.stream, {"hung": self.line()}, {})
            except OSError:  # the parent has gone
                os._exit(1)
            threading.Event().wait()  # keep the lock: nothing is sent after this

    def line(self) -> str:
        """The innermost line of the user's file that the main thread is executing."""
        main_thread = threading.main_thread().ident
        frames = traceback.extract_stack(sys._current_frames().get(main_thread or 0))
        users = [frame for frame in frames if is_in(frame.filename, self.path)]
        return at_line(users[-1], self.path) if users else self.path.name


class Worker:
    """The user's port, and the step that is under way."""

    def load(self, path: Path, reference: str = "") -> tuple[Message, dict[str, Plain]]:
        """Import the file and say what is in it. `reference` is the file that it is a port of."""
        keep_freed_memory()
        load_extensions()
        if reference:
            take_its_place(load_reference(reference))
        self.port = load_port(path, own_process=True)
        self.host = self.port.host
        self.settings = self.host.exact_settings()
        self.settings.__enter__()  # for the life of this process
        module = self.port.module
        return {
            "framework": self.port.framework.name,
            "models": [name for name, model in MODELS.items() if hasattr(module, model.step_name)],
            "spiral": hasattr(module, "spiral"),
            "hidden": dict(self.port.hidden_quantities),
            DTYPES_NAME: dict(getattr(module, DTYPES_NAME, {})),
            SCALES_NAME: dict(getattr(module, SCALES_NAME, {})),
            "convention": dict(getattr(module, "convention", {})),
        }, {}

    def answer(self, request: Message, arrays: dict[str, Plain]) -> tuple[Message, Mapping[str, Plain]]:
        """Do what a request says: start a run, make one step, or the spiral."""
        if request["do"] == "start":
            return self.start(request["model"], request["dtype"], {**request["batch"], **arrays})
        if request["do"] == "spiral":
            return self.spiral(request["dtype"], arrays["noise"])
        return self.make_step(arrays)

    def start(
        self, model: str, dtype: str, batch: Mapping[str, Any]
    ) -> tuple[Message, dict[str, Plain]]:
        """Make a fresh step, and put the batch into the framework's tensors, once per run."""
        self.model, self.dtype = MODELS[model], dtype
        self.given = Problem(self.model, {}, batch).held_as(dtype)
        self.step = self.port.make_step(self.model, "eager")
        self.batch = put_batch(self.host, self.given, "cpu", dtype)
        return {}, {}

    def make_step(self, params: Mapping[str, Plain]) -> tuple[Message, Mapping[str, Plain]]:
        """Make one step of the user's; return its quantities, and what only this process can see."""
        on_device = {name: self.host.put(value, "cpu", self.dtype) for name, value in params.items()}
        trace = self.step(*self.model.arguments(on_device, self.batch))
        got, unreadable = self.read(named_tensors(trace, self.model.step_name))
        return {
            "unreadable": unreadable,
            "changed": self.changed(),
            "shared": [
                pair for pair in combinations(got, 2) if np.may_share_memory(got[pair[0]], got[pair[1]])
            ],
        }, got

    def spiral(self, dtype: str, noise: Plain) -> tuple[Message, Mapping[str, Plain]]:
        """The user's spiral."""
        made = points_and_labels(self.port.make_spiral("eager")(self.host.put(noise, "cpu", dtype)))
        got, unreadable = self.read(dict(zip(("X", "y"), made, strict=True)))
        return {"unreadable": unreadable}, got

    def read(self, returned: Mapping[str, Any]) -> tuple[dict[str, Plain], dict[str, str]]:
        """The tensors as NumPy arrays, and the reason for each value that is not one."""
        got: dict[str, Plain] = {}
        refused: dict[str, str] = {}
        for name, tensor in returned.items():
            try:
                array = np.asarray(self.host.get(tensor))
            except Exception as why:  # the framework's own: a half-made tensor, a dtype that NumPy lacks
                refused[name] = unreadable(tensor, why)
                continue
            if array.nbytes > LARGEST:
                refused[name] = (
                    f"has shape {array.shape}, {array.nbytes:,} bytes: too much to be compared"
                )
            else:
                got[name] = array
        return got, refused

    def changed(self) -> list[str]:
        """Which arrays of the batch the step has changed in place."""
        arrays = {n: value for n, value in self.given.batch.items() if isinstance(value, np.ndarray)}
        return [n for n, x in arrays.items() if not np.array_equal(self.host.get(self.batch[n]), x)]
