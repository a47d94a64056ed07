"""The command line's words as values: the types of arguments and the options that commands share.

A converter takes the text of an argument. It returns a value, or raises ValueError in one sentence.
"""

import argparse
import functools
import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, TypeVar

from ports.commands.parser import BadArgument
from ports.engine.results import parts
from ports.engine.selection import MODES, Selection, choose
from ports.engine.shards import Shard
from ports.messages import either, unknown
from ports.user_port import find_port
from reference.agreement.arithmetic import DTYPES, PRODUCT_PRECISIONS
from reference.models import MODELS, TWO_LAYER, Model

Value = TypeVar("Value")

#: The most digits of any size or count.
MOST_DIGITS = 12


def typed(convert: Callable[[str], Value]) -> Callable[[str], Value]:
    """A converter as argparse's `type=`: the user reads the converter's own sentence."""

    @functools.wraps(convert)
    def typed_convert(text: str) -> Value:
        try:
            return convert(text)
        except ValueError as why:
            raise BadArgument(str(why)) from why

    return typed_convert


# Converters


def word(kind: str, words: Collection[str]) -> Callable[[str], str]:
    """A converter that accepts one of `words`."""

    def convert(text: str) -> str:
        if text not in words:
            raise ValueError(unknown(kind, text, words))
        return text

    return convert


def whole(what: str, least: int = 1, otherwise: str = "") -> Callable[[str], int]:
    """A converter to a whole number of at least `least`. `otherwise` says what else is accepted."""

    def convert(text: str) -> int:
        if _is_whole(text) and int(text) >= least:
            return int(text)
        long = len(text) > MOST_DIGITS
        shown = f"{text[:MOST_DIGITS]}..." if long else text
        raise ValueError(
            f"{what} is {shown!r}: expected a whole number of at least {least}{otherwise}"
            + (f", of at most {MOST_DIGITS} digits" if long and text.isdecimal() else "")
        )

    return convert


def _is_whole(text: str) -> bool:
    """Whether the text is a number in ASCII digits, and not too many of them."""
    return text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS


def seed(text: str) -> int:
    """A seed that NumPy's RandomState takes."""
    if not _is_whole(text) or int(text) >= 2**32:
        raise ValueError(f"seed is {text!r}: expected a whole number from 0 to 2**32 - 1")
    return int(text)


def shard(text: str) -> Shard:
    """A share of the plan, as in 2/3: the second of three."""
    index, slash, of = text.partition("/")
    if not (slash and _is_whole(index) and _is_whole(of) and 1 <= int(index) <= int(of)):
        raise ValueError(f"shard is {text!r}: expected i/n with i from 1 to n, as in 1/3")
    return Shard(int(index), int(of))


def seconds(what: str) -> Callable[[str], float]:
    """A converter to a time, in seconds, that a machine can wait for."""

    def convert(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if not 0 < number < 1e6:
            raise ValueError(f"{what} is {text!r}: expected a positive number of seconds")
        return number

    return convert


def steps_or_all(text: str) -> int | str:
    """A number of steps, or "all"."""
    return text if text == "all" else whole("steps", otherwise=' or "all"')(text)


def part(text: str) -> str:
    """The name of a model, or the spiral."""
    return word("model", parts())(text)


def model(text: str) -> Model:
    """A model by its name."""
    return MODELS[word("model", MODELS)(text)]


def step_of(model: Model, i: int) -> int:
    """A step of the note's run of the model. Raises ValueError if the run has no such step."""
    if i >= model.iterations:
        raise ValueError(f"step is {i}: the {model.name} run has steps 0 to {model.iterations - 1}")
    return i


def report_path(text: str, option: str = "--json") -> Path:
    """The path of a report. Raises OSError, before any work is done, if it cannot be written."""
    path, why = Path(text), ""
    if not text or path.is_dir():
        why = "it is a folder" if text else "the name is empty"
    elif path.resolve().suffix == ".py":
        why = "a .py file is a port, not a report"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        why = "there is no such folder, or you may not write there"
    if why:
        raise OSError(f"cannot write {text!r}: {why}; give {option} a path you can write")
    return path


def page_path(text: str) -> Path:
    """The path of a page, checked as a report's."""
    return report_path(text, "--out")


def out_path(text: str) -> Path:
    """The path of a file that replaces an older one: as for a report, but no device or pipe."""
    path = report_path(text, "--out")
    if path.exists() and not path.is_file():
        raise OSError(f"cannot write {text!r}: it is no file; give --out a path you can write")
    return path


# Options that commands share

#: The keywords of an option that may be repeated.
SEVERAL: dict[str, Any] = {"action": "append", "default": []}


def add_run(parser: argparse.ArgumentParser, points: int = 100) -> None:
    """Declare the options that set up the note's run."""
    document = ", as in the document" if points == 5 else "; the document: 5"
    parser.add_argument(
        "--points",
        type=typed(whole("points")),
        default=points,
        help=f"points per class (default {points}{document})",
    )
    parser.add_argument("--seed", type=typed(seed), default=0, help="seed of the draws (default 0)")


def add_port(
    parser: argparse._ActionsContainer,
    help: str = "a port's name, or a path to a .py file",
    **keywords: Any,
) -> None:
    """Declare --port; argparse gets the further keywords. A file that is named twice is loaded once."""
    parser.add_argument("--port", type=typed(functools.cache(find_port)), help=help, **keywords)


def add_ports(parser: argparse.ArgumentParser) -> None:
    """Declare --port, for commands that take several; without it they take all."""
    add_port(
        parser, "a port's name, or a path to a .py file; may be repeated (default: all here)", **SEVERAL
    )


def add_reference(parser: argparse.ArgumentParser) -> None:
    """Declare --reference, which `ports.__main__` has read before: it changes what the models are."""
    parser.add_argument(
        "--reference",
        metavar="FILE",
        help="a network of your own, in NumPy, instead of the document's (docs/own.md)",
    )


def default_model() -> Model:
    """The document's two-layer net, or the network that --reference names."""
    return MODELS.get(TWO_LAYER.name) or next(iter(MODELS.values()))


def add_cell(parser: argparse.ArgumentParser, natural: str) -> None:
    """Declare the options that choose one cell of each port; `natural` says whose mode is natural."""
    parser.add_argument(
        "--mode",
        type=typed(word("mode", MODES)),
        help=f"{either(MODES)} (default: {natural} natural mode)",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ... (default cpu)")
    parser.add_argument(
        "--dtype",
        type=typed(word("dtype", DTYPES)),
        default=DTYPES[0],
        help=f"{either(DTYPES)} (default {DTYPES[0]})",
    )


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Declare --precision."""
    parser.add_argument(
        "--precision",
        choices=tuple(PRODUCT_PRECISIONS),
        default="highest",
        help="of float32 products: high is TF32 or split, medium bfloat16, where the device has them",
    )


def add_models(parser: argparse.ArgumentParser) -> None:
    """Declare --model, for commands that take several."""
    parser.add_argument(
        "--model",
        type=typed(model),
        help=f"{either(MODELS)}; may be repeated (default: all of them)",
        **SEVERAL,
    )


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """Declare --json."""
    parser.add_argument(
        "--json", type=typed(report_path), metavar="FILE", help=f"also write the {what} as JSON"
    )


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Declare the options that choose cells; each may be repeated."""
    group = parser.add_argument_group("what to run (repeat for several; default: everything here)")
    group.add_argument("--model", type=typed(part), help=either(parts()), **SEVERAL)
    add_port(group, **SEVERAL)
    group.add_argument("--mode", type=typed(word("mode", MODES)), help=either(MODES), **SEVERAL)
    group.add_argument("--device", help="cpu, cuda, ...", **SEVERAL)
    group.add_argument("--dtype", type=typed(word("dtype", DTYPES)), help=either(DTYPES), **SEVERAL)
    group.add_argument("--require", help="a port or device that must run: if absent, exit 2", **SEVERAL)
    group.add_argument(
        "--steps",
        type=typed(steps_or_all),
        help='a number of steps spread over the run, or "all" (default: all for float64 in a '
        "framework's natural mode, 20 elsewhere)",
    )


def select(
    models: Iterable[str] = (),
    ports: Iterable[str] = (),
    modes: Iterable[str] = (),
    devices: Iterable[str] = (),
    dtypes: Iterable[str] = (),
    steps: str | None = None,
    require: Iterable[str] = (),
    precision: str = "highest",
) -> Selection:
    """The selection that these words make, for pytest, whose options are text. Raises ValueError."""
    return choose(
        map(part, models),
        map(find_port, dict.fromkeys(ports)),
        map(word("mode", MODES), modes),
        devices,
        map(word("dtype", DTYPES), dtypes),
        None if steps is None else steps_or_all(steps),
        require,
        word("precision", PRODUCT_PRECISIONS)(precision),
    )
