"""`lockstep check` tells which convention a file follows, and judges by it if it is declared."""

import json
import re

import pytest
from by_convention import changed, written
from outside import forgotten_afterwards, load

from ports.__main__ import main
from ports.conventions.known import BY_WORD

QUICK = ("--steps", "2", "--points", "5", "--timeout", "30")

#: What is said of a file that follows a convention.
SENTENCES = {
    "reg=full": "Consistent with the assignment's convention, reg*sum(W*W): pass reg/2, or run with "
    "--convention reg=full.",
    "reg=none": "Consistent with no regularization at all, which a check with a tiny reg (5e-6, say) "
    "does not show: add it to loss and gradient, or run with --convention reg=none.",
    "reg=optimizer": "Consistent with weight decay in the optimizer: loss and gradient have no "
    "regularization, the update has: add it to loss and gradient, or run with "
    "--convention reg=optimizer.",
    "mean=late": "Consistent with a division by N that comes last: the gradient on the scores is N "
    "times larger, the parameters' gradients are right: divide dscores by N, and not what follows, or "
    "run with --convention mean=late.",
    "mean=sum": "Consistent with a loss that is summed over the examples, with the gradient of the "
    "sum: divide the loss and dscores by N, or run with --convention mean=sum.",
    "regularized=all": "Consistent with biases that are regularized as the weights are: leave the "
    "biases out of loss and gradient, or run with --convention regularized=all.",
    "bias=flat": "Consistent with biases of shape (K,), not (1, K): give sums over the examples "
    "keepdims=True, or run with --convention bias=flat.",
    "layout=columns": "Consistent with examples as columns: scores of shape (K, N), weights of shape "
    "(H, D): take examples as rows, or run with --convention layout=columns.",
}


@pytest.fixture(autouse=True)
def _three_layer(monkeypatch):
    """The model from outside is registered while a test runs."""
    with forgotten_afterwards():
        load(monkeypatch, "three_layer_net")
        yield


@pytest.fixture
def check(tmp_path, capfd):
    """Run the command on a source; returns the status, its JSON and its text, unwrapped."""

    def check(source, *arguments):
        path, report = tmp_path / "my_port.py", tmp_path / "answer.json"
        path.write_text(source)
        report.unlink(missing_ok=True)
        status = main(["check", str(path), *QUICK, "--json", str(report), *arguments])
        said = capfd.readouterr()
        answer = json.loads(report.read_text()) if report.exists() else None
        return status, answer, re.sub(r"\s+", " ", said.out + said.err)

    return check


def declared(*words):
    """The options that declare conventions."""
    return [text for word in words for text in ("--convention", word)]


def consistent_with(answer):
    """What the only step's answer says about conventions."""
    (step,) = answer["steps"]
    return step["consistent_with"]


@pytest.mark.parametrize("name", ["softmax", "two_layer"])
@pytest.mark.parametrize("word", SENTENCES)
def test_convention_is_recognised(name, word, check):
    """In one sentence, before the first wrong quantity. The file still disagrees, or cannot be run."""
    status, answer, said = check(written(name, word))
    assert status == (2 if word == "layout=columns" else 1)
    assert consistent_with(answer) == {"conventions": [word], "wrong": [], "sentence": SENTENCES[word]}
    after = "stopped:" if word == "layout=columns" else "First wrong:"
    assert said.index(SENTENCES[word]) < said.index(after)


@pytest.mark.parametrize("name", ["softmax", "two_layer"])
@pytest.mark.parametrize("word", SENTENCES)
def test_declared_convention_is_right(name, word, check):
    """The file is judged by it; the verdict names it."""
    status, answer, said = check(written(name, word), *declared(word))
    assert (status, answer["conventions"]) == (0, [word])
    assert consistent_with(answer) is None
    assert f"Right under the convention {word}: " in said


@pytest.mark.parametrize("word", SENTENCES)
def test_error_beside_a_declared_convention_is_blamed(word, check):
    """Negative control: everything else is judged as strictly, and blamed at the right quantity."""
    line = "-np.log(probs"
    source = written("softmax", word).replace(line, f"-1.000000001 * {line[1:]}")
    status, answer, said = check(source, *declared(word))
    assert status == 1
    assert answer["steps"][0]["wrong"] == ["correct_logprobs"]
    assert f"disagrees with the document under the convention {word}." in said


@pytest.mark.parametrize("word", [word for word in SENTENCES if word != "layout=columns"])
def test_wrongly_declared_convention_is_wrong(word, check):
    """Negative control: a file that follows the note does not follow a convention, and is told so."""
    status, answer, said = check(written("two_layer"), *declared(word))
    assert status == 1
    assert consistent_with(answer)["conventions"] == []
    assert "Consistent with the document itself: declare no convention." in said


def test_wrongly_declared_columns_cannot_be_run(check):
    """A file on rows raises where it is given columns."""
    status, answer, said = check(written("two_layer"), *declared("layout=columns"))
    assert status == 2
    assert consistent_with(answer)["conventions"] == []
    assert "Consistent with the document itself" in said


#: Two conventions at once.
PAIRS = [
    ("mean=late", "reg=full"),
    ("mean=sum", "reg=none"),
    ("regularized=all", "reg=full"),
    ("regularized=all", "reg=optimizer"),
    ("reg=full", "bias=flat"),
    ("mean=sum", "layout=columns"),
]


@pytest.mark.parametrize("words", PAIRS, ids="+".join)
def test_two_conventions_are_recognised(words, check):
    """And can be declared together; one of them alone leaves the other to be recognised."""
    source = written("two_layer", *words)
    if words == ("regularized=all", "reg=full"):
        source = changed(source, (r"\+ reg \* b", "+ 2 * reg * b"))
    if words == ("regularized=all", "reg=optimizer"):
        source = changed(
            source,
            (r" \+ reg \* b2?", ""),
            (r"b(2?) - step_size \* db2?", r"b\1 - step_size * (db\1 + reg * b\1)"),
        )
    _, answer, said = check(source)
    assert consistent_with(answer)["conventions"] == [*words]
    assert f"or run with {' '.join(declared(*words))}." in said
    assert check(source, *declared(*words))[0] == 0
    _, answer, said = check(source, *declared(words[1]))
    assert consistent_with(answer)["conventions"] == [*words]
    assert BY_WORD[words[0]].instead in said
    assert BY_WORD[words[1]].instead not in said


@pytest.mark.parametrize(
    ("word", "old", "new", "wrong"),
    [
        ("reg=full", r"db2 = np", "db2 = 2 * np", ["db2"]),
        ("reg=full", r"\+ 2 \* reg \* W2", "- 2 * reg * W2", ["dW2"]),
        ("mean=late", r"W - step_size", "W + step_size", ["W_next"]),
        ("mean=sum", r"\(hidden_layer > 0\)", "1", ["dhidden"]),
        ("reg=none", r"X @ W \+ b", "X @ W", ["hidden_layer"]),
        (
            "reg=full",
            r"    probs =",
            "    scores -= np.max(scores, axis=1, keepdims=True)\n    probs =",
            ["scores"],
        ),
    ],
)
def test_rest_is_judged_by_the_convention(word, old, new, wrong, check):
    """A file that follows a convention but for one line is told that line."""
    status, answer, said = check(changed(written("two_layer", word), (old, new)))
    assert status == 1
    assert consistent_with(answer)["conventions"] == [word]
    assert consistent_with(answer)["wrong"] == wrong
    assert f"with --convention {word}, only {wrong[0]} is wrong." in said


#: Changes of the right file that are mistakes, though one of its lines is as in a convention.
INCONSISTENT = {
    "the loss without the half, its gradient with it": [(r"0\.5 \* reg", "reg")],
    "the gradient doubled, the loss with the half": [(r"\+ reg \* W", "+ 2 * reg * W")],
    "the gradient summed, the loss averaged": [(r"\[y\]\) / N", "[y])")],
    "the loss summed, the gradient averaged": [(r"np\.mean\(correct", "np.sum(correct")],
    "no regularization in the gradient": [(r" \+ reg \* W2?", "")],
    "no regularization in the loss": [(r"0\.5 \* reg", "0 * reg")],
    "one layer by the assignment": [(r"\+ reg \* W2", "+ 2 * reg * W2")],
    "one bias gradient of shape (K,)": [(r"\(dscores, axis=0, keepdims=True", "(dscores, axis=0")],
}


@pytest.mark.parametrize("changes", INCONSISTENT.values(), ids=INCONSISTENT)
def test_half_a_convention_is_a_mistake(changes, check):
    """Negative control: nothing is called a convention that the whole step does not follow."""
    status, answer, said = check(changed(written("two_layer"), *changes))
    assert status == 1
    assert consistent_with(answer) is None
    assert "onsistent with the" not in said.partition("First wrong")[0]


def test_overwritten_scores_are_told_alone(check):
    """The softmax does not depend on the shift: what follows is right."""
    shift = (r"    probs =", "    scores -= np.max(scores, axis=1, keepdims=True)\n    probs =")
    status, answer, said = check(changed(written("two_layer"), shift))
    (step,) = answer["steps"]
    assert status == 1
    assert (step["wrong"], step["follows"]) == (["scores"], [])
    assert "overwritten in place by the shift by the row maximum, on which the softmax does not" in said


@pytest.mark.parametrize("word", ["reg=full", "mean=late", "mean=sum", "regularized=all", "bias=flat"])
def test_model_from_outside(word, check):
    """A registered model has the same conventions, if its step has the same kinds of lines."""
    _, answer, _ = check(written("three_layer", word))
    assert consistent_with(answer)["sentence"] == SENTENCES[word]
    status, _, said = check(written("three_layer", word), *declared(word))
    assert status == 0
    assert f"Right under the convention {word}: " in said


def test_file_declares_its_convention(check):
    """At its top; an option with the same name goes before it."""
    source = 'convention = {"reg": "full"}\n' + written("softmax", "reg=full")
    status, answer, _ = check(source)
    assert (status, answer["conventions"]) == (0, ["reg=full"])
    status, answer, _ = check(source, *declared("reg=none", "bias=flat"))
    assert (status, answer["conventions"]) == (1, ["reg=none", "bias=flat"])


def test_line_of_the_convention_is_shown(check):
    """A mistake in a line that the convention changes is explained against that line."""
    source = changed(written("softmax", "reg=full"), (r"\+ 2 \* reg \* W", "- 2 * reg * W"))
    _, _, said = check(source, *declared("reg=full"))
    assert "declared dW = np.dot(X.T, dscores) + 2 * reg * W yours is" in said


@pytest.mark.parametrize(
    ("top", "option", "said"),
    [
        ("", "reg=ful", "unknown convention 'reg=ful': did you mean reg=full? expected one of"),
        ("", "full", "unknown convention 'full'"),
        (
            'convention = {"mean": "lat"}',
            "reg=full",
            "my_port.py: unknown convention 'mean=lat': did you",
        ),
        ('convention = "reg"', "reg=full", "my_port.py: convention is 'reg', expected a dict such as"),
        ("convention = {1: 2}", "reg=full", "my_port.py: convention is {1: 2}, expected a dict such as"),
    ],
)
def test_unknown_convention_is_refused(top, option, said, check):
    """One sentence with the known ones, exit 2."""
    status, answer, error = check(f"{top}\n{written('softmax')}", *declared(option))
    assert (status, answer) == (2, None)
    assert said in error


def test_two_values_are_refused(check):
    """A step follows one value of a name."""
    status, _, error = check(written("softmax"), *declared("reg=full", "reg=none"))
    assert status == 2
    assert "a step cannot follow both reg=full and reg=none: choose one of them" in error
