"""CI's workflow keeps its word: its lines run, its shards are whole, its reports come together.

Every `run:` line is in one of two tables. Those that run here are run, on a few cells. The others say
why they cannot, and what is checked of them instead.
"""

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML reads the workflow")

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
JOBS = yaml.safe_load(TEXT)["jobs"]
LINES = [(job, step["run"]) for job, of in JOBS.items() for step in of["steps"] if "run" in step]
EXPRESSION = re.compile(r"\$\{\{ *([\w.]+) *\}\}")

#: The first words of the lines that run here.
HERE = ("lockstep compare", "lockstep merge", "python -m pytest")
#: The first words of the others: why they do not run here, and the test that holds them.
NOT_HERE = {
    "pip install": "needs the network: test_extras_are_declared",
    ".venv/bin/pip install": "needs the network: test_extras_are_declared",
    "python3 -m venv": "takes long, and .ci/run does it: test_ci_script_does_the_same",
    "ruff format": ".ci/run does it: test_ci_script_does_the_same",
    "ruff check": ".ci/run does it: test_ci_script_does_the_same",
    "mypy": ".ci/run does it: test_ci_script_does_the_same",
    "lint-imports": ".ci/run does it: test_ci_script_does_the_same",
    ".venv/bin/lockstep compare": "needs a GPU: test_gpu_lines_differ_by_their_device_alone",
    ".venv/bin/python -m pytest": "needs a GPU: test_gpu_lines_differ_by_their_device_alone",
}
POSIX = pytest.mark.skipif(os.name != "posix", reason="the runners' bash")
#: What makes a line short: it runs the same code, on few cells.
SHORT = "--port numpy --model softmax --steps 2 --points 5 --jobs 1"


def lines(first):
    """The lines that begin so, with their jobs."""
    return [(job, line) for job, line in LINES if line.startswith(first)]


def combinations(job):
    """What `matrix.…` stands for in each of a job's runs."""
    matrix = JOBS[job].get("strategy", {}).get("matrix", {})
    for values in itertools.product(*matrix.values()):
        run = dict(zip(matrix, values, strict=True))
        nested = {
            f"{k}.{sub}": v for k, of in run.items() if isinstance(of, dict) for sub, v in of.items()
        }
        yield {f"matrix.{name}": str(value) for name, value in (run | nested).items()}


def filled(line, values):
    """A line as a runner sees it."""
    return EXPRESSION.sub(lambda match: values[match[1]], line)


def without(line, *options):
    """A line without some options and their values."""
    return re.sub(rf"({'|'.join(options)})[ =]\S+", "", line)


def shell(line, folder, **env):
    """Run a line as a runner does, with this Python's `lockstep` and `python`."""
    python = shlex.quote(sys.executable)
    line = re.sub(
        r"^(\.venv/bin/)?python ", f"{python} ", re.sub(r"^lockstep ", f"{python} -m ports ", line)
    )
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", line],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "GPU": ""} | env,
        capture_output=True,
        text=True,
    )


def test_every_line_is_run_or_says_why_not():
    """No line of the workflow is forgotten, and no reason is left over."""
    known = (*HERE, *NOT_HERE)
    met = {job_line: [first for first in known if job_line[1].startswith(first)] for job_line in LINES}
    assert all(len(firsts) == 1 for firsts in met.values()), met
    assert {first for firsts in met.values() for first in firsts} == set(known)


@POSIX
def test_reports_of_all_machines_are_merged(tmp_path):
    """The workflow's own lines compare each shard of each machine, and merge the reports."""
    ((job, line),) = lines("lockstep compare")
    (tmp_path / "reports").mkdir()
    ran = {}
    for values in combinations(job):
        report = made(without(filled(line, values), "--require"), tmp_path, ran)
        report.rename(tmp_path / "reports" / report.name)
    ((_, merging),) = lines("lockstep merge")
    summary = tmp_path / "summary.md"
    done = shell(merging, tmp_path, GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 0, done.stdout + done.stderr
    machines = len(list(combinations(job))) // 2
    assert f"on {machines} machines agree" in summary.read_text(encoding="utf-8")
    written = {path.name for path in tmp_path.glob("matrix.*")}
    assert written == {"matrix.html", "matrix.json", "matrix.xml"}
    assert fails_closed(merging, tmp_path, GITHUB_STEP_SUMMARY=str(summary))


def made(line, folder, ran):
    """The report that a comparing line writes, on a few cells; that of a shard `ran` is used again."""
    words = shlex.split(line)
    name = folder / words[words.index("--json") + 1]
    shard, machine = (words[words.index(option) + 1] for option in ("--shard", "--machine"))
    if shard not in ran:
        done = shell(f"{line} {SHORT}", folder)
        assert done.returncode == 0, done.stdout + done.stderr
        ran[shard] = json.loads(name.read_text(encoding="utf-8"))
    name.write_text(json.dumps(ran[shard] | {"machine": machine}), encoding="utf-8")
    return name


def fails_closed(merging, folder, **env):
    """Negative control: without a shard, without a machine, or without the GPU that is there."""
    reports = sorted((folder / "reports").iterdir())
    hidden = folder / "hidden"
    hidden.mkdir()
    for gone in (reports[:1], reports[:2]):
        for report in gone:
            report.rename(hidden / report.name)
        assert shell(merging, folder, **env).returncode == 2
        for report in gone:
            (hidden / report.name).rename(report)
    return shell(merging, folder, **env | {"GPU": "--require cuda"}).returncode == 2


@POSIX
@pytest.mark.parametrize(("job", "line"), lines("python -m pytest"))
def test_line_of_the_tests_collects(job, line, tmp_path):
    """pytest knows every option. It collects here and does not run: the tests would run themselves."""
    values = next(combinations(job))
    short = "-p no:cacheprovider --collect-only -q --port numpy tests/ports/report/test_table.py -n 0"
    done = shell(f"{without(filled(line, values), '--require')} {short}", ROOT)
    assert done.returncode in (0, 5), done.stdout + done.stderr
    assert "rror" not in done.stdout + done.stderr


@pytest.mark.parametrize(("job", "line"), [(job, line) for job, line in LINES if "--shard" in line])
def test_shards_are_whole(job, line):
    """The matrix has every shard from 1 to the n of its line, for each machine."""
    met = {}
    for values in combinations(job):
        number, of = re.search(r"--shard (\d+)/(\d+)", filled(line, values)).groups()
        machine = tuple(value for name, value in values.items() if name != "matrix.shard")
        met.setdefault((machine, int(of)), []).append(int(number))
    assert all(sorted(numbers) == list(range(1, of + 1)) for (_, of), numbers in met.items())


def uploads():
    """What each job uploads, as (job, name)."""
    steps = [(job, step) for job, of in JOBS.items() for step in of["steps"]]
    return [
        (job, step["with"]["name"]) for job, step in steps if "upload-artifact" in step.get("uses", "")
    ]


@pytest.mark.parametrize(("job", "name"), uploads())
def test_uploads_have_names_of_their_own(job, name):
    """No two runs of a job upload under one name, and the merging job downloads all reports."""
    names = [filled(name, values) for values in combinations(job)]
    assert len(set(names)) == len(names)
    assert all(name.startswith("report-") for name in names) or job == "merge"


@POSIX
def test_every_machine_is_required():
    """The merging line names each machine of the matrix, so that one which is lost fails it."""
    ((_, line),) = lines("lockstep merge")
    braces = re.search(r"--require=\S+", line)[0]
    expanded = subprocess.run(["bash", "-c", f"echo {braces}"], capture_output=True, text=True).stdout
    ((job, comparing),) = lines("lockstep compare")
    machine = re.search(r"--machine (.*) --json", comparing)[1]
    named = {f"--require={filled(machine, values)}" for values in combinations(job)}
    assert set(expanded.split()) == named
    assert JOBS["merge"]["needs"] == [job, "gpu"]


def test_extras_are_declared():
    """What pip installs is an extra of pyproject.toml; the constraints hold, but for the GPU."""
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for job, line in [*lines("pip install"), *lines(".venv/bin/pip")]:
        assert ("-c constraints.txt" in line) == (job != "gpu")
        for values in combinations(job):
            for extra in re.findall(r"\.\[([^\]]+)\]", filled(line, values)):
                assert all(
                    re.search(rf"^{name} = \[", declared, re.MULTILINE) for name in extra.split(",")
                )


def test_ci_script_does_the_same():
    """The lines that are not run here are those of .ci/run."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for first, reason in NOT_HERE.items():
        if "test_ci_script" in reason:
            assert all(line in script for _, line in lines(first)), first


@pytest.mark.parametrize("words", ["lockstep compare", "python -m pytest"])
def test_gpu_lines_differ_by_their_device_alone(words):
    """The GPU's options are among those of the other machines, whose lines are run here."""
    ((_, gpu),) = lines(f".venv/bin/{words}")
    options = {option for _, line in lines(words) for option in re.findall(r" (--?\w+)", line)}
    assert set(re.findall(r" (--?\w+)", gpu)) <= options
    assert "--device cuda --require cuda" in gpu
    assert JOBS["gpu"]["if"].startswith("vars.GPU == 'true'")


def test_oldest_and_newest_python_on_three_systems():
    """The jobs that test and compare run on both Pythons and on all systems."""
    oldest = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())[1]
    for job in ("test", "matrix"):
        matrix = JOBS[job]["strategy"]["matrix"]
        assert matrix["python"] == [oldest, "3.14"]
        assert [system.partition("-")[0] for system in matrix["os"]] == ["ubuntu", "macos", "windows"]
