"""The named quantities of one step, and the tap that records them.

The names are the contract between reference, ports, tests, reports and readers:
the document's own, in the document's order.
"""

from collections.abc import Mapping

import numpy as np

from reference import softmax, two_layer
from reference.arrays import Array, Params, Plain

#: Each model's step function.
STEPS = {"softmax": softmax.step, "two_layer": two_layer.step}

#: Shapes by letter: N examples, D dimensions, H hidden units, K classes.
PARAMETERS = {
    "softmax": {"W": "DK", "b": "1K"},
    "two_layer": {"W": "DH", "b": "1H", "W2": "HK", "b2": "1K"},
}

_HEAD = {
    "scores": "NK",
    "probs": "NK",
    "correct_logprobs": "N",
    "data_loss": "",
    "reg_loss": "",
    "loss": "",
    "dscores": "NK",
}

QUANTITIES = {
    "softmax": _HEAD | {"dW": "DK", "db": "1K", "W_next": "DK", "b_next": "1K"},
    "two_layer": {"hidden_layer": "NH"}
    | _HEAD
    | {"dW2": "HK", "db2": "1K", "dhidden": "NH", "dW": "DH", "db": "1H"}
    | {"W_next": "DH", "b_next": "1H", "W2_next": "HK", "b2_next": "1K"},
}


class ScoreOverflow(ValueError):
    """The document's softmax, which does not shift by the maximum, has left the number range."""


class Trace(dict[str, Array]):
    """The quantities of one step by name, in the order they were computed."""

    def tap(self, name: str, value: Array) -> Array:
        """Record a quantity and hand it on. The step computes with fresh arrays, so none is copied."""
        self[name] = value
        return value


def record(
    model: str,
    params: Params,
    X: Plain,
    y: Plain,
    reg: float,
    step_size: float,
    at: str = "this step",
) -> Trace:
    """Run one reference step on plain arrays and return its `Trace`.

    `at` names the step in messages. Raises ScoreOverflow, naming the score, where the
    document's formulas overflow or divide by zero instead of returning NaN or infinity.
    """
    trace = Trace()
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            STEPS[model](params, X, y, reg, step_size, trace.tap)
    except FloatingPointError:
        raise ScoreOverflow(overflow_message(trace, at, y)) from None
    return trace


def next_params(model: str, trace: Mapping[str, Array]) -> dict[str, Array]:
    """The parameters after the update, from a trace."""
    return {name: trace[f"{name}_next"] for name in PARAMETERS[model]}


def overflow_message(trace: Mapping[str, Array], at: str, y: Plain) -> str:
    """Which score took the document's softmax out of range, and what to do about it."""
    dtype, smaller = trace_dtype(trace), "smaller weights, data or step size"
    if "scores" not in trace:
        return f"{at}: the pre-activations overflow {dtype}; use smaller weights or data."
    if "correct_logprobs" in trace:
        return f"{at}: {dtype} overflows after {list(trace)[-1]}; use {smaller}."
    row, column, why = culprit(trace, y)
    score = np.asarray(trace["scores"])[row, column]
    return (
        f"{at}: score [{row}, {column}] is {score:.6g}, {why} {dtype}: the document's softmax "
        f"does not shift by the maximum. Use {smaller}."
    )


def culprit(trace: Mapping[str, Array], y: Plain) -> tuple[int, int, str]:
    """The row and column of the score at fault, and why."""
    scores = np.asarray(trace["scores"])
    if "probs" in trace:  # -log(0)
        row = int(np.argmin(np.asarray(trace["probs"])[range(len(y)), y]))
        return row, int(y[row]), "so far below the others that its probability underflows to 0 in"
    limit, best = np.log(np.finfo(scores.dtype).max), scores.max(axis=1)
    row = int(np.argmax(best))
    why = f"and exp past {limit:.2f} overflows"
    if best[row] < limit - np.log(scores.shape[1]):  # no overflow, so 0/0
        row, why = int(np.argmin(best)), "the best of its row, whose exp all underflow to 0 in"
    return row, int(np.argmax(scores[row])), why


def trace_dtype(trace: Mapping[str, Array]) -> np.dtype:
    """The dtype a trace was recorded in, for messages."""
    return next((np.asarray(v).dtype for v in trace.values()), np.dtype("float64"))
