"""The `lockstep` command: results, exit status, and one clear sentence for bad input."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from document_listing import verbatim

from ports.__main__ import main
from ports.commands import COMMANDS
from reference.agreement.arithmetic import DTYPES
from reference.models import MODELS, SOFTMAX

ROOT = Path(__file__).parents[3]
PROCESS = [sys.executable, "-m", "ports"]
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals, pipes and shells as POSIX has them")
NUMPY = ["--port", "numpy", "--steps", "2"]

#: Bad input: the arguments, and what the sentence must name.
BAD_INPUT = {
    "unknown_port": (["compare", "--port", "torch_manul"], "torch_manual"),
    "unknown_device": (["compare", "--port", "numpy", "--device", "cuda"], "cuda"),
    "unknown_dtype": (["compare", *NUMPY, "--dtype", "float8"], "float64, float32"),
    "unknown_model": (["compare", *NUMPY, "--model", "two_layers"], "two_layer"),
    "unknown_mode": (["compare", *NUMPY, "--mode", "jit"], "compiled"),
    "no_steps": (["compare", "--port", "numpy", "--steps", "0"], "at least 1"),
    "negative_steps": (["compare", "--port", "numpy", "--steps=-3"], "at least 1"),
    "no_points": (["compare", *NUMPY, "--points", "0"], "at least 1"),
    "negative_points": (["run", "--points=-5"], "at least 1"),
    "seed_not_a_number": (["compare", *NUMPY, "--seed", "x"], "whole number"),
    "no_jobs": (["compare", *NUMPY, "--jobs", "0"], "at least 1"),
    "unwritable_json": (["compare", *NUMPY, "--json", "no/such/folder/out.json"], "no/such/folder"),
    "json_is_a_folder": (["compare", *NUMPY, "--json", "."], "cannot write"),
    "required_port_absent": (["compare", *NUMPY, "--require", "mxnet"], "mxnet"),
    "required_device_absent": (["compare", *NUMPY, "--require", "cuda"], "cuda"),
    "show_unknown_quantity": (["show", "dhiden", "--port", "numpy"], "did you mean dhidden"),
    "show_step_past_the_end": (["show", "loss", "--port", "numpy", "--step", "10000"], "0 to 9999"),
    "run_unknown_model": (["run", "--port", "numpy", "--model", "spiral"], "softmax, two_layer"),
    "bounds_step_past_the_end": (["bounds", "--step", "10000"], "0 to 9999"),
    "json_over_a_port": (["compare", *NUMPY, "--json", "ports/in_numpy/reference.py"], "is a port"),
    "json_without_a_name": (["compare", *NUMPY, "--json", ""], "the name is empty"),
    "no_memory": (["show", "loss", "--port", "numpy", "--points", "9" * 12], "fewer --points"),
    "endless_number": (["compare", *NUMPY, "--points", "9" * 5000], "at most 12 digits"),
    "digits_of_another_script": (["compare", *NUMPY, "--seed", "\u0663"], "whole number"),
    "unknown_command": (["comprae"], "did you mean compare?"),
    "unknown_option": (["run", "--prot", "numpy"], "unrecognized arguments: --prot"),
    "value_missing": (["compare", "--points"], "--points: expected one argument"),
    "quantity_missing": (["show"], "required: quantity"),
    "two_amounts": (["bench", "--quick", "--full"], "not allowed with"),
    "numpy_does_not_compile": (["run", "--port", "numpy", "--mode", "compiled"], "mode"),
}


@pytest.mark.parametrize(("arguments", "named"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_is_one_sentence_and_status_2(arguments, named, capsys):
    """The sentence goes to stderr, names what was wrong, and nothing else is printed."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("lockstep: ")
    assert err.count("\n") == 1
    assert named in err


def test_missing_framework_is_a_sentence(monkeypatch, capsys):
    """A port whose framework is not installed says what to install."""
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda n: None if n == "torch" else found(n))
    assert main(["run", "--port", "torch_manual"]) == 2
    assert "needs torch, not installed here: pip install torch" in capsys.readouterr().err


def test_compare_certifies(capsys):
    """A correct port passes with status 0, a matrix and a manifest that counts what was compared."""
    assert main(["compare", *NUMPY, "--points", "5"]) == 0
    out = capsys.readouterr().out
    assert "two_layer" in out
    assert "certified comparisons" in out
    assert "0 cells disagree" in out


def test_options_alone_compare(capsys):
    """Options without a command are those of compare."""
    assert main([*NUMPY, "--model", "softmax"]) == 0
    assert "0 cells disagree" in capsys.readouterr().out


def test_compare_names_a_planted_bug(tmp_path, capsys):
    """A wrong port ends with status 1 and blames the wrong operation at its step."""
    port = tmp_path / "planted.py"
    port.write_text(
        "from ports.in_numpy.reference import softmax_step as right\n"
        "def softmax_step(params, X, y, reg, step_size):\n"
        "    q = right(params, X, y, reg, step_size)\n"
        "    q['db'] = q['db'] * (1 + 1e-9)\n"
        "    q['b_next'] = params['b'] - step_size * q['db']\n"
        "    return q\n"
    )
    assert main(["compare", "--port", str(port), "--steps", "2", "--dtype", "float64"]) == 1
    out = capsys.readouterr().out
    assert "step 0: db[" in out
    assert "this operation is wrong" in out
    assert "b_next[" not in out.split("step 0: db[")[0]


def test_compare_fails_where_nothing_was_compared(tmp_path, capsys):
    """A port that hides everything does not pass because others are compared."""
    port = tmp_path / "hides_all.py"
    port.write_text(
        "from reference.models import SOFTMAX\n"
        "hidden_quantities = dict.fromkeys(SOFTMAX.quantities, 'for no reason')\n"
        "def softmax_step(params, X, y, reg, step_size):\n"
        "    return {}\n"
    )
    assert main(["compare", *NUMPY, "--port", str(port), "--dtype", "float64", "--points", "5"]) == 1
    told = "softmax-hides_all.py-eager-cpu-float64: nothing was compared"
    assert told in capsys.readouterr().out


@pytest.fixture
def malformed(tmp_path):
    """A port of one wrong shape and one missing quantity."""
    port = tmp_path / "malformed.py"
    port.write_text(
        "from ports.in_numpy.reference import softmax_step as right\n"
        "def softmax_step(*inputs):\n"
        "    trace = right(*inputs)\n"
        "    trace['db'] = trace['db'][0]\n"
        "    del trace['probs']\n"
        "    return trace\n"
    )
    return ["--model", "softmax", "--port", str(port)]


@pytest.mark.parametrize(
    ("quantity", "said", "status"),
    [
        ("db", "malformed.py: db has shape (3,), expected (1, 3)  FAILS", 1),
        ("probs", "malformed.py: probs is missing from the port's trace  FAILS", 1),
        ("scores", "malformed.py    largest share of the bound 0", 0),
    ],
)
def test_show_tells_what_it_cannot_show(quantity, said, status, malformed, capsys):
    """A wrong form fails and nothing is computed from it; the port beside it is shown."""
    assert main(["show", quantity, *malformed, "--port", "numpy"]) == status
    out = capsys.readouterr().out
    assert said in out
    assert "numpy           largest share of the bound" in out


def test_run_tells_what_it_cannot_print(malformed, capsys):
    """A port that lacks a quantity that the note prints ends in one sentence."""
    assert main(["run", *malformed]) == 2
    assert "step 0: probs missing from the port's trace" in capsys.readouterr().err


def test_json_round_trip(tmp_path, capsys):
    """--json writes schema, provenance, and each cell's verdicts with numbers that compare shows."""
    path = tmp_path / "out.json"
    assert main(["compare", *NUMPY, "--points", "5", "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    assert report["schema"] == "lockstep/1"
    assert report["agrees"]
    assert {"python", "numpy", "BLAS", "CPU features"} <= set(report["provenance"])
    assert report["run"] == {"points": 5, "seed": 0, "steps": "2", "precision": "highest"}
    verdicts = [v for cell in report["cells"] for v in cell["verdicts"]]
    assert sum(v["steps"] for v in verdicts) == report["comparisons"] > 0
    assert all(v["agrees"] and v["worst"]["share"] <= 1 for v in verdicts)


def test_show_prints_side_by_side(capsys):
    """Each port's value stands beside the reference's, with the distance and what is allowed."""
    assert main(["show", "dhidden", "--port", "numpy", "--most", "2"]) == 0
    out = capsys.readouterr().out
    assert out.count("allowed") == 2
    assert "largest share of the bound 0" in out


def test_show_follows_the_precision(capsys):
    """What is allowed grows with the rounding of the products' inputs; the heading says so."""
    pytest.importorskip("torch")
    words = ["show", "scores", "--port", "torch_manual", "--dtype", "float32", "--most", "1"]
    allowed = {}
    for precision in ("highest", "medium"):
        assert main([*words, "--precision", precision]) == 0
        heading, _, rest = capsys.readouterr().out.partition("\n")
        assert heading.endswith("medium precision") == (precision == "medium")
        allowed[precision] = float(rest.partition("allowed ")[2].split()[0])
    assert allowed["medium"] > 1000 * allowed["highest"]


def test_doctor_tells_what_is_here(capsys):
    """Versions, devices and every registered port appear."""
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for expected in ("numpy:", "BLAS", "torch", "jax", "matplotlib", "torch_library"):
        assert expected in out


# As a process


@pytest.fixture
def wrong_port(tmp_path):
    """A port that is wrong, whose failure has a plus-minus sign."""
    port = tmp_path / "wrong.py"
    port.write_text(
        "from ports.in_numpy.reference import softmax_step as right\n"
        "def softmax_step(*inputs):\n"
        "    trace = right(*inputs)\n"
        "    return trace | {'loss': trace['loss'] * 2}\n"
    )
    return ["compare", "--port", str(port), "--steps", "2"]


def has_ended(group, seconds=10.0):
    """Whether no process of a group is left, within that time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def heeding_ctrl_c():
    """Heed Ctrl-C: a job in the background of a shell ignores it, and so would its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def tells_that_it_runs(tmp_path):
    """An installed port whose processes leave a file each; (environment, the folder of the files)."""
    folder, info = tmp_path / "running", tmp_path / "theirs-1.0.dist-info"
    folder.mkdir()
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lockstep.ports]\ntheirs = module_of_theirs\n")
    (tmp_path / "module_of_theirs.py").write_text(
        "import os\n"
        "from ports.in_numpy.reference import two_layer_step as right\n"
        "def two_layer_step(*inputs):\n"
        f"    open(os.path.join({str(folder)!r}, str(os.getpid())), 'w').close()\n"
        "    return right(*inputs)\n"
    )
    return os.environ | {"PYTHONPATH": str(tmp_path)}, folder


def running(folder, processes, run, seconds=120.0):
    """Whether that many processes have left their files in the folder before the run ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and run.poll() is None:
        if len(list(folder.iterdir())) == processes:
            return True
        time.sleep(0.05)
    return False


@POSIX
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("heeding_ctrl_c")
def test_stopped_means_all_stopped(number, jobs, tells_that_it_runs):
    """Ctrl-C goes to all processes, SIGTERM to the first: a run of many seconds ends within few."""
    env, folder = tells_that_it_runs
    run_of = ["--port", "theirs", "--model", "two_layer", "--points", "5", "--dtype", "float64"]
    command = [*PROCESS, "compare", *run_of, "--steps", "all", "--jobs", str(jobs)]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, env=env, **streams) as run:
        assert running(folder, jobs, run)
        (os.killpg if number == signal.SIGINT else os.kill)(run.pid, number)
        _, err = run.communicate(timeout=20)
    assert (run.returncode, err) == (128 + number, "lockstep: stopped\n")
    assert has_ended(run.pid)


@POSIX
def test_closed_pipe_loses_no_report(wrong_port, tmp_path):
    """If nobody reads what is printed, the report is still written, and the status is not success."""
    report = tmp_path / "report.json"
    command = [*PROCESS, *wrong_port, "--json", report]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        run.stdout.close()
        assert run.stderr.read() == b""
    assert run.returncode == 128 + 13
    assert not json.loads(report.read_text())["agrees"]


def test_terminal_without_the_signs(wrong_port):
    """Signs that the terminal's encoding lacks are escaped, and the verdict stands."""
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*PROCESS, *wrong_port], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 1
    assert "\\xb1" in done.stdout
    assert not done.stderr


@POSIX
def test_closed_stderr(wrong_port):
    """Without stderr there is no progress line, and no error."""
    closed = ["sh", "-c", '"$@" 2>&-', "sh"]
    done = subprocess.run([*closed, *PROCESS, *wrong_port], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "this operation is wrong" in done.stdout


#: Runs the command line, and prints on stderr which of some modules it has loaded.
LOADED = """
import sys
from ports.__main__ import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
told = ("numpy", "torch", "jax", "matplotlib")
print(sorted(m for m in sys.modules if m in told or m.startswith("ports.commands.")), file=sys.stderr)
"""


def loaded_by(*arguments):
    """What a command line prints, and which frameworks and commands it has loaded."""
    words = [sys.executable, "-c", LOADED, *arguments]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr.strip()


def test_help_is_quick_and_imports_no_framework():
    """`lockstep --help` lists every command without importing NumPy, a framework or a command."""
    started = time.monotonic()
    out, loaded = loaded_by("--help")
    elapsed = time.monotonic() - started
    assert loaded == "['ports.commands.parser']"
    for name, (line, _) in COMMANDS.items():
        assert f"    {name} " in out
        assert line.split()[0] in out
    assert elapsed < 5  # a guard against imports, not a benchmark: `lockstep bench` measures it


def test_command_imports_itself_alone():
    """Only the chosen command is imported; so is NumPy, which shows that the test above can see it."""
    _, loaded = loaded_by("doctor", "--help")
    assert loaded == "['numpy', 'ports.commands.doctor', 'ports.commands.parser']"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(command, capsys):
    """Each has a help of its own, which begins with its line in the table."""
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    out = capsys.readouterr().out
    assert end.value.code == 0
    line, module = COMMANDS[command]
    assert f"{line}\n\n{importlib.import_module(module).DETAILS}" in out


def test_help_lists_what_is_registered(monkeypatch, capsys):
    """The help texts list the registered models, dtypes and frameworks."""
    monkeypatch.setitem(MODELS, "toy", replace(SOFTMAX, name="toy"))
    monkeypatch.setattr("ports.commands.arguments.DTYPES", [*DTYPES, "float8"])
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert "spiral, softmax, two_layer or toy" in out
    assert "float64, float32, bfloat16, float16 or float8" in out


@pytest.fixture
def checkout(tmp_path):
    """A folder with this checkout's `ports`, and no `reference` yet."""
    shutil.copytree(ROOT / "ports", tmp_path / "ports")
    return tmp_path


def in_folder(folder, *path):
    """Run `lockstep --help` in a folder, with further folders on the import path."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    return subprocess.run([*PROCESS, "--help"], cwd=folder, env=env, capture_output=True, text=True)


def test_two_checkouts_are_not_mixed(checkout):
    """`ports` of one checkout and `reference` of another: a sentence with both places, status 2."""
    done = in_folder(checkout, ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"lockstep: `reference` comes from {ROOT} and `ports` from {checkout}: "
    )
    assert done.stderr.count("\n") == 1


def test_checkout_without_its_reference(checkout):
    """A folder called `reference` that is not the package does not count."""
    (checkout / "reference").mkdir()
    done = in_folder(checkout)
    assert done.returncode == 2
    assert "no `reference`" in done.stderr


def test_whole_checkout_is_fine(checkout):
    """Negative control: both packages lie beside each other, whatever else can be imported."""
    shutil.copytree(ROOT / "reference", checkout / "reference")
    done = in_folder(checkout, ROOT)
    assert done.returncode == 0, done.stderr


def test_quiet_when_not_a_terminal():
    """Progress stays off a pipe."""
    command = [sys.executable, "-m", "ports", "compare", *NUMPY, "--model", "softmax"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert done.stderr == ""


@pytest.mark.parametrize("points", ["5", "100"])
def test_run_prints_what_the_document_prints(points, capsys):
    """The printout of the note's own listing, text for text."""
    _, printed = verbatim(int(points))
    assert main(["run", "--port", "numpy", "--points", points]) == 0
    assert capsys.readouterr().out.splitlines() == "\n".join(printed).splitlines()
