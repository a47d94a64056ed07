"""The gradients are the loss's. This is checked without the chain rule, in two independent ways.

- In 60 digits (mpmath), central differences of a loss written anew.
- In complex numbers, the loss's own imaginary part: f(x + ih) = f(x) + ih f'(x) + O(h^2) has no
  subtraction, so h = 1e-100 leaves no truncation error.

The allowed error of a gradient is derived. Every entry is a sum of products; computed in any order
its error is at most gamma(R) times the same formula on absolute values, where R counts the
roundings on the longest path to it and gamma(R) = Ru / (1 - Ru) (Higham, Accuracy and Stability
of Numerical Algorithms, ch. 3).
"""

import numpy as np
import pytest

from reference.models import MODELS, Problem
from reference.trace import record

U = 2.0**-53
#: (examples, dimensions, hidden units, classes)
SIZES = {"one_of_each": (1, 1, 1, 2), "small": (4, 2, 3, 3), "wide": (6, 3, 7, 4), "tall": (9, 1, 2, 3)}
#: For each tensor, the name of the gradient at it.
GRADIENTS = {
    "softmax": {"scores": "dscores", "W": "dW", "b": "db"},
    "two_layer": {
        "scores": "dscores",
        "hidden_layer": "dhidden",
        "W": "dW",
        "b": "db",
        "W2": "dW2",
        "b2": "db2",
    },
}
CASES = [(model, of) for model, names in GRADIENTS.items() for of in names]

each_size = pytest.mark.parametrize("size", SIZES)
each_model = pytest.mark.parametrize("model", GRADIENTS)
each_gradient = pytest.mark.parametrize(
    ("model", "of"), CASES, ids=[f"{m}-{GRADIENTS[m][of]}" for m, of in CASES]
)


def random_problem(model: str, size: str) -> Problem:
    """Points, labels and weights of ordinary size, no ReLU near its kink."""
    N, D, H, K = SIZES[size]
    rng = np.random.default_rng([N, D, H, K])
    lengths = {"N": N, "D": D, "H": H, "K": K, "1": 1}
    params = {
        name: rng.standard_normal([lengths[c] for c in parameter.shape])
        for name, parameter in MODELS[model].parameters.items()
    }
    X, y = rng.standard_normal((N, D)), rng.integers(K, size=N)
    if model == "two_layer":
        assert np.abs(X @ params["W"] + params["b"]).min() > 1e-6  # far outside rounding and h
    return MODELS[model].problem(X, y, params, reg=0.1)


def own(problem: Problem, params=None, tap=None) -> dict:
    """The reference's quantities, with `params` in place of the problem's."""
    seen = {}

    def keep(name, value):
        seen[name] = tap(name, value) if tap else value
        return seen[name]

    problem.starting_from(params or problem.params).step(keep)
    return seen


def gamma(roundings: float) -> float:
    """Higham's bound on the relative error of so many roundings."""
    return roundings * U / (1 - roundings * U)


def allowed(problem: Problem, probs: np.ndarray, share: int = 1) -> dict[str, np.ndarray]:
    """How far rounding may move each gradient: gamma(share * R) of the formula on absolute values.

    R counts, for the longest path: D + 1 roundings in the hidden layer, H + 1 in the scores; these
    are absolute errors of the scores, which exp turns into relative ones, in numerator and
    denominator: 2 * largest |score|, formed from absolute values; 2 * 8 for exp itself (4 ulps), K
    for the sum and the division; 2 for (p - 1)/N; K back into the hidden layer; N for the sum over
    examples; 2 for the regularization.
    """
    X, (N, D), K = np.abs(problem.X), problem.X.shape, probs.shape[1]
    P = {name: np.abs(value) for name, value in problem.params.items()}
    top, bias = ("W2", "b2") if "W2" in P else ("W", "b")
    below = X @ P["W"] + P["b"] if "W2" in P else X
    H = below.shape[1]
    largest = (below @ P[top] + P[bias]).max()
    dscores = (probs + np.eye(K)[problem.y]) / N
    sizes = {
        "scores": dscores,
        top: below.T @ dscores + problem.reg * P[top],
        bias: dscores.sum(axis=0, keepdims=True),
    }
    if "W2" in P:
        sizes["hidden_layer"] = dscores @ P["W2"].T
        sizes["W"] = X.T @ sizes["hidden_layer"] + problem.reg * P["W"]
        sizes["b"] = sizes["hidden_layer"].sum(axis=0, keepdims=True)
    roundings = (D + H + 2) * (1 + 2 * largest) + 16 + K + 2 + K + N + 2
    return {name: gamma(share * roundings) * size for name, size in sizes.items()}


def exact_loss(mpmath, params, X, y, reg):
    """The note's loss in mpmath's digits, one example at a time."""
    if "W2" in params:
        hidden = np.maximum(0, X @ params["W"] + params["b"])
        scores, weights = hidden @ params["W2"] + params["b2"], (params["W"], params["W2"])
    else:
        scores, weights = X @ params["W"] + params["b"], (params["W"],)
    losses = [mpmath.log(sum(map(mpmath.exp, row))) - row[k] for row, k in zip(scores, y, strict=True)]
    return sum(losses) / len(losses) + reg / 2 * sum((w * w).sum() for w in weights)


def central_differences(problem: Problem, of: str) -> np.ndarray:
    """d loss / d `of` in 60 digits; with h = 1e-20 the truncation, h^2, is past the 39th."""
    mpmath = pytest.importorskip("mpmath", reason="mpmath is the exact arithmetic to compare with")
    with mpmath.workdps(60):
        digits = np.vectorize(mpmath.mpf, otypes=[object])
        params = {name: digits(value) for name, value in problem.params.items()}
        X, reg, h = digits(problem.X), mpmath.mpf(problem.reg), mpmath.mpf("1e-20")
        slopes = np.empty(params[of].shape)
        for index in np.ndindex(slopes.shape):
            nudge = digits(np.zeros(slopes.shape))
            nudge[index] = h
            up, down = (
                exact_loss(mpmath, params | {of: params[of] + side * nudge}, X, problem.y, reg)
                for side in (1, -1)
            )
            slopes[index] = float((up - down) / (2 * h))
    return slopes


def complex_steps(problem: Problem, of: str) -> np.ndarray:
    """d loss / d `of`, a parameter or a quantity nudged at its tap, from the reference's own loss."""
    h = 1e-100
    shape = (problem.params | record(problem))[of].shape
    slopes = np.empty(shape)
    for index in np.ndindex(shape):
        nudge = np.zeros(shape, complex)
        nudge[index] = 1j * h
        params = {n: v + nudge if n == of else v for n, v in problem.params.items()}
        seen = own(
            problem, params, lambda name, value, nudge=nudge: value + nudge if name == of else value
        )
        slopes[index] = seen["loss"].imag / h
    return slopes


def assert_within(got: np.ndarray, expected: np.ndarray, allowed: np.ndarray) -> None:
    """Assert that every entry is within its allowed error, which a NaN never is."""
    assert got.shape == expected.shape == allowed.shape
    assert (np.abs(got - expected) <= allowed).all()


@each_size
@each_model
def test_against_central_differences_in_60_digits(model, size):
    """Loss and parameter gradients are those of an independent loss in 60 digits."""
    problem = random_problem(model, size)
    trace = record(problem)
    bounds = allowed(problem, trace["probs"])
    for of in problem.params:
        assert_within(trace[GRADIENTS[model][of]], central_differences(problem, of), bounds[of])


@each_size
@each_gradient
def test_against_complex_steps(model, of, size):
    """Each gradient, inner ones too, is the imaginary part of the reference's own loss.

    A complex operation rounds at most 4 times where a real one rounds once, so both sides
    together are allowed 1 + 4 shares. `dhidden` is taken behind the ReLU, so it is masked.
    """
    problem = random_problem(model, size)
    trace = record(problem)
    slopes = complex_steps(problem, of)
    if of == "hidden_layer":
        slopes = slopes * (trace["hidden_layer"] > 0)
    assert_within(trace[GRADIENTS[model][of]], slopes, allowed(problem, trace["probs"], share=5)[of])


@each_gradient
def test_a_slightly_wrong_gradient_is_caught(model, of):
    """Negative control: a factor of 2.001/2 on any one gradient is caught."""
    problem = random_problem(model, "small")
    trace = record(problem)
    right, bound = trace[GRADIENTS[model][of]], allowed(problem, trace["probs"], share=5)[of]
    assert_within(right, right, bound)
    with pytest.raises(AssertionError):
        assert_within(right * (2.001 / 2), right, bound)
    with pytest.raises(AssertionError):
        assert_within(right * np.nan, right, bound)


def test_gradient_at_the_kink_is_zero():
    """A pre-activation of exactly 0 passes no gradient, as in `dhidden[hidden_layer <= 0] = 0`."""
    problem = random_problem("two_layer", "small")
    X = problem.X.copy()
    X[1] = 0
    problem = problem.changed(X=X, params=problem.params | {"b": np.zeros_like(problem.params["b"])})
    trace = record(problem)
    through = trace["dscores"] @ problem.params["W2"].T
    assert (through[1] != 0).all()
    assert (trace["dhidden"][1] == 0).all()
    assert np.array_equal(trace["db"], np.delete(trace["dhidden"], 1, axis=0).sum(axis=0, keepdims=True))


@each_model
def test_update_goes_against_the_gradient(model):
    """Each parameter moves by -step_size times its gradient, also where step_size is not 1."""
    problem = random_problem(model, "small").changed(step_size=0.3)
    trace = record(problem)
    for name, value in problem.params.items():
        assert np.array_equal(trace[f"{name}_next"], value - 0.3 * trace[GRADIENTS[model][name]])
