"""Bad recordings: each is refused in one sentence, with status 2, before anything is judged."""

import json

import numpy as np
import pytest
from recorded import inputs, joined, recorded, taken_apart

from ports.__main__ import main
from ports.recordings.recording import open_recording


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    """The bytes of a right recording of three steps."""
    return recorded(tmp_path_factory.mktemp("right") / "run.safetensors").read_bytes()


@pytest.fixture
def refused(tmp_path, capsys):
    """A function from a file's bytes to the sentence with which certify refuses it."""

    def sentence(content):
        path = tmp_path / "bad.safetensors"
        path.write_bytes(content)
        assert main(["certify", str(path)]) == 2
        out, err = capsys.readouterr()
        assert not out
        assert err.startswith(f"lockstep: {path}: ")
        assert err.endswith("\n")
        assert err[:-1].isprintable()
        return err

    return sentence


def text(name, value):
    """Change a text, or leave it out for None."""

    def change(parts):
        if value is None:
            del parts.texts[name]
        else:
            parts.texts[name] = value

    return change


def without(name):
    """Leave out a tensor."""
    return lambda parts: parts.tensors.pop(name)


def renamed(name, other):
    """Give a tensor another name."""
    return lambda parts: parts.tensors.update({other: parts.tensors.pop(name)})


def shaped(name, *shape):
    """Give a tensor another shape of the same size."""

    def change(parts):
        format, _, data = parts.tensors[name]
        parts.tensors[name] = format, list(shape), data

    return change


def retyped(name, format):
    """Say that a tensor has another number format of the same width."""
    return lambda parts: parts.tensors.update({name: (format, *parts.tensors[name][1:])})


def number(name, index, value):
    """Change one number of a tensor, and its checksum with it."""

    def change(parts):
        parts.numbers(name)[index] = value

    return change


BAD = {
    "no_schema": (text("schema", None), "lacks schema"),
    "other_version": (text("schema", "lockstep-recording/2"), "lockstep-recording/1 can be read"),
    "other_schema": (text("schema", "pt"), "written in 'pt'"),
    "no_seed": (text("seed", None), "lacks seed"),
    "misspelt_text": (text("precison", "highest"), "did you mean precision?"),
    "unknown_model": (text("model", "softmx"), "did you mean softmax?"),
    "unknown_dtype": (text("dtype", "float80"), "dtype is 'float80'"),
    "unknown_mode": (text("mode", "jit"), "expected one of eager, compiled"),
    "unknown_precision": (text("precision", "tf32"), "expected one of highest, high, medium"),
    "empty_port": (text("port", ""), "'port' is '', expected a line of text"),
    "escapes_in_port": (text("port", "\x1b[31mred"), r"'\x1b[31mred'"),
    "surrogate_in_device": (text("device", "\ud800"), r"'\ud800'"),
    "endless_device": (text("device", "c" * 5000), "expected a line of text"),
    "seed_is_a_word": (text("seed", "zero"), "seed is 'zero', expected a whole number"),
    "seed_of_another_script": (text("seed", "\u0663"), "expected a whole number"),
    "seed_too_large": (text("seed", str(2**32)), "from 0 to 2**32 - 1"),
    "endless_points": (text("points", "9" * 99), "expected a whole number"),
    "many_points": (text("points", "9" * 12), "expected 999,999,999,999 points"),
    "no_points": (text("points", "0"), "expected 0 points"),
    "other_points": (text("points", "6"), "X of shape (15, 2), expected 6 points"),
    "other_seed": (text("seed", "1"), "lockstep inputs writes"),
    "other_reg": (text("reg", "0.01"), "reg is '0.01': the document's run has 0.001"),
    "reg_is_a_word": (text("reg", "none"), "reg is 'none'"),
    "other_step_size": (text("step_size", "nan"), "step_size is 'nan'"),
    "hides_the_unknown": (text("hidden/dscore", "fused"), "hides 'dscore': did you mean dscores?"),
    "hides_without_a_reason": (text("hidden/dW", ""), "expected a line of text"),
    "empty_error": (text("error", ""), "expected a line of text"),
    "other_model": (text("model", "two_layer"), "W has shape (3, 2, 3), expected (3, 2, 100)"),
    "other_dtype": (text("dtype", "float32"), "has dtype F64, expected F32"),
    "stores_the_unknown": (text("stored/score", "bfloat16"), "no quantity: did you mean scores?"),
    "mixed_with_float64": (
        text("stored/scores", "float16"),
        "parameters in mixed precision are float32",
    ),
    "scale_of_nothing": (text("scale/dscores", "1024.0"), "not among quantity_dtypes"),
    "no_X": (without("X"), "no tensor X"),
    "no_labels": (without("y"), "lacks the tensor y"),
    "no_steps": (without("steps"), "lacks the tensor steps"),
    "no_parameter": (without("W"), "lacks the tensor W"),
    "no_quantity": (without("probs"), "lacks the tensor probs, of shape (3, 15, 3)"),
    "misspelt_quantity": (renamed("dscores", "dscore"), "'dscore': did you mean dscores?"),
    "unprintable_tensor": (renamed("dscores", "\x1b[2J"), r"'\x1b[2J'"),
    "other_shape": (shaped("scores", 3, 3, 15), "scores has shape (3, 3, 15), expected (3, 15, 3)"),
    "flat": (shaped("db", 3, 3), "db has shape (3, 3), expected (3, 1, 3)"),
    "scalar_steps": (shaped("steps", 1, 3), "steps has shape (1, 3)"),
    "labels_are_floats": (retyped("y", "F64"), "y has dtype F64, expected I64"),
    "floats_are_labels": (retyped("loss", "I64"), "loss has dtype I64, expected F64"),
    "steps_twice": (number("steps", 1, 0), "expected each once, in order"),
    "negative_step": (number("steps", 0, -1), "the softmax run has 0 to 199"),
    "step_past_the_end": (number("steps", 2, 200), "the softmax run has 0 to 199"),
    "X_is_nan": (number("X", (4, 1), np.nan), "X[4, 1] is nan, the document's is"),
    "X_is_another": (number("X", (4, 1), 0.5), "X[4, 1] is 0.5, the document's is"),
    "label_is_another": (number("y", 14, 1), "y[14] is 1.0, the document's is 2.0"),
    "label_wraps": (number("y", 14, -1), "y[14] is -1.0"),
    "first_weight_is_another": (number("W", (0, 1, 2), 0.5), "W[1, 2] is 0.5, the document's is"),
    "first_bias_is_another": (number("b", (0, 0, 0), 1e-300), "b[0, 0] is 1e-300"),
}


@pytest.mark.parametrize(("change", "said"), BAD.values(), ids=BAD)
def test_bad_recording_is_one_sentence_and_status_2(change, said, right, refused):
    """Its checksums are right: what is refused is what it says."""
    parts = taken_apart(right)
    change(parts)
    assert said in refused(parts.bytes())


def test_right_recording_is_not_refused(right, tmp_path):
    """Negative control: taken apart and put together again, it is certified."""
    path = tmp_path / "again.safetensors"
    path.write_bytes(taken_apart(right).bytes())
    assert main(["certify", str(path)]) == 0


def test_no_step_is_refused(right, refused):
    """Nothing to compare is a failure."""
    parts = taken_apart(right)
    for name, (format, shape, _) in parts.tensors.items():
        if name not in "Xy":
            parts.tensors[name] = format, [0, *shape[1:]], b""
    assert "there is nothing to certify" in refused(parts.bytes())


def test_later_parameter_that_is_not_finite_is_refused(right, refused):
    """Like the first: a step starts from numbers."""
    parts = taken_apart(right)
    parts.numbers("W")[2, 0, 0] = np.inf
    assert "the parameter W has NaN or infinity in row 2" in refused(parts.bytes())


@pytest.mark.parametrize("name", ["X", "y", "steps", "W", "scores", "b_next"])
def test_damaged_tensor_is_refused(name, right, refused):
    """Negative control of the checksums: one bit of any tensor is missed."""
    parts = taken_apart(right)
    header = json.dumps(parts.header()).encode()
    parts.numbers(name).view("u1").flat[0] ^= 1
    assert f"the checksum of {name} is" in refused(joined(header, parts.data()))


def test_missing_and_foreign_checksums_are_refused(right, refused):
    """Every tensor has one, and nothing else has."""
    parts = taken_apart(right)
    content = joined(json.dumps(parts.header(checksums=False)).encode(), parts.data())
    assert "no checksum of the tensor X" in refused(content)
    parts.texts["crc32/x"] = "00000000"
    assert "a checksum of 'x', but no such tensor" in refused(parts.bytes())


def test_inputs_are_no_recording(tmp_path, refused):
    """Nobody has computed anything in them."""
    path = inputs(tmp_path / "start.safetensors")
    assert "the inputs of a run: a program makes the recording" in refused(path.read_bytes())


def test_other_writers_are_read(right, tmp_path):
    """Any order of the tensors, labels in any integer format, numbers written in another way."""
    parts = taken_apart(right)
    parts.tensors = dict(reversed(parts.tensors.items()))
    labels = parts.numbers("y").astype("u1")
    parts.tensors["y"] = "U8", list(labels.shape), labels.tobytes()
    parts.texts |= {"reg": "1e-3", "step_size": "1", "points": "05"}
    path = tmp_path / "other.safetensors"
    path.write_bytes(parts.bytes())
    found = open_recording(path)
    assert (found.points, found.problem.reg, found.steps) == (5, 0.001, (0, 100, 199))
    assert main(["certify", str(path)]) == 0
