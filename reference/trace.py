"""The trace of one step: its named quantities, and the tap that records them."""

from collections.abc import Mapping

import numpy as np

from reference.arrays import Array, Plain, Tap, numpy_dtype
from reference.models import Problem


class ScoreOverflow(ValueError):
    """The note's softmax, which does not shift by the maximum, has left the number range."""


class Trace(dict[str, Array]):
    """The quantities of one step by name, in the order they were computed."""

    def tap(self, name: str, value: Array) -> Array:
        """Record a quantity and return it. The step computes with fresh arrays, so nothing is copied."""
        self[name] = value
        return value

    def storing_tap(self, dtype: str) -> Tap:
        """A tap that rounds each quantity to a dtype first."""

        def tap(name: str, value: Array) -> Array:
            computed = np.asarray(value)
            return self.tap(name, computed.astype(numpy_dtype(dtype)).astype(computed.dtype))

        return tap


def record(problem: Problem, at: str = "this step", stored_in: str = "") -> Trace:
    """Run one reference step on plain arrays and return its `Trace`.

    `at` names the step in messages. `stored_in` names a dtype that each quantity is rounded to before
    the step goes on; the numbers stay in the arrays' own dtype. Where the note's formulas overflow or
    divide by zero, no NaN or infinity is returned: ScoreOverflow is raised, and names the score.
    """
    trace = Trace()
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            problem.step(trace.storing_tap(stored_in) if stored_in else trace.tap)
    except FloatingPointError:
        raise ScoreOverflow(overflow_message(trace, at, problem.labels)) from None
    return trace


def overflow_message(trace: Mapping[str, Array], at: str, y: Plain | None) -> str:
    """Say which score took the note's softmax out of range, and what to do about it.

    `y` are its labels; None for a network that is not the note's.
    """
    dtype, smaller = trace_dtype(trace), "smaller weights, data or step size"
    if y is None:
        after = f"after {list(trace)[-1]}" if trace else "in the first quantity"
        return f"{at}: {dtype} overflows, or a divisor is 0, {after}; use {smaller}."
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
