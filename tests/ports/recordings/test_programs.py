"""Programs in other languages read the inputs, make steps, and write recordings that are certified."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from recorded import inputs

from ports.__main__ import main

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "docs" / "examples"
PAGE = (ROOT / "docs" / "recordings.md").read_text(encoding="utf-8")
REALS = {"float64": "double", "float32": "float"}


def run(*words):
    """Run a program, which must end well."""
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def in_cpp(folder, dtype, start, out):
    """Compile the C++ program with the C step, and run it."""
    if not (shutil.which("cc") and shutil.which("c++")):
        pytest.skip("needs cc and c++, not installed here")
    step, program, real = folder / "my_port_c.o", folder / "record_softmax", f"-Dreal={REALS[dtype]}"
    run("cc", "-O2", real, "-c", folder / "my_port_c.c", "-o", step)
    warned = ["-Wall", "-Wextra", "-Werror"]
    run(
        "c++",
        "-std=c++17",
        "-O2",
        *warned,
        real,
        folder / "record_softmax.cpp",
        step,
        "-lm",
        "-o",
        program,
    )
    run(program, start, out)


def in_javascript(folder, dtype, start, out):
    """Run the JavaScript program."""
    if not shutil.which("node"):
        pytest.skip("needs node, not installed here")
    checked = "process.exit(typeof require('node:zlib').crc32 === 'function' ? 0 : 1)"
    if subprocess.run(["node", "-e", checked]).returncode:
        pytest.skip("needs node 20.15 or 22.2: this one has no zlib.crc32")
    run("node", folder / "record_softmax.mjs", start, out)


PROGRAMS = {"cpp": in_cpp, "javascript": in_javascript}


@pytest.fixture(params=PROGRAMS)
def program(request, tmp_path):
    """A function that runs a program of docs/examples and certifies what it writes.

    `old`, in the program or in the C step, is replaced by `new`.
    """

    def certified(dtype, steps, old="", new=""):
        for source in (*EXAMPLES.glob("record_softmax.*"), EXAMPLES / "my_port_c.c"):
            (tmp_path / source.name).write_text(
                source.read_text().replace(old, new) if old else source.read_text()
            )
        start, out = inputs(tmp_path / "start", dtype=dtype, steps=steps), tmp_path / "run.safetensors"
        PROGRAMS[request.param](tmp_path, dtype, start, out)
        return main(["certify", str(out)])

    certified.language = request.param
    return certified


@pytest.mark.parametrize("dtype", REALS)
def test_program_is_certified(dtype, program, capsys):
    """Every quantity of every step, in both dtypes."""
    assert program(dtype, 3) == 0
    out = capsys.readouterr().out
    assert "record_softmax" in out
    assert "3 port steps, 66 certified comparisons" in out


#: An error in the step of each language, and one in how it writes.
STEP = {"cpp": ("losses[1] *= reg / 2;", "losses[1] *= reg;"), "javascript": ("0.5 * reg", "reg")}
WRITING = {"cpp": ("0xEDB88320u", "0xEDB88321u"), "javascript": ('padStart(8, "0")', 'padStart(9, "0")')}


def test_error_in_a_program_is_found(program, capsys):
    """Negative control: a regularization without the half, in the step of either language."""
    assert program("float64", 1, *STEP[program.language]) == 1
    assert "step 0: reg_loss[] is" in capsys.readouterr().out


def test_error_in_the_writing_is_refused(program, capsys):
    """Negative control: checksums that are none."""
    assert program("float64", 1, *WRITING[program.language]) == 2
    assert "the checksum of" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["record_softmax.cpp", "record_softmax.mjs"])
def test_page_shows_the_lines_of_the_program(name):
    """docs/recordings.md has the part of each file that writes, word for word."""
    source = (EXAMPLES / name).read_text(encoding="utf-8")
    part = re.search(r"// write a recording\n(.*?)// until here", source, re.DOTALL)[1]
    assert part.strip() in PAGE
