"""The pytest plugin, in the tests of another project: each run is a process of its own."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ports

ROOT = Path(ports.__file__).parents[1]

#: Another project's tests. What a name says of a test is what becomes of it.
NUMPY_TESTS = """
    import numpy as np
    import pytest

    X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)

    def softmax(x):
        e = np.exp(x)
        return e / np.sum(e, axis=1, keepdims=True)

    def test_passes(lockstep):
        lockstep.assert_agrees(softmax(X), softmax, X)
        assert lockstep.certified(softmax, X).vacuous == 0

    def test_without_the_fixture_passes():
        pass

    def test_fails(lockstep):
        lockstep.assert_agrees(softmax(X) * np.float32(1.00001), softmax, X)

    def test_fails_after_it_agreed(lockstep):
        lockstep.assert_agrees(X + X, lambda x: x + x, X)
        raise RuntimeError("something else")

    def test_fails_as_it_compares_nothing(lockstep):
        lockstep.certified(softmax, X)

    def test_fails_as_the_bound_is_not_known(lockstep):
        lockstep.assert_agrees(np.i0(X), np.i0, X)

    def cancelled(x):
        return x + 1000 - 1000 - x

    def test_passes_with_a_warning(lockstep):
        lockstep.assert_agrees(cancelled(X), cancelled, X)

    @pytest.mark.filterwarnings("error::reference.VacuousBound")
    def test_fails_as_zeros_would_pass(lockstep):
        lockstep.assert_agrees(cancelled(X), cancelled, X)

    def test_skipped(lockstep):
        pytest.skip("not today")

    @pytest.mark.xfail(strict=True)
    def test_xfailed(lockstep):
        lockstep.assert_agrees(X, softmax, X)

    class TestInAClass:
        @pytest.mark.parametrize("rows", [1, 2])
        def test_passes(self, rows, lockstep):
            lockstep.assert_agrees(X[:rows] @ X.T, np.dot, X[:rows], X.T)
"""
TORCH_TESTS = """
    import pytest

    torch = pytest.importorskip("torch")
    from test_numpy import X, softmax

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
    def test_passes(lockstep, dtype):
        x = torch.tensor(X).bfloat16().to(dtype).requires_grad_()
        lockstep.assert_agrees(torch.softmax(x, 1), softmax, x)

    def test_fails_over_the_other_axis(lockstep):
        x = torch.tensor(X)
        lockstep.assert_agrees(torch.softmax(x, 0), softmax, x)
"""
JAX_TESTS = """
    import pytest

    jax = pytest.importorskip("jax")
    from test_numpy import X, softmax

    def test_passes(lockstep):
        lockstep.assert_agrees(jax.nn.softmax(X), softmax, X)

    def test_fails_over_the_other_axis(lockstep):
        lockstep.assert_agrees(jax.nn.softmax(X, axis=0), softmax, X)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The folder of another project, which sees this package as if it were installed."""
    folder = tmp_path_factory.mktemp("project")
    for name, code in (("numpy", NUMPY_TESTS), ("torch", TORCH_TESTS), ("jax", JAX_TESTS)):
        (folder / f"test_{name}.py").write_text("\n".join(line[4:] for line in code.splitlines()))
    installed = folder / "site" / "lockstep-0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: lockstep\nVersion: 0\n")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    entry_points = [f"{k} = {v}" for k, v in declared["entry-points"]["pytest11"].items()]
    (installed / "entry_points.txt").write_text("\n".join(["[pytest11]", *entry_points]))
    return folder


def run(project, *options):
    """Run pytest there; returns its output, and the outcome of each test."""
    outside = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    path = os.pathsep.join([str(ROOT), str(project / "site")])
    without = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]  # this one takes long to start
    command = [sys.executable, "-m", "pytest", "-rA", *without, *options]
    done = subprocess.run(
        command, cwd=project, env=outside | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    outcomes = re.findall(r"^(PASSED|FAILED|ERROR|XFAIL|SKIPPED) (\S+)", done.stdout, re.MULTILINE)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout, {name: outcome for outcome, name in outcomes}


@pytest.fixture(scope="module")
def whole_run(project):
    """The output and the outcomes of all tests."""
    return run(project)


def of_file(whole_run, name):
    """The outcomes of one file's tests."""
    return {test: outcome for test, outcome in whole_run[1].items() if test.startswith(f"{name}::")}


def as_named(outcomes):
    """How many tests passed or failed, each as its name says; else those that did not."""
    ran = {name: outcome for name, outcome in outcomes.items() if outcome not in ("XFAIL", "SKIPPED")}
    wrong = {name for name, got in ran.items() if got != ("FAILED" if "_fails" in name else "PASSED")}
    return wrong or len(ran)


def test_outcomes_are_those_that_the_names_say(whole_run):
    """A test that is wrong, or that compares nothing, fails; the others do not."""
    outcomes = of_file(whole_run, "test_numpy.py")
    assert as_named(outcomes) == 10
    assert outcomes["test_numpy.py::test_xfailed"] == "XFAIL"
    assert re.search(r"SKIPPED \[1\] test_numpy.py:\d+: not today", whole_run[0])


@pytest.mark.parametrize(("framework", "tests"), [("torch", 4), ("jax", 2)])
def test_tensors_of_a_framework(framework, tests, whole_run):
    """Right tensors agree, and the softmax over the other axis does not."""
    pytest.importorskip(framework)
    assert as_named(of_file(whole_run, f"test_{framework}.py")) == tests


def test_failure_is_told_in_a_few_lines(whole_run):
    """pytest shows the line of the test and the message, and no line of this package."""
    out, _ = whole_run
    (shown,) = re.findall(r"_ test_fails _+\n(.*?)\n_{3,}", out, re.DOTALL)
    assert "lockstep.assert_agrees(softmax(X) *" in shown
    assert re.search(r"elements are not what softmax \(test_numpy.py:\d+\) computes in float32", shown)
    for what in ("worst     [", "got       0.", "expected  0.", "allowed   ", "share     "):
        assert what in shown
    assert "asserting.py" not in shown
    assert "pytest_plugin.py" not in shown


def test_refusal_ends_in_the_tests_own_code(whole_run):
    """The traceback ends outside this package, with the name of the function that is not known."""
    out, _ = whole_run
    (shown,) = re.findall(r"_ test_fails_as_the_bound_is_not_known _+\n(.*?)\n_{3,}", out, re.DOTALL)
    assert "no error bound is known" in shown
    assert "reference" not in shown


def test_test_that_compares_nothing_is_told_so(whole_run):
    """`certified` alone is no comparison."""
    assert "\nthis test has the fixture lockstep, and compared nothing by it\n" in whole_run[0]


def test_summary(whole_run):
    """It counts what was compared, also in tests that fail, and names the largest share."""
    counts, largest, vacuous = told(whole_run[0])
    assert re.fullmatch(r"\d+ numbers were held .* \(tests: \d+, calls: \d+, disagreeing: \d\)", counts)
    assert re.fullmatch(r"largest share that agrees: 0\.\d+ in test_\w+.py::.*, at \[.*", largest)
    assert re.fullmatch(r"12 of the numbers \(\d+\.\d%\) are smaller than their bound", vacuous)


def told(out):
    """What the plugin says at the end."""
    return out.partition(" lockstep ---")[2].partition("\n===")[0].splitlines()[1:]


def test_summary_is_absent_where_nothing_was_compared(project):
    """A project that has the plugin and does not use it sees nothing of it."""
    out, outcomes = run(project, "test_numpy.py", "-k", "without_the_fixture")
    assert outcomes == {"test_numpy.py::test_without_the_fixture_passes": "PASSED"}
    assert told(out) == []


def test_workers_of_xdist_report_the_same(project):
    """Under pytest-xdist the outcomes are the same, and the summary counts what the workers compared.

    12 elements, 12 more, 3 and 6 in tests that pass; 12, 12 and 12 in tests that do not.
    """
    pytest.importorskip("xdist")
    out, outcomes = run(project, "test_numpy.py", "-n", "1")
    assert as_named(outcomes) == 10
    assert told(out)[0].startswith("69 numbers were held")
    assert told(out)[0].endswith("(tests: 7, calls: 7, disagreeing: 2)")


def test_plugin_can_be_left_out(project):
    """With `-p no:lockstep` there is no such fixture."""
    out, outcomes = run(project, "test_numpy.py", "-p", "no:lockstep", "-k", "TestInAClass or without")
    assert "fixture 'lockstep' not found" in out
    assert outcomes.pop("test_numpy.py::test_without_the_fixture_passes") == "PASSED"
    assert set(outcomes.values()) == {"ERROR"}


def test_project_with_a_package_of_the_same_name_leaves_it_out(project, tmp_path):
    """Its own package `ports` would be imported in the place of this one, which has the plugin."""
    (tmp_path / "ports").mkdir()
    (tmp_path / "ports" / "__init__.py").write_text("here = 'theirs'\n")
    (tmp_path / "test_own.py").write_text("def test_a():\n    import ports\n    assert ports.here\n")
    (tmp_path / "site").symlink_to(project / "site")
    out, outcomes = run(tmp_path, "-p", "no:lockstep")
    assert outcomes == {"test_own.py::test_a": "PASSED"}, out


def test_frameworks_may_be_missing(project):
    """The plugin works where neither PyTorch nor JAX can be imported."""
    block = "import sys\nsys.modules['torch'] = sys.modules['jax'] = sys.modules['ml_dtypes'] = None\n"
    (project / "site" / "blocking.py").write_text(block)
    out, outcomes = run(project, "-p", "blocking", "-k", "passes")
    assert as_named(outcomes) == 5, out
    assert "2 skipped" in out


def test_plugin_loads_next_to_nothing():
    """pytest starts with the plugin in every project: it brings neither NumPy nor a framework."""
    look = "import pytest, sys; before = {*sys.modules}; import ports.pytest_plugin; "
    tell = "print(*({*sys.modules} - before))"
    done = subprocess.run(
        [sys.executable, "-c", look + tell], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == {"ports", "ports.pytest_plugin"}
