"""The checker's own mutation score: would the tests notice one wrong operator in what they check?

    python tests/helpers/mutation.py [--only PATH[:LINE]] [--sample N --seed S] [--jobs 2] [--limit S]

Changes one thing at a time (an arithmetic operator, a comparison, an axis, a constant, a name) in
`reference/`, in the ports, in the engine that runs them, and in what explains an error. It runs the
tests that are closest. A mutant is killed when one of them fails or never ends. A survivor is either
the same program in other words, or shows that a test is missing. Nothing is changed in place: each job
has its own copy of the checkout. Needs git, and a system on which processes fork.
"""

import argparse
import ast
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from typing import TypeAlias

ROOT = Path(__file__).resolve().parents[2]

#: Each port's file, and its name in the matrix.
TORCH_PORTS = {
    f"ports/in_torch/{name}.py": f"torch_{name}"
    for name in ("manual", "autograd", "library", "autocast", "scaler")
}
JAX_PORTS = {f"ports/in_jax/{name}.py": f"jax_{name}" for name in ("manual", "grad", "library", "mixed")}
TARGETS = (
    "reference",
    *TORCH_PORTS,
    *JAX_PORTS,
    "ports/engine/lockstep.py",
    "ports/engine/results.py",
    "ports/conventions",
    "ports/diagnosis",
)

#: One run of pytest: its arguments.
Battery: TypeAlias = tuple[str, ...]


# What is changed


@dataclass(frozen=True)
class Mutant:
    """One change: the bytes from `start` to `end` of a file become `text`."""

    path: str
    line: int
    kind: str
    start: int
    end: int
    text: bytes

    def applied(self, source: bytes) -> bytes:
        """The changed source."""
        return source[: self.start] + self.text + source[self.end :]

    def told(self, source: bytes) -> str:
        """Where the mutant is, and the line before and after it."""
        before, after = (s.decode().splitlines()[self.line - 1] for s in (source, self.applied(source)))
        return f"{self.path}:{self.line}  {self.kind}\n    - {before.strip()}\n    + {after.strip()}"


#: Start, end and new text, in bytes of the file.
Edit: TypeAlias = tuple[int, int, bytes]

ARITHMETIC = {
    ast.Add: (b"+", b"-"),
    ast.Sub: (b"-", b"+"),
    ast.Mult: (b"*", b"/"),
    ast.Div: (b"/", b"*"),
    ast.FloorDiv: (b"//", b"/"),
    ast.Mod: (b"%", b"//"),
    ast.Pow: (b"**", b"*"),
}
COMPARISONS = {
    ast.Lt: (b"<", b"<="),
    ast.LtE: (b"<=", b"<"),
    ast.Gt: (b">", b">="),
    ast.GtE: (b">=", b">"),
    ast.Eq: (b"==", b"!="),
    ast.NotEq: (b"!=", b"=="),
    ast.Is: (b"is", b"is not"),
    ast.IsNot: (b"is not", b"is"),
    ast.In: (b"in", b"not in"),
    ast.NotIn: (b"not in", b"in"),
    ast.And: (b"and", b"or"),
    ast.Or: (b"or", b"and"),
}
AXES = {"0": b"1", "1": b"0", "-1": b"-2", "-2": b"-1"}
#: Annotations of what the note computes with: one of these may be mistaken for another.
NUMBERS = ("Any", "Array", "Error", "Plain", "Rounded", "Tensor")


class Source:
    """A file's bytes and tree; nodes are found by their place in the bytes."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self.lines = [0]
        for line in text.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))

    def span(self, node: ast.expr) -> tuple[int, int]:
        """Where a node begins and ends."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        end = self.lines[node.end_lineno - 1] + node.end_col_offset
        return self.lines[node.lineno - 1] + node.col_offset, end

    def between(self, left: ast.expr, right: ast.expr, old: bytes, new: bytes) -> Edit:
        """Replace the operator between two operands."""
        (_, start), (end, _) = self.span(left), self.span(right)
        at = self.text.index(old, start, end)
        return at, at + len(old), new


def mutants(path: str, text: bytes) -> list[Mutant]:
    """Every mutant of a file, in the order of its lines."""
    source, found = Source(text), {}
    for node, scope in living(source.tree, None):
        for kind, way in WAYS.items():
            for start, end, new in way(source, node, scope):
                line = text.count(b"\n", 0, start) + 1
                mutant = Mutant(path, line, kind, start, end, new)
                found.setdefault(mutant.applied(text), mutant)
    return sorted(found.values(), key=lambda m: (m.start, m.end, m.text))


def living(node: ast.AST, scope: "Scope | None") -> Iterator[tuple[ast.AST, "Scope | None"]]:
    """The nodes that compute something, each with the function that it is in."""
    yield node, scope
    inner = Scope(node) if isinstance(node, ast.FunctionDef) else scope
    for child in computing(node):
        yield from living(child, inner)


def computing(node: ast.AST) -> list[ast.AST]:
    """A node's children, without annotations, decorators, messages, and code for display or typing."""
    match node:
        case ast.FunctionDef(name="__repr__") | ast.Raise() | ast.JoinedStr():
            return []
        case ast.FunctionDef(args=args, body=body):
            return [*args.defaults, *filter(None, args.kw_defaults), *body]
        case ast.ClassDef(body=body):
            return list(body)
        case ast.AnnAssign(target=target, value=value):
            return [target, value] if value else []
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=orelse):
            return list(orelse)
        case ast.Call(func=ast.Name(), args=args, keywords=keywords):
            return [*args, *keywords]
        case ast.keyword(arg="axis" | "dim", value=value) if ast.unparse(value) in AXES:
            return []
    return list(ast.iter_child_nodes(node))


class Scope:
    """A function's parameters and variables by name, each with its kind and the line it is made on."""

    def __init__(self, function: ast.FunctionDef) -> None:
        self.kinds: dict[str, tuple[str, int]] = {}
        for argument in (*function.args.args, *function.args.kwonlyargs):
            if argument.annotation:
                kind = ast.unparse(argument.annotation)
                self.kinds[argument.arg] = ("number" if kind in NUMBERS else kind, 0)
        hidden = set()
        for node in ast.walk(function):
            if isinstance(node, ast.Assign):
                size = any(word in ast.unparse(node.value) for word in (".shape", ".size", "len("))
                for name in stored(node):
                    kind = "size" if size else "number"
                    self.kinds.setdefault(name, (kind, node.end_lineno or node.lineno))
            elif isinstance(node, ast.comprehension):
                hidden |= set(stored(node.target))
            elif isinstance(node, ast.Lambda):
                hidden |= {a.arg for a in node.args.args}
        self.kinds = {name: kind for name, kind in self.kinds.items() if name not in hidden}

    def neighbour(self, name: str, line: int) -> str | None:
        """The next name of the same kind that is known on a line, or the one before."""
        if name not in self.kinds:
            return None
        kind = self.kinds[name][0]
        alike = [n for n, (k, made) in self.kinds.items() if n == name or (k == kind and made < line)]
        after = alike.index(name) + 1
        others = alike[after:] or alike[: after - 1][-1:]
        return others[0] if others else None


def stored(node: ast.AST) -> list[str]:
    """The names that are assigned to."""
    return [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def arithmetic(source: Source, node: ast.AST, scope: Scope | None) -> Iterator[Edit]:
    """x + y -> x - y, x += y -> x -= y, -x -> x."""
    match node:
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            base, exponent = (source.text[slice(*source.span(x))] for x in (left, right))
            yield *source.span(node), b"(" + base + b" * " + exponent + b")"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
            yield source.between(left, right, *ARITHMETIC[type(op)])
        case ast.AugAssign(target=target, op=op, value=value) if type(op) in ARITHMETIC:
            yield source.between(target, value, *ARITHMETIC[type(op)])
        case ast.UnaryOp(op=ast.USub()):
            start, _ = source.span(node)
            yield start, start + 1, b""


def comparison(source: Source, node: ast.AST, scope: Scope | None) -> Iterator[Edit]:
    """x < y -> x <= y, x == y -> x != y, x and y -> x or y, not x -> x."""
    match node:
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            for a, op, b in zip([left, *comparators], ops, comparators, strict=False):
                yield source.between(a, b, *COMPARISONS[type(op)])
        case ast.BoolOp(op=op, values=values):
            for a, b in pairwise(values):
                yield source.between(a, b, *COMPARISONS[type(op)])
        case ast.UnaryOp(op=ast.Not()):
            start, _ = source.span(node)
            yield start, start + len(b"not "), b""


def axis(source: Source, node: ast.AST, scope: Scope | None) -> Iterator[Edit]:
    """axis=0 -> axis=1."""
    match node:
        case ast.keyword(arg="axis" | "dim", value=value) if ast.unparse(value) in AXES:
            yield *source.span(value), AXES[ast.unparse(value)]


def constant(source: Source, node: ast.AST, scope: Scope | None) -> Iterator[Edit]:
    """1 -> 2, 0.5 -> 1.0, True -> False."""
    match node:
        case ast.Constant(value=bool(value)):
            yield *source.span(node), str(not value).encode()
        case ast.Constant(value=int(value)):
            yield *source.span(node), str(value + 1).encode()
        case ast.Constant(value=float(value)):
            yield *source.span(node), str(2 * value or 1.0).encode()


def name(source: Source, node: ast.AST, scope: Scope | None) -> Iterator[Edit]:
    """W -> b: another parameter or variable of the function."""
    match node:
        case ast.Name(id=used, ctx=ast.Load()) if scope:
            other = scope.neighbour(used, node.lineno)
            if other:
                yield *source.span(node), other.encode()


WAYS: dict[str, Callable[[Source, ast.AST, Scope | None], Iterator[Edit]]] = {
    way.__name__: way for way in (arithmetic, comparison, axis, constant, name)
}


# Which tests judge a mutant


#: The tests of the agreement package but for the longest, which come after them.
AGREEMENT = ("rules", "rounded", "numpy", "bounds", "tightness", "blocks", "routes", "judge")
#: The tests of the note's step and run.
NOTE = ("spiral", "runs", "trace", "gradients", "document")


def batteries(path: str) -> list[Battery]:
    """The tests for a file, the quickest to fail first: its own, then those of what uses it."""
    if path in TORCH_PORTS:
        return port_batteries(TORCH_PORTS[path], "eager")
    if path in JAX_PORTS:
        return port_batteries(JAX_PORTS[path], "compiled")
    own = f"{Path(path).parent}/test_{Path(path).stem}"
    mirror = [tests(own)] if (ROOT / "tests" / f"{own}.py").is_file() else []
    folder = next(folder for folder in USERS if path.startswith(folder))
    return mirror + USERS[folder]


def tests(*names: str) -> Battery:
    """Those test files, with the NumPy port if they need one."""
    return (*(f"tests/{name}.py" for name in names), "--port", "numpy")


def lockstep(port: str, *options: str) -> Battery:
    """The tests of the main claim, for one port."""
    return "tests/test_lockstep.py", "--port", port, *options


def port_batteries(port: str, mode: str) -> list[Battery]:
    """15 points, then ties and degenerate problems, then the note's runs."""
    natural = ("--mode", mode)
    return [
        (*lockstep(port, *natural), "-k", "document_data"),
        ("tests/test_problems.py", "--port", port, *natural),
        lockstep(port, *natural, "--steps", "3"),
    ]


#: The tests of what uses a file, by the folder that the file is in.
USERS: dict[str, list[Battery]] = {
    "reference/agreement/": [
        tests(*(f"reference/agreement/test_{name}" for name in AGREEMENT)),
        (*tests("test_formulations"), "-k", "numpy or wrong"),
        tests("test_problems"),
        (*lockstep("numpy", "--steps", "3"), "--port", "torch_library", "--port", "torch_autograd"),
        tests("reference/agreement/test_soundness"),
    ],
    "reference/": [
        tests(*(f"reference/test_{name}" for name in NOTE)),
        tests("reference/agreement/test_judge", "ports/engine/test_lockstep"),
        tests("ports/diagnosis/test_search", "ports/conventions/test_following"),
        tests("reference/test_published"),
    ],
    "ports/engine/": [
        tests("ports/engine/test_lockstep", "ports/engine/test_results", "test_planted"),
        tests("test_problems"),
        lockstep("numpy", "--steps", "3"),
    ],
    "ports/conventions/": [
        tests("ports/conventions/test_following"),
        tests("ports/conventions/test_recognition"),
    ],
    "ports/diagnosis/": [
        tests("ports/diagnosis/test_search"),
        tests("ports/diagnosis/test_diagnosis"),
        tests("ports/check/test_check"),
        tests("ports/traps/test_traps"),
    ],
}

# Running them

#: Loaded once and shared by all test processes, which fork from there.
PRELOADED = ["pytest", "hypothesis", "mpmath", "numpy", "torch._dynamo", "jax.numpy", "optax"]
#: Nothing is kept from one mutant to the next, and the order is as given. Rewriting asserts would
#: take longer than most of the tests.
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--assert=plain")


def copy_checkout(root: Path, to: Path) -> Path:
    """The checkout's files as they are now, but nothing that git ignores."""
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=True).stdout
    for file in filter(None, listed.split("\0")):
        if (root / file).is_file():
            (to / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / file, to / file)
    return to


#: How many times its limit of processor time a run may take by the clock: other work may slow it down.
PATIENCE = 20


def run_pytest(copy: str, battery: Battery, limit: int) -> None:
    """In a process of its own: run a battery in a copy of the checkout, and end with its status.

    The system ends the process when it has used `limit` seconds of processor time.
    """
    import resource

    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    os.chdir(copy)
    with open("output.log", "w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    sys.dont_write_bytecode = True  # caches are dated in seconds, mutants are quicker
    checkout = (ROOT, ROOT / "tests" / "helpers")  # but not a virtual environment inside it
    sys.path[:] = [copy, *(p for p in sys.path if p and Path(p) not in checkout)]
    import pytest

    status = pytest.main([*OPTIONS, *battery])
    import reference

    assert Path(reference.__file__).is_relative_to(copy)
    sys.stdout.flush()
    os._exit(int(status))


def passes(copy: Path, battery: Battery, limit: int) -> bool:
    """Whether no test of a battery fails in a copy of the checkout.

    A run that uses up its processor time has failed. One that is merely slow, on a busy machine, is
    given up at last, and has not failed.
    """
    process = FORK.Process(target=run_pytest, args=(str(copy), battery, limit))
    process.start()
    process.join(PATIENCE * limit)
    is_slow = process.is_alive()
    with suppress(ProcessLookupError):  # with the processes that the tests have started
        os.killpg(process.pid or 0, signal.SIGKILL)
    process.join()
    return is_slow or process.exitcode == 0


def survives(copy: Path, mutant: Mutant, asked: Sequence[Battery], limit: int) -> bool:
    """Whether no test notices a mutant. Afterwards the copy is as it was before."""
    file = copy / mutant.path
    source = file.read_bytes()
    file.write_bytes(mutant.applied(source))
    try:
        return all(passes(copy, battery, limit) for battery in asked)
    finally:
        file.write_bytes(source)


FORK = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")


# The command


def chosen(copy: Path, only: Sequence[str]) -> list[Mutant]:
    """The mutants of some files, folders or lines; of all targets if none are given."""
    found = []
    for place in only or TARGETS:
        path, _, line = place.partition(":")
        files = sorted((copy / path).rglob("*.py")) if (copy / path).is_dir() else [copy / path]
        for file in files:
            all_of_it = mutants(file.relative_to(copy).as_posix(), file.read_bytes())
            found += [m for m in all_of_it if not line or m.line == int(line)]
    return found


def check_tests_pass(copy: Path, asked: Sequence[Battery], limit: int) -> None:
    """Exit if a test fails without a mutant, because it would count as a kill.

    So would a test that takes nearly all the time there is: half of it must be enough.
    """
    for battery in asked:
        if not passes(copy, battery, limit // 2):
            output = (copy / "output.log").read_text(errors="replace")
            sys.exit(f"{output}\nthese tests fail without a mutant: {' '.join(battery)}")


def survivors(copies: Sequence[Path], todo: Sequence[Mutant], limit: int) -> Iterator[Mutant]:
    """Try every mutant, in as many jobs as there are copies; yield those that no test notices."""
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def tried(mutant: Mutant) -> tuple[Mutant, bool]:
        copy = free.get()
        try:
            return mutant, survives(copy, mutant, batteries(mutant.path), limit)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as pool:
        for i, done in enumerate(as_completed([pool.submit(tried, mutant) for mutant in todo]), 1):
            mutant, survived = done.result()
            print(f"\r{i}/{len(todo)}", end="", file=sys.stderr, flush=True)
            if survived:
                yield mutant


def report(todo: Sequence[Mutant], alive: Sequence[Mutant]) -> None:
    """The share killed in each file and in all."""
    total, left = Counter(m.path for m in todo), Counter(m.path for m in alive)
    for path, count in total.items():
        print(f"{path:40} {count - left[path]:4} of {count:4} killed")
    killed = len(todo) - len(alive)
    print(f"{'all':40} {killed:4} of {len(todo):4} killed ({killed / max(len(todo), 1):.1%})")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", default=[], metavar="PATH[:LINE]")
    parser.add_argument("--sample", type=int, metavar="N", help="try N of the mutants, drawn by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--limit", type=int, default=300, help="seconds of processor time for one run of pytest"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the score; 0 if every mutant was killed, 1 if some survived."""
    args = parse(arguments)
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[threads] = "1"
    FORK.set_forkserver_preload(PRELOADED)
    with tempfile.TemporaryDirectory() as folder:
        first = copy_checkout(ROOT, Path(folder).resolve() / "0")
        todo = chosen(first, args.only)
        if args.sample is not None and args.sample < len(todo):
            todo = random.Random(args.seed).sample(todo, args.sample)
        check_tests_pass(
            first, list(dict.fromkeys(b for m in todo for b in batteries(m.path))), args.limit
        )
        copies = [first, *(first.with_name(str(i)) for i in range(1, args.jobs))]
        for copy in copies[1:]:
            shutil.copytree(first, copy)
        sources = {m.path: (first / m.path).read_bytes() for m in todo}
        alive = []
        for mutant in survivors(copies, todo, args.limit):
            print(f"\r{mutant.told(sources[mutant.path])}", flush=True)
            alive.append(mutant)
    print(file=sys.stderr)
    report(todo, alive)
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
