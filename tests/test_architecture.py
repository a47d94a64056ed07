"""Dependencies point one way: reference <- ports <- tests, and the reference needs NumPy alone.

Within `ports` they point down its layers, which pyproject.toml lists.
"""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import reference

HERE = Path(__file__).parent
ROOT = Path(reference.__file__).parents[1]
FRAMEWORKS = ("torch", "jax", "optax", "matplotlib")
#: What a test module may be imported as, from the outside.
TESTS = ("tests", "conftest", *(path.stem for path in HERE.rglob("*.py")))

LOAD = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
if sys.argv[2] == "all":
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def loaded(package: str, submodules: str, root: Path = ROOT) -> set[str]:
    """The top-level modules that a fresh interpreter holds after importing a package."""
    answer = subprocess.run(
        [sys.executable, "-c", LOAD, package, submodules],
        cwd=root,  # `-c` looks there first
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(answer.stdout.split())


def imported(package: str, root: Path = ROOT) -> set[str]:
    """The top-level modules that a package's files import anywhere, in functions too."""
    files = sorted((root / package).rglob("*.py"))
    assert files, f"{package} has no files"
    return {name for path in files for name in imports(ast.parse(path.read_text(encoding="utf-8")))}


def imports(tree: ast.AST) -> set[str]:
    """The top-level modules that a file, or a part of one, imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.partition(".")[0])
    return found


def test_reference_loads_no_framework():
    """Importing all of `reference` in a fresh interpreter loads neither a framework nor `ports`."""
    assert loaded("reference", "all") & {*FRAMEWORKS, "ports"} == set()


def test_reference_imports_numpy_alone():
    """No line of `reference` imports anything but itself, NumPy and the standard library."""
    assert imported("reference") - set(sys.stdlib_module_names) == {"numpy", "reference"}


def test_registry_loads_no_framework():
    """The registry is lazy: it loads no framework, whichever are installed."""
    assert loaded("ports.registry", "none") & set(FRAMEWORKS) == set()


def test_commands_load_no_framework():
    """The command's table and parser load neither a framework nor NumPy."""
    assert loaded("ports.commands.parser", "none") & {"numpy", *FRAMEWORKS} == set()


@pytest.mark.parametrize("package", ["reference", "ports"])
def test_nothing_imports_the_tests(package):
    """Neither package imports a test module or helper."""
    assert imported(package) & set(TESTS) == set()


def importers(module: str, root: Path = ROOT) -> set[str]:
    """The files of the project that import a module, anywhere and in whichever form."""
    package, _, name = module.rpartition(".")
    found = set()
    for path in (path for part in ("reference", "ports") for path in (root / part).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = {alias.name for alias in node.names}
                start = getattr(node, "module", None)
                if start == module or (start == package and name in names) or module in names:
                    found.add(path.relative_to(root).as_posix())
    return found


def test_nothing_that_judges_knows_probabilities():
    """The probabilistic bounds are information: what measures and prints them, alone, imports them."""
    assert importers("reference.agreement.probabilistic") == {
        "ports/engine/accuracy.py",
        "ports/report/as_json.py",
        "ports/report/bounds.py",
    }
    assert importers("ports.engine.accuracy") == {
        "ports/commands/bounds.py",
        "ports/report/as_json.py",
        "ports/report/bounds.py",
    }


@pytest.mark.parametrize(
    "line",
    [
        "from reference.agreement.probabilistic import probabilistic",
        "from reference.agreement import probabilistic",
        "import reference.agreement.probabilistic",
    ],
)
def test_judge_that_knows_probabilities_is_caught(tmp_path, line):
    """Negative control, in a function too."""
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "judge.py").write_text(f"def judge():\n    {line}\n")
    (tmp_path / "reference" / "other.py").write_text("import numpy\n")
    assert importers("reference.agreement.probabilistic", tmp_path) == {"reference/judge.py"}


def hiding(folder: Path) -> set[str]:
    """The packages that a folder's modules would hide, were the folder in the import path.

    It is there, for one, where a file in it is run as a script.
    """
    names = {path.stem for path in folder.iterdir() if path.is_dir() or path.suffix == ".py"}
    return names & {*FRAMEWORKS, "numpy"}


@pytest.mark.parametrize("package", ["reference", "ports"])
def test_no_module_has_the_name_of_a_framework(package):
    """`import torch` in a port must find PyTorch, and not a folder of this project."""
    assert hiding(ROOT / package) == set()


def test_module_with_the_name_of_a_framework_is_caught(tmp_path):
    """Negative control: a folder and a file; and Python does import the folder in PyTorch's place."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("")
    (tmp_path / "numpy.py").write_text("")
    assert hiding(tmp_path) == {"torch", "numpy"}
    look = "import importlib.util; print(importlib.util.find_spec('torch').origin)"
    (tmp_path / "script.py").write_text(look)
    found = subprocess.run(
        [sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == str(tmp_path / "torch" / "__init__.py")


def needed_to_collect(source: str) -> set[str]:
    """What a test file imports before it skips itself where something is not installed."""
    needed = set()
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Expr) and "importorskip" in ast.unparse(statement):
            break
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            needed |= imports(statement)
    return needed


@pytest.mark.parametrize("path", sorted(HERE.rglob("*.py")), ids=lambda path: path.stem)
def test_tests_are_collected_with_numpy_and_pytest_alone(path):
    """A test that needs more than a bare checkout skips itself."""
    here = {"numpy", "pytest", "reference", "ports", *TESTS, *sys.stdlib_module_names}
    assert needed_to_collect(path.read_text(encoding="utf-8")) <= here


def test_import_that_fails_collection_is_caught():
    """Negative control: an import at the top counts, one in a function or after a skip does not."""
    skip = "import pytest\npytest.importorskip('torch')\nimport torch\n"
    late = "def f():\n    import torch\n"
    assert needed_to_collect(skip + "\n" + late) == {"pytest"}
    assert needed_to_collect(late + "import mpmath.libmp\n") == {"mpmath"}


@pytest.fixture
def violating(tmp_path):
    """A root whose `reference` imports torch on import of a submodule, and a test in a function."""
    (tmp_path / "torch.py").touch()
    inner = tmp_path / "reference" / "agreement"
    inner.mkdir(parents=True)
    (inner.parent / "__init__.py").touch()
    (inner / "__init__.py").write_text("import torch\n")
    (inner / "late.py").write_text("def check():\n    from tests.test_runs import one_step\n")
    return tmp_path


def test_violations_are_caught(violating):
    """Negative control: both ways of looking see a framework and a test imported where none may be."""
    assert "torch" in loaded("reference", "all", violating)
    assert "torch" not in loaded("reference", "none", violating)
    assert imported("reference", violating) == {"torch", "tests"}


#: What import-linter does on the command line, without leaving its cache behind.
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    """Hold the packages below a folder against the layers."""
    pytest.importorskip("importlinter", reason="pip install import-linter")
    return subprocess.run([sys.executable, "-c", LINT], cwd=root, capture_output=True, text=True)


def test_imports_point_down_the_layers():
    """Every module of `ports` is in a layer, and imports those below it alone."""
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "line", "told"),
    [
        ("ports/engine/results.py", "\n\ndef late():\n    from ports.report import matrix\n", "layers"),
        ("ports/in_torch/host.py", "\nimport ports.in_jax\n", "layers"),
        ("ports/contract.py", "\nfrom ports.registry import PORTS\n", "layers"),
        ("ports/loose.py", "", "layers"),
        ("reference/spiral.py", "\n\ndef late():\n    import ports.messages\n", "imports no port"),
    ],
)
def test_import_against_the_layers_is_found(module, line, told, tmp_path):
    """Negative control: it finds imports up, sideways and in a function, and a module in no layer."""
    for package in ("reference", "ports"):
        shutil.copytree(ROOT / package, tmp_path / package)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / module).open("a") as file:
        file.write(line)
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout
    (broken,) = [line for line in done.stdout.splitlines() if line.endswith("BROKEN")]
    assert told in broken
