"""NumPy files that follow a convention: right ones, with some lines as a student would write them."""

import re

from outside import ROOT

EXAMPLES = ROOT / "docs" / "examples"

TWO_LAYER = """
import numpy as np


def two_layer_step(params, X, y, reg, step_size):
    W, b, W2, b2 = params["W"], params["b"], params["W2"], params["b2"]
    N = X.shape[0]

    hidden_layer = np.maximum(0, X @ W + b)
    scores = hidden_layer @ W2 + b2
    probs = np.exp(scores) / np.sum(np.exp(scores), axis=1, keepdims=True)
    correct_logprobs = -np.log(probs[np.arange(N), y])
    data_loss = np.mean(correct_logprobs)
    reg_loss = 0.5 * reg * np.sum(W * W) + 0.5 * reg * np.sum(W2 * W2)

    dscores = (probs - np.eye(probs.shape[1], dtype=X.dtype)[y]) / N
    dW2 = hidden_layer.T @ dscores + reg * W2
    db2 = np.sum(dscores, axis=0, keepdims=True)
    dhidden = (dscores @ W2.T) * (hidden_layer > 0)
    dW = X.T @ dhidden + reg * W
    db = np.sum(dhidden, axis=0, keepdims=True)

    return {
        "hidden_layer": hidden_layer,
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": data_loss + reg_loss,
        "dscores": dscores,
        "dW2": dW2,
        "db2": db2,
        "dhidden": dhidden,
        "dW": dW,
        "db": db,
        "W_next": W - step_size * dW,
        "b_next": b - step_size * db,
        "W2_next": W2 - step_size * dW2,
        "b2_next": b2 - step_size * db2,
    }
"""

#: A right file for each model; that of three layers is for the model from outside.
RIGHT = {
    "softmax": (EXAMPLES / "my_port_numpy.py").read_text(),
    "two_layer": TWO_LAYER,
    "three_layer": (EXAMPLES / "three_layer_numpy.py").read_text(),
}

COLUMNS = '''

def columns(step):
    """A step on examples as columns, which is given them so."""

    def turned(params, X, y, reg, step_size):
        found = step({name: p.T for name, p in params.items()}, X.T, y, reg, step_size)
        return {name: np.transpose(tensor) for name, tensor in found.items()}

    return turned


STEP = columns(STEP)
'''

_NOT_DIVIDED = (r"\[y\]\) / N", "[y])")
_NO_REG = (r"0\.5 \* reg", "0 * reg"), (r" \+ reg \* W\d?", "")
#: Regular expressions and replacements, by convention; each must be found.
CHANGES = {
    "reg=full": [(r"0\.5 \* reg", "reg"), (r"\+ reg \* W", "+ 2 * reg * W")],
    "reg=none": [*_NO_REG],
    "reg=optimizer": [*_NO_REG, (r"(W\d?) - step_size \* (dW\d?)", r"\1 - step_size * (\2 + reg * \1)")],
    "mean=late": [
        _NOT_DIVIDED,
        (r"(\w+\.T @ \w+)", r"\1 / N"),
        (r"(np\.sum\(d\w+, axis=0, keepdims=True\))", r"\1 / N"),
    ],
    "mean=sum": [_NOT_DIVIDED, (r"np\.mean\(correct", "np.sum(correct")],
    "regularized=all": [
        (
            r"(reg_loss = .*)|(for weights in \(W, W2, )W3\)",
            lambda found: (
                f"{found[1]} + 0.5 * reg * sum(np.sum(params[n] ** 2) for n in params if n[0] == 'b')"
                if found[1]
                else f"{found[2]}np.hstack([W3.ravel(), b[0], b2[0], b3[0]]))"
            ),
        ),
        (r"(db(\d?) = .*np\.sum\(\w+, axis=0, keepdims=True\))", r"\1 + reg * b\2"),
    ],
    "bias=flat": [("axis=0, keepdims=True", "axis=0")],
    "layout=columns": [],
}


def written(model, *conventions):
    """The source of a file that follows these conventions, and of nothing else."""
    source = RIGHT[model]
    for convention in conventions:
        source = changed(source, *CHANGES[convention])
    return source + COLUMNS.replace("STEP", f"{model}_step") * ("layout=columns" in conventions)


def changed(source, *changes):
    """A source with regular expressions replaced, all of which are found."""
    for pattern, new in changes:
        source, places = re.subn(pattern, new, source)
        assert places, pattern
    return source
